import pytest

from app.demo import cluster_objects, examples
from app.demo.cluster_objects import Object
from app.errors import ConfigurationError
from tests.app.demo.objects_for_tests import deployment, patched_pod

NAMESPACE: Object = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "irsa-demo"}}


def service_account(name: str, **annotations: str) -> Object:
    metadata = {"name": name, "namespace": "irsa-demo", "annotations": annotations}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}


def job(name: str, *, account: str, image: str, command: list[str], **container: str) -> Object:
    spec = {
        "serviceAccountName": account,
        "containers": [{"name": "app", "image": image, "command": command} | container],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": "irsa-demo"},
        "spec": {"template": {"spec": spec}},
    }


def test_jobs_of_three_service_accounts_are_made_of_one_with_the_image_that_was_given() -> None:
    with_role = service_account("app", **{"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/irsa-demo"})
    once = job("once", account="app", image="yours", command=["python", "/app/main.py"])

    made = cluster_objects.objects(
        [NAMESPACE, with_role, service_account("no-role"), deployment(), once],
        examples.read(),
        image="registry.test/irsa:1",
        python="/opt/python",
    )

    def of(name: str, account: str) -> Object:
        return job(
            name,
            account=account,
            image="registry.test/irsa:1",
            command=["/opt/python", "/app/main.py"],
            imagePullPolicy="IfNotPresent",
        )

    stranger = with_role | {"metadata": with_role["metadata"] | {"name": "stranger"}}
    assert made == [
        NAMESPACE,
        with_role,
        service_account("no-role"),
        stranger,
        of("app", "app"),
        of("no-role", "no-role"),
        of("stranger", "stranger"),
    ]


@pytest.mark.parametrize(
    ("image", "registry", "repository", "tag", "digest"),
    [
        ("irsa", "", "irsa", "", ""),
        ("irsa:1.2", "", "irsa", "1.2", ""),
        ("team/irsa:1.2", "", "team/irsa", "1.2", ""),
        ("localhost/irsa:test", "localhost", "irsa", "test", ""),
        ("registry.test:5000/a/irsa", "registry.test:5000", "a/irsa", "", ""),
        ("registry.test/irsa@sha256:abc", "registry.test", "irsa", "", "sha256:abc"),
    ],
)
def test_image_becomes_values_of_the_chart(image: str, registry: str, repository: str, tag: str, digest: str) -> None:
    flags = cluster_objects.image_values(image)

    assert flags[1::2] == [
        f"image.registry={registry}",
        f"image.repository={repository}",
        f"image.tag={tag}",
        f"image.digest={digest}",
    ]


def test_no_image_is_refused_with_what_was_expected() -> None:
    with pytest.raises(ConfigurationError, match=r'expected --image REGISTRY/REPOSITORY:TAG, got ":1"'):
        cluster_objects.image_values(":1")


def test_variables_of_the_webhook_are_shown() -> None:
    assert cluster_objects.injected(patched_pod()) == [
        ("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/irsa-demo"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/secrets/eks.amazonaws.com/serviceaccount/token"),
    ]
