import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.webhook.inject import Injection, operations
from app.webhook.session_name import session_name
from tests.app.webhook.injections import endpoint_identity, identity, injected
from tests.builders import ENV, MOUNT, TOKEN_FILE, VOLUME, container, pod

BY_DOWNWARD_API = {"name": "AWS_ROLE_SESSION_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}


def named(name: str, *containers: dict[str, Any]) -> dict[str, Any]:
    return pod(*containers) | {"metadata": {"name": name}}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("db-0", "db-0", id="short"),
        pytest.param("x" * 64, "x" * 64, id="just-fits"),
        pytest.param("x" * 65, "x" * 55 + "-9537c5fd", id="too-long"),
        pytest.param("x", "x-2d711642", id="too-short"),
    ],
)
def test_session_name_is_the_pods_name_or_the_beginning_of_it_with_a_digest(name: str, expected: str) -> None:
    one = injected(named(name), identity(has_session_name=True))["spec"]["containers"][0]

    assert one["env"] == [*ENV, {"name": "AWS_ROLE_SESSION_NAME", "value": expected}]


@given(st.from_regex(r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?", fullmatch=True))
def test_session_name_is_one_that_sts_takes(name: str) -> None:
    assert re.fullmatch(r"[\w+=,.@-]{2,64}", session_name(name), re.ASCII)


@given(st.sets(st.from_regex(r"[a-z]{1,2}|x{60}[a-z]{0,9}", fullmatch=True), min_size=2, max_size=2))
def test_different_pods_have_different_session_names(names: set[str]) -> None:
    assert len({session_name(name) for name in names}) == 2


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(pod(), id="generated-name"),
        pytest.param({"metadata": {"name": "web"}, "spec": pod()["spec"]}, id="template-whose-name-is-no-pods"),
        pytest.param({"spec": pod()["spec"]}, id="template-without-metadata"),
    ],
)
def test_name_that_is_not_known_yet_comes_by_the_downward_api(before: dict[str, Any]) -> None:
    assert injected(before, identity(has_session_name=True))["spec"]["containers"][0]["env"] == [*ENV, BY_DOWNWARD_API]


def test_containers_own_session_name_stays() -> None:
    own = {"name": "AWS_ROLE_SESSION_NAME", "value": "own"}

    assert injected(named("db-0", container(env=[own])), identity(has_session_name=True))["spec"]["containers"] == [
        container(env=[own, *ENV], volumeMounts=[MOUNT])
    ]


def test_container_that_uses_another_token_gets_no_session_name() -> None:
    own = {"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": "/own/token"}

    one = injected(pod(container(env=[own])), identity(has_session_name=True))["spec"]["containers"][0]

    assert one["env"] == [own, ENV[0]]


def test_container_that_another_webhook_gave_our_token_gets_the_session_name_too() -> None:
    everything = [*ENV, {"name": "AWS_REGION", "value": "eu-west-1"}]
    before = pod(container(env=everything, volumeMounts=[MOUNT]), volumes=[VOLUME])

    one = injected(before, identity(has_session_name=True))["spec"]["containers"][0]

    assert one["env"] == [*everything, BY_DOWNWARD_API]


def test_container_with_its_own_role_gets_the_session_name() -> None:
    own = {"name": "AWS_ROLE_ARN", "value": "arn:aws:iam::111122223333:role/own"}

    one = injected(named("db-0", container(env=[own])), identity(has_session_name=True))["spec"]["containers"][0]

    token_file = {"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": TOKEN_FILE}
    assert one["env"] == [own, ENV[0], token_file, {"name": "AWS_ROLE_SESSION_NAME", "value": "db-0"}]


def test_container_credentials_have_no_session_name() -> None:
    without = operations(named("db-0"), endpoint_identity(), injection=Injection())

    assert operations(named("db-0"), endpoint_identity(has_session_name=True), injection=Injection()) == without
