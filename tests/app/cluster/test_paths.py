import pytest

from app.cluster.paths import is_name, words


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/api/v1/serviceaccounts", "serviceaccounts"),
        ("/api/v1/namespaces/shop/pods", "pods in namespace shop"),
        ("/api/v1/namespaces/shop/pods/app-1", "pods app-1 in namespace shop"),
        ("/api/v1/namespaces/shop/serviceaccounts/app/token", "serviceaccounts app token in namespace shop"),
        ("/api/v1/namespaces", "namespaces"),
        ("/api/v1/namespaces/shop", "namespaces shop"),
        ("/apis/apps/v1/namespaces/shop/deployments", "deployments in namespace shop"),
        (
            "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/irsa-webhook",
            "mutatingwebhookconfigurations irsa-webhook",
        ),
        ("/version", "/version"),
        ("/", "/"),
    ],
)
def test_path_in_words(path: str, said: str) -> None:
    assert words(path) == said


@pytest.mark.parametrize("name", ["a", "app", "app-1", "app.shop", "1", "a" * 253])
def test_what_an_object_may_be_called(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../secrets/ca",
        "a/b",
        "a%2fb",
        "a?b",
        "a#b",
        "A",
        "a_b",
        "-a",
        "a-",
        "a..b",
        "a\n",
        "ä",
        "a" * 254,
    ],
)
def test_what_no_object_is_called(name: str) -> None:
    assert not is_name(name)
