from typing import Any

import pytest

from app.webhook.identity import Mode
from app.webhook.inject import ConflictError, Injection, MalformedPodError, operations
from app.webhook.profiles import Profile, config_text
from tests.app.webhook.injections import endpoint_identity, identity, injected
from tests.builders import ENV, MOUNT, TOKEN_FILE, VOLUME, container, pod

PROFILES = (Profile(name="audit", role_arn="arn:aws:iam::444455556666:role/audit", source_profile=None),)
CONFIG_FILE = {"name": "AWS_CONFIG_FILE", "value": "/var/run/secrets/irsa/aws/config"}
CONFIG_VOLUME = {
    "name": "irsa-aws-config",
    "downwardAPI": {
        "items": [{"path": "config", "fieldRef": {"fieldPath": "metadata.annotations['irsa/aws-config']"}}]
    },
}
CONFIG_MOUNT = {"name": "irsa-aws-config", "readOnly": True, "mountPath": "/var/run/secrets/irsa/aws"}
WHO = identity(profiles=PROFILES)
TEXT = config_text(WHO, token_file=TOKEN_FILE, region=None)
WITH_PROFILES: dict[str, Any] = {"env": [ENV[0], CONFIG_FILE], "volumeMounts": [MOUNT, CONFIG_MOUNT]}


def test_bare_pod_gets_config_file_token_and_no_role_variable() -> None:
    assert operations(pod(), WHO, injection=Injection()) == [
        {"op": "add", "path": "/metadata/annotations", "value": {"irsa/aws-config": TEXT}},
        {"op": "add", "path": "/spec/volumes", "value": [VOLUME, CONFIG_VOLUME]},
        {"op": "add", "path": "/spec/containers/0/env", "value": WITH_PROFILES["env"]},
        {"op": "add", "path": "/spec/containers/0/volumeMounts", "value": [MOUNT, CONFIG_MOUNT]},
    ]


def test_config_file_comes_beside_other_annotations_and_volumes() -> None:
    other = {"name": "data", "emptyDir": {}}

    after = injected(pod(annotations={"a": "1"}, volumes=[other]), WHO)

    assert after == pod(
        container(**WITH_PROFILES),
        annotations={"a": "1", "irsa/aws-config": TEXT},
        volumes=[VOLUME, other, CONFIG_VOLUME],
    )


@pytest.mark.parametrize(
    ("own", "gets"),
    [
        pytest.param({"name": "AWS_CONFIG_FILE", "value": "/own"}, ENV, id="own-config-file"),
        pytest.param({"name": "AWS_CONFIG_FILE", "valueFrom": {}}, ENV, id="config-file-from-elsewhere"),
        pytest.param({"name": "AWS_ROLE_ARN", "value": "own"}, [ENV[0], ENV[2]], id="own-role"),
    ],
)
def test_container_of_its_own_mind_gets_plain_variables_and_the_others_the_file(own: Any, gets: Any) -> None:
    after = injected(pod(container("a", env=[own]), container("b")), WHO)

    assert after == pod(
        container("a", env=[own, *gets], volumeMounts=[MOUNT]),
        container("b", **WITH_PROFILES),
        annotations={"irsa/aws-config": TEXT},
        volumes=[VOLUME, CONFIG_VOLUME],
    )


def test_pod_whose_containers_all_have_their_own_config_file_gets_no_annotation() -> None:
    own = {"name": "AWS_CONFIG_FILE", "value": "/own"}

    assert injected(pod(container(env=[own])), WHO) == pod(
        container(env=[own, *ENV], volumeMounts=[MOUNT]), volumes=[VOLUME]
    )


def test_file_has_region_session_name_and_the_token_where_the_pod_has_them() -> None:
    who = identity(profiles=PROFILES, region="us-east-1", has_session_name=True)
    before = pod(os={"name": "windows"}) | {"metadata": {"name": "db-0"}}

    after = injected(before, who, default_region="eu-west-1")

    file = r"C:\var\run\secrets\eks.amazonaws.com\serviceaccount\token"
    text = config_text(who, token_file=file, region="us-east-1", session_name="db-0")
    assert after["metadata"]["annotations"] == {"irsa/aws-config": text}
    config_file = {"name": "AWS_CONFIG_FILE", "value": r"C:\var\run\secrets\irsa\aws\config"}
    assert config_file in after["spec"]["containers"][0]["env"]
    assert {"name": "AWS_ROLE_SESSION_NAME", "value": "db-0"} in after["spec"]["containers"][0]["env"]


def test_annotation_of_our_name_that_is_not_ours_is_a_conflict() -> None:
    with pytest.raises(ConflictError) as caught:
        operations(pod(annotations={"irsa/aws-config": "[default]"}), WHO, injection=Injection())

    assert str(caught.value) == "remove annotation irsa/aws-config from the pod: its text is written here"


def test_annotations_of_a_pod_may_be_as_long_as_kube_apiserver_takes_them_with_ours_and_not_longer() -> None:
    """Which counts the bytes of all keys and values (apimachinery, ValidateAnnotationsSize)."""
    room = 262_144 - len("irsa/aws-config" + TEXT) - len("é".encode())

    assert injected(pod(annotations={"é": "x" * room}), WHO)
    with pytest.raises(ConflictError) as caught:
        operations(pod(annotations={"é": "x" * room + "ö"}), WHO, injection=Injection())

    assert str(caught.value) == (
        "shorten the pod's annotations by 2 bytes: irsa/aws-config is one more, and 262144 is what they may have"
    )


def test_other_mount_in_the_files_place_is_a_conflict() -> None:
    with pytest.raises(ConflictError) as caught:
        operations(pod(container(volumeMounts=[CONFIG_MOUNT | {"name": "x"}])), WHO, injection=Injection())

    assert str(caught.value) == (
        'mount volume "x" of container "app" elsewhere: /var/run/secrets/irsa/aws is for the AWS config file'
    )


def test_volume_of_its_name_that_is_not_ours_stays_and_ours_takes_another_name() -> None:
    taken = {"name": "irsa-aws-config", "configMap": {"name": "aws"}}

    after = injected(pod(volumes=[taken]), WHO)

    name = {"name": "irsa-aws-config-irsa"}
    assert after["spec"]["volumes"] == [VOLUME, taken, CONFIG_VOLUME | name]
    assert after["spec"]["containers"][0]["volumeMounts"] == [MOUNT, CONFIG_MOUNT | name]


def test_defaults_that_kube_apiserver_fills_in_do_not_hide_what_is_ours() -> None:
    after = injected(pod(), WHO)
    after["spec"]["volumes"][1]["downwardAPI"]["defaultMode"] = 420
    after["spec"]["volumes"][1]["downwardAPI"]["items"][0]["fieldRef"]["apiVersion"] = "v1"

    assert operations(after, WHO, injection=Injection()) == []


@pytest.mark.parametrize("annotations", [[], "x"])
def test_annotations_of_other_types_are_named_with_their_place(annotations: Any) -> None:
    before = pod() | {"metadata": {"annotations": annotations}}

    with pytest.raises(MalformedPodError, match=r"^write an object at /metadata/annotations, got an? "):
        operations(before, WHO, injection=Injection())


def test_container_credentials_have_no_profiles() -> None:
    without = operations(pod(), endpoint_identity(), injection=Injection())

    who = identity(mode=Mode.CONTAINER_CREDENTIALS, audience="pods.eks.amazonaws.com", profiles=PROFILES)
    assert operations(pod(), who, injection=Injection()) == without
