import copy
from typing import Any

import jsonpatch
import pytest

from app.webhook.decision import Decision, Reason
from app.webhook.ephemeral import ephemeral_operations
from app.webhook.identity import Identity
from app.webhook.inject import Endpoint, Injection
from app.webhook.profiles import Profile
from tests.app.webhook.injections import ENDPOINT_ENV, ENDPOINT_MOUNT, endpoint_identity, identity, injected
from tests.builders import ENV, MOUNT, MOUNT_PATH, ROLE_ARN, VOLUME, container, pod

PROFILES = (Profile(name="audit", role_arn="arn:aws:iam::444455556666:role/audit"),)


def debugged(before: dict[str, Any], *new: dict[str, Any]) -> dict[str, Any]:
    """Return *before* with further ephemeral containers."""
    after = copy.deepcopy(before)
    after["spec"]["ephemeralContainers"] = [*(after["spec"].get("ephemeralContainers") or []), *new]
    return after


def decided(before: dict[str, Any], *new: dict[str, Any], **injection: Any) -> Decision:
    return ephemeral_operations(debugged(before, *new), before, injection=Injection(**injection))


def patched(before: dict[str, Any], *new: dict[str, Any], **injection: Any) -> Any:
    """Return the ephemeral containers after the patch, and see that nothing else is in it and nothing would follow."""
    decision = decided(before, *new, **injection)
    assert decision.reason is Reason.PATCHED
    after = jsonpatch.apply_patch(debugged(before, *new), decision.operations)
    again = ephemeral_operations(after, before, injection=Injection(**injection))
    assert again == Decision(reason=Reason.ALREADY_PRESENT)
    containers = after["spec"].pop("ephemeralContainers")
    assert after["spec"] == {key: value for key, value in before["spec"].items() if key != "ephemeralContainers"}
    return containers


def test_new_container_gets_what_the_pods_own_have() -> None:
    assert patched(injected(pod()), container("debug", env=[], tty=True)) == [
        container("debug", env=ENV, tty=True, volumeMounts=[MOUNT])
    ]


@pytest.mark.parametrize(
    ("who", "injection"),
    [
        pytest.param(identity(), {"default_region": "eu-west-1"}, id="region"),
        pytest.param(identity(has_session_name=True), {}, id="session-name"),
        pytest.param(identity(), {"environment": {"AWS_ENDPOINT_URL": "https://aws.example"}}, id="environment"),
        pytest.param(identity(profiles=PROFILES), {}, id="profiles"),
        pytest.param(endpoint_identity(), {}, id="container-credentials"),
        pytest.param(identity(), {"token_mount_path": "/aws"}, id="other-place"),
        pytest.param(endpoint_identity(), {"endpoint": Endpoint(volume_name="v", token_path="t")}, id="other-volume"),
    ],
)
def test_new_container_has_all_that_is_injected(who: Identity, injection: dict[str, Any]) -> None:
    before = injected(pod(container("app", env=[{"name": "OTHER", "value": "x"}])), who, **injection)
    app = before["spec"]["containers"][0]

    assert patched(before, container("debug"), **injection) == [
        container("debug", env=app["env"][1:], volumeMounts=app["volumeMounts"])
    ]


def test_windows_pod_lends_its_windows_path() -> None:
    before = injected(pod(os={"name": "windows"}))

    assert patched(before, container("debug")) == [
        container("debug", env=before["spec"]["containers"][0]["env"], volumeMounts=[MOUNT])
    ]


def test_volume_under_another_name_is_known() -> None:
    before = injected(pod(volumes=[{"name": "aws-iam-token", "emptyDir": {}}]))

    assert patched(before, container("debug")) == [
        container("debug", env=ENV, volumeMounts=[MOUNT | {"name": "aws-iam-token-irsa"}])
    ]


def test_values_are_those_of_the_target_container_else_of_the_first_that_has_them() -> None:
    own = {"name": "AWS_ROLE_ARN", "value": "arn:aws:iam::111122223333:role/own"}
    who = identity(skip_containers=frozenset({"plain"}))
    before = injected(pod(container("plain"), container("app"), container("other", env=[own])), who)

    after = patched(
        before,
        container("a", targetContainerName="other"),
        container("b", targetContainerName="plain"),
        container("c"),
    )

    roles = [next(one["value"] for one in each["env"] if one["name"] == "AWS_ROLE_ARN") for each in after]
    assert roles == [own["value"], ROLE_ARN, ROLE_ARN]


def test_containers_that_existed_before_stay_as_they_are() -> None:
    before = debugged(injected(pod()), container("old"))

    assert patched(before, container("new")) == [container("old"), container("new", env=ENV, volumeMounts=[MOUNT])]


