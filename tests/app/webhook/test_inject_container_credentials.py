from typing import Any

import pytest

from app.webhook.inject import ConflictError, Endpoint, Injection, MalformedPodError, operations
from tests.app.webhook.injections import (
    ENDPOINT_ENV,
    ENDPOINT_MOUNT,
    ENDPOINT_PATH,
    ENDPOINT_VOLUME,
    endpoint_identity,
    injected,
)
from tests.builders import ENV, container, pod

LABELS = {"eks.amazonaws.com/pod-identity": "enabled"}


def labelled(before: dict[str, Any], **labels: str) -> dict[str, Any]:
    return before | {"metadata": {"generateName": "app-", "labels": {**labels, **LABELS}}}


def test_bare_pod_gets_label_volume_variables_and_mount() -> None:
    assert operations(pod(), endpoint_identity(), injection=Injection()) == [
        {"op": "add", "path": "/metadata/labels", "value": LABELS},
        {"op": "add", "path": "/spec/volumes", "value": [ENDPOINT_VOLUME]},
        {"op": "add", "path": "/spec/containers/0/env", "value": ENDPOINT_ENV},
        {"op": "add", "path": "/spec/containers/0/volumeMounts", "value": [ENDPOINT_MOUNT]},
    ]


def test_label_comes_beside_other_labels() -> None:
    before = pod()
    before["metadata"]["labels"] = {"app": "shop"}

    after = injected(before, endpoint_identity())

    assert after == labelled(
        pod(container(env=ENDPOINT_ENV, volumeMounts=[ENDPOINT_MOUNT]), volumes=[ENDPOINT_VOLUME]), app="shop"
    )


@pytest.mark.parametrize("metadata", [{}, {"metadata": None}], ids=["absent", "null"])
def test_template_without_metadata_gets_it_for_the_label(metadata: dict[str, Any]) -> None:
    assert injected({"spec": pod()["spec"]} | metadata, endpoint_identity())["metadata"] == {"labels": LABELS}


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        pytest.param([], "write an object at /metadata, got an array", id="metadata"),
        pytest.param({"labels": "x"}, "write an object at /metadata/labels, got a string", id="labels"),
    ],
)
def test_metadata_of_other_types_is_named_with_its_place(metadata: Any, message: str) -> None:
    with pytest.raises(MalformedPodError) as caught:
        operations(pod() | {"metadata": metadata}, endpoint_identity(), injection=Injection())

    assert str(caught.value) == message


def test_region_comes_between_sts_and_the_endpoint() -> None:
    one = injected(pod(), endpoint_identity(region="eu-west-1"))["spec"]["containers"][0]

    assert [variable["name"] for variable in one["env"]] == [
        "AWS_STS_REGIONAL_ENDPOINTS",
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    ]


def test_own_web_identity_stays_and_the_endpoint_comes_behind_it_as_with_the_aws_webhook() -> None:
    one = injected(pod(container(env=ENV)), endpoint_identity())["spec"]["containers"][0]

    assert one["env"] == [*ENV, *ENDPOINT_ENV[1:]]


def test_containers_own_endpoint_is_not_given_our_token() -> None:
    own = {"name": "AWS_CONTAINER_CREDENTIALS_FULL_URI", "value": "http://localhost:1234/"}

    one = injected(pod(container(env=[own])), endpoint_identity())["spec"]["containers"][0]

    assert one["env"] == [own, ENDPOINT_ENV[0]]


def test_where_the_endpoint_is_is_the_operators_choice() -> None:
    endpoint = Endpoint(full_uri="https://irsa.example/v1", volume_name="v", token_mount_path="/aws", token_path="t")

    spec = injected(pod(), endpoint_identity(audience="broker"), endpoint=endpoint)["spec"]

    token = {"audience": "broker", "expirationSeconds": 86400, "path": "t"}
    assert spec["volumes"] == [{"name": "v", "projected": {"sources": [{"serviceAccountToken": token}]}}]
    assert spec["containers"][0]["env"][1:] == [
        {"name": "AWS_CONTAINER_CREDENTIALS_FULL_URI", "value": "https://irsa.example/v1"},
        {"name": "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "value": "/aws/t"},
    ]
    assert spec["containers"][0]["volumeMounts"] == [{"name": "v", "readOnly": True, "mountPath": "/aws"}]


def test_volume_of_the_longest_name_has_room_for_another_one() -> None:
    name = "v" * 63
    taken = {"name": name, "emptyDir": {}}

    spec = injected(pod(volumes=[taken]), endpoint_identity(), endpoint=Endpoint(volume_name=name))["spec"]

    assert [volume["name"] for volume in spec["volumes"]] == ["v" * 50 + "-irsa", name]


def test_other_mount_in_the_tokens_place_is_a_conflict() -> None:
    before = pod(container(volumeMounts=[{"name": "secrets", "mountPath": ENDPOINT_PATH}]))

    with pytest.raises(ConflictError) as caught:
        operations(before, endpoint_identity(), injection=Injection())

    assert str(caught.value) == (
        f'mount volume "secrets" of container "app" elsewhere: {ENDPOINT_PATH} is for the token'
    )


def test_pod_with_every_container_skipped_gets_no_label() -> None:
    who = endpoint_identity(skip_containers=frozenset({"app"}))

    assert operations(pod(), who, injection=Injection()) is None
