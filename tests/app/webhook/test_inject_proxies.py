from typing import Any

import pytest

from app.webhook.inject import Endpoint, Injection, remarks
from app.webhook.proxies import bypasses
from tests.app.webhook.injections import ENDPOINT_ENV, endpoint_identity, identity, injected
from tests.builders import ENV, container, pod

ADDRESS = "169.254.170.23"
PROXY = {"name": "HTTPS_PROXY", "value": "http://proxy:3128"}
LOWER_PROXY = {"name": "http_proxy", "value": "http://proxy:3128"}
FROM_ELSEWHERE = {"valueFrom": {"configMapKeyRef": {"name": "proxy", "key": "no"}}}


def variable(name: str, value: str) -> dict[str, str]:
    return {"name": name, "value": value}


def env(*variables: dict[str, Any], **fields: Any) -> Any:
    """Return the variables of a container that has these before, without those of every injection."""
    after = injected(pod(container(env=list(variables), **fields)), endpoint_identity())
    return [one for one in after["spec"]["containers"][0]["env"] if one not in ENDPOINT_ENV]


@pytest.mark.parametrize(
    ("uri", "entries"),
    [
        pytest.param("http://169.254.170.23/v1/credentials", (ADDRESS,), id="eks"),
        pytest.param("http://[fd00:ec2::23]/v1/credentials", ("[fd00:ec2::23]", "fd00:ec2::23"), id="eks-ipv6"),
        pytest.param("http://[fe80::1]:8080/", ("[fe80::1]", "fe80::1"), id="link-local-ipv6"),
        pytest.param("http://127.0.0.1/", (), id="loopback"),
        pytest.param("https://broker.irsa-system.svc/", (), id="name"),
        pytest.param("https://10.0.0.1/", (), id="elsewhere"),
        pytest.param("https://[fd00::1]/", (), id="elsewhere-ipv6"),
        pytest.param("", (), id="nothing"),
    ],
)
def test_only_an_endpoint_on_the_node_is_asked_without_a_proxy(uri: str, entries: tuple[str, ...]) -> None:
    assert bypasses(uri) == entries


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param([], [], id="no-proxy"),
        pytest.param([variable("HTTP_PROXY", "")], [variable("HTTP_PROXY", "")], id="empty-proxy"),
        pytest.param([PROXY], [PROXY, variable("NO_PROXY", ADDRESS)], id="absent"),
        pytest.param([LOWER_PROXY], [LOWER_PROXY, variable("no_proxy", ADDRESS)], id="absent-in-lower-case"),
        pytest.param(
            [PROXY, LOWER_PROXY],
            [PROXY, LOWER_PROXY, variable("NO_PROXY", ADDRESS), variable("no_proxy", ADDRESS)],
            id="absent-in-both",
        ),
        pytest.param(
            [variable("NO_PROXY", ".svc, 10.0.0.0/8"), PROXY],
            [variable("NO_PROXY", f".svc, 10.0.0.0/8,{ADDRESS}"), PROXY],
            id="incomplete",
        ),
        pytest.param(
            [PROXY, variable("no_proxy", ".svc")], [PROXY, variable("no_proxy", f".svc,{ADDRESS}")], id="other-case"
        ),
        pytest.param([PROXY, variable("NO_PROXY", "")], [PROXY, variable("NO_PROXY", ADDRESS)], id="empty"),
        pytest.param([PROXY, {"name": "NO_PROXY"}], [PROXY, variable("NO_PROXY", ADDRESS)], id="without-value"),
        pytest.param([PROXY, variable("NO_PROXY", f"a, {ADDRESS}")], None, id="complete"),
        pytest.param([PROXY, variable("NO_PROXY", "*")], None, id="everything"),
        pytest.param(
            [PROXY, variable("NO_PROXY", f"{ADDRESS}0")],
            [PROXY, variable("NO_PROXY", f"{ADDRESS}0,{ADDRESS}")],
            id="longer-address",
        ),
        pytest.param([variable("NO_PROXY", ".svc")], None, id="entries-without-a-proxy"),
        pytest.param([PROXY, {"name": "NO_PROXY"} | FROM_ELSEWHERE], None, id="from-elsewhere"),
        pytest.param(
            [{"name": "HTTP_PROXY"} | FROM_ELSEWHERE],
            [{"name": "HTTP_PROXY"} | FROM_ELSEWHERE, variable("NO_PROXY", ADDRESS)],
            id="proxy-from-elsewhere",
        ),
    ],
)
def test_no_proxy_is_completed_where_there_is_a_proxy(
    before: list[dict[str, Any]], after: list[dict[str, Any]] | None
) -> None:
    assert env(*before) == (before if after is None else after)


def test_no_proxy_that_may_be_in_a_config_map_is_not_hidden_by_ours() -> None:
    assert env(PROXY, envFrom=[{"configMapRef": {"name": "proxy"}}]) == [PROXY]


def test_web_identity_leaves_no_proxy_alone() -> None:
    assert injected(pod(container(env=[PROXY])))["spec"]["containers"][0]["env"] == [PROXY, *ENV]


def test_endpoint_elsewhere_leaves_no_proxy_alone() -> None:
    endpoint = Endpoint(full_uri="https://broker.irsa-system.svc/")

    after = injected(pod(container(env=[PROXY])), endpoint_identity(), endpoint=endpoint)

    assert [one["name"] for one in after["spec"]["containers"][0]["env"]] == [
        "HTTPS_PROXY",
        *(one["name"] for one in ENDPOINT_ENV),
    ]


def test_containers_own_endpoint_leaves_no_proxy_alone() -> None:
    own = variable("AWS_CONTAINER_CREDENTIALS_FULL_URI", "https://own.example/")

    assert env(PROXY, own) == [PROXY, own]


def test_proxy_that_another_webhook_sets_after_us_is_bypassed_at_the_next_run() -> None:
    everything = variable("AWS_REGION", "eu-west-1")
    once = injected(pod(container(env=[everything])), endpoint_identity())
    once["spec"]["containers"][0]["env"].append(PROXY)

    again = injected(once, endpoint_identity())

    assert again["spec"]["containers"][0]["env"] == [
        everything, *ENDPOINT_ENV, PROXY, variable("NO_PROXY", ADDRESS)
    ]  # fmt: skip


@pytest.mark.parametrize(
    "hidden",
    [
        pytest.param({"env": [PROXY, {"name": "NO_PROXY"} | FROM_ELSEWHERE]}, id="variable"),
        pytest.param({"env": [PROXY], "envFrom": [{"secretRef": {"name": "proxy"}}]}, id="whole-secret"),
    ],
)
def test_no_proxy_that_is_taken_from_elsewhere_is_told_of(hidden: dict[str, Any]) -> None:
    before = pod(container("app", **hidden), container("other", env=[PROXY]))

    assert remarks(before, endpoint_identity(), injection=Injection()) == [
        f'see that NO_PROXY has {ADDRESS} in container "app": the pod says only where its value is'
    ]
    assert remarks(before, identity(), injection=Injection()) == []
    elsewhere = Injection(endpoint=Endpoint(full_uri="https://broker.irsa-system.svc/"))
    assert remarks(before, endpoint_identity(), injection=elsewhere) == []
    assert remarks(before, endpoint_identity(skip_containers=frozenset({"app"})), injection=Injection()) == []


def test_what_is_no_url_has_no_host_to_ask_directly() -> None:
    assert bypasses("http://[") == ()