@pytest.mark.parametrize(
    "name", ["AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONFIG_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI"]
)
def test_new_container_with_its_own_credentials_is_left_alone(name: str) -> None:
    new = container("debug", env=[{"name": name, "value": "own"}])

    assert decided(injected(pod()), new) == Decision(reason=Reason.ALREADY_PRESENT)


def test_new_containers_own_region_and_mount_stay() -> None:
    region = {"name": "AWS_REGION", "value": "us-east-1"}
    before = injected(pod(), default_region="eu-west-1")

    after = patched(before, container("debug", env=[region], volumeMounts=[MOUNT]))

    assert after == [container("debug", env=[region, *ENV], volumeMounts=[MOUNT])]


def test_new_container_with_a_proxy_asks_the_endpoint_without_it() -> None:
    proxy = {"name": "HTTP_PROXY", "value": "http://proxy"}

    assert patched(injected(pod(), endpoint_identity()), container("debug", env=[proxy])) == [
        container(
            "debug",
            env=[proxy, *ENDPOINT_ENV, {"name": "NO_PROXY", "value": "169.254.170.23"}],
            volumeMounts=[ENDPOINT_MOUNT],
        )
    ]


def test_new_container_with_something_else_in_our_place_gets_nothing() -> None:
    mount = {"name": "data", "mountPath": MOUNT_PATH}

    decision = decided(injected(pod()), container("debug", volumeMounts=[mount]))

    text = f'mount volume "data" of container "debug" elsewhere: {MOUNT_PATH} is for the token: nothing was injected'
    assert decision == Decision(reason=Reason.CONFLICT, warnings=(text,))


def test_one_containers_conflict_does_not_keep_the_other_from_its_share() -> None:
    new = [container("a", volumeMounts=[{"name": "data", "mountPath": MOUNT_PATH}]), container("b")]

    decision = decided(injected(pod()), *new)

    assert decision.reason is Reason.PATCHED
    assert {operation["path"] for operation in decision.operations} == {
        "/spec/ephemeralContainers/1/env",
        "/spec/ephemeralContainers/1/volumeMounts",
    }
    assert len(decision.warnings) == 1


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(pod(), id="not-injected"),
        pytest.param(pod(volumes=[VOLUME]), id="volume-only"),
        pytest.param(pod(container(volumeMounts=[MOUNT]), volumes=[VOLUME]), id="mount-without-variables"),
        pytest.param(pod(container(env=ENV), volumes=[VOLUME]), id="variables-without-mount"),
        pytest.param(
            pod(container(env=ENV, volumeMounts=[MOUNT]), volumes=[{"name": "aws-iam-token", "emptyDir": {}}]),
            id="volume-of-another-kind",
        ),
        pytest.param(
            pod(
                container(env=ENV, volumeMounts=[MOUNT]),
                volumes=[
                    {"name": "aws-iam-token", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}
                ],
            ),
            id="token-for-the-cluster",
        ),
        pytest.param(pod(container(env=ENV, volumeMounts=[MOUNT | {"mountPath": 7}]), volumes=[VOLUME]), id="no-path"),
    ],
)
def test_pod_that_was_not_injected_has_nothing_to_give(before: dict[str, Any]) -> None:
    assert decided(before, container("debug")) == Decision(reason=Reason.NO_ROLE)


@pytest.mark.parametrize("new", [[], [container("old")]], ids=["none", "the-same"])
def test_update_without_new_containers_adds_nothing(new: list[dict[str, Any]]) -> None:
    before = debugged(injected(pod()), *new)

    assert ephemeral_operations(before, before, injection=Injection()) == Decision(reason=Reason.NOT_A_CREATION)


@pytest.mark.parametrize(
    ("after", "before", "message"),
    [
        pytest.param({}, pod(), "write an object at /spec, got nothing", id="no-spec"),
        pytest.param(pod(), {}, "write an object at /spec, got nothing", id="no-spec-before"),
        pytest.param(
            pod(ephemeralContainers=[7]),
            pod(),
            "write objects with a string as name in /spec/ephemeralContainers",
            id="number-as-container",
        ),
        pytest.param(
            debugged(injected(pod()), container("debug", volumeMounts={})),
            injected(pod()),
            "write an array at /spec/ephemeralContainers/0/volumeMounts, got an object",
            id="mounts",
        ),
    ],
)
def test_wrong_types_are_named_with_their_place(after: Any, before: Any, message: str) -> None:
    assert ephemeral_operations(after, before, injection=Injection()) == Decision(
        reason=Reason.MALFORMED_POD, warnings=(f"{message}: nothing was injected",)
    )
