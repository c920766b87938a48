"""What differs between a pod and the same pod today; each case begins with what the webhook really makes."""

import copy
from dataclasses import replace
from typing import Any

import jsonpatch
import pytest

from app.access.drift import Drift, Judgement, Kind, judge
from app.access.observed import Observed, Origin, Request, Token, observe, profiles_of
from app.cluster.objects import ServiceAccount
from app.webhook.decision import Policy, Reason, Subject, decide
from app.webhook.identity import Mode
from tests.app.access.running import deciding, injected, kept, running
from tests.builders import BARE, MOUNT_PATH, ROLE_ARN, TOKEN_FILE, VOLUME, annotated, container, pod

OTHER = "arn:aws:iam::111122223333:role/other"
TOKEN = Token(volume="aws-iam-token", audience="sts.amazonaws.com", expiration=86400)


def admitted(document: dict[str, Any], service_account: ServiceAccount, policy: Policy | None = None) -> dict[str, Any]:
    """The pod as the webhook would have admitted it: each container has mounts by then, of the API's own token."""
    document = copy.deepcopy(document)
    for one in (*document["spec"]["containers"], *document["spec"].get("initContainers", [])):
        one.setdefault("volumeMounts", []).append({"name": "kube-api-access-8xk2p", "mountPath": "/var/run/api"})
    subject = Subject(namespace="shop", service_account="app", annotations=document["metadata"].get("annotations", {}))
    decision = decide(subject, service_account, pod=lambda: document, policy=policy or Policy())
    patched: dict[str, Any] = jsonpatch.JsonPatch(list(decision.operations)).apply(document)
    return patched


def judged(document: dict[str, Any], service_account: ServiceAccount | None) -> Judgement:
    return judge(kept(document), deciding(service_account))


def test_injected_container_is_seen_with_its_token() -> None:
    assert observe(kept(injected())) == Observed(
        requests=(Request(container="app", mode=Mode.WEB_IDENTITY, role_arn=ROLE_ARN, token=TOKEN),)
    )


def test_own_role_arn_is_told_from_an_injected_one() -> None:
    own = [{"name": "AWS_ROLE_ARN", "value": OTHER}, {"name": "X", "value": "y"}]
    document = admitted(pod(container(), container("own", env=own), container("file", env=[])), annotated())

    found = observe(kept(document))

    assert [(one.container, one.role_arn, one.origin) for one in found.requests] == [
        ("app", ROLE_ARN, Origin.INJECTED),
        ("own", OTHER, Origin.VARIABLE),
        ("file", ROLE_ARN, Origin.INJECTED),
    ]


def test_role_by_hand_with_a_volume_of_its_own_is_not_injected() -> None:
    env = [{"name": "AWS_ROLE_ARN", "value": OTHER}, {"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": "/mine/token"}]
    volume = {**VOLUME, "name": "mine"}
    document = pod(container(env=env, volumeMounts=[{"name": "mine", "mountPath": "/mine"}]), volumes=[volume])

    assert [one.origin for one in observe(kept(document)).requests] == [Origin.VARIABLE]
    assert judged(document, BARE).drift is None
    assert judged(document, annotated()).drift is None


def test_annotation_of_kube2iam_is_seen() -> None:
    assert observe(kept(pod(annotations={"iam.amazonaws.com/role": "legacy"}))) == Observed(legacy_role="legacy")


def test_container_credentials_are_seen() -> None:
    mounted_at = "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount"
    env = [
        {"name": "AWS_REGION", "value": "eu-west-1"},
        {"name": "AWS_CONTAINER_CREDENTIALS_FULL_URI", "value": "http://169.254.170.23/v1/credentials"},
        {"name": "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "value": f"{mounted_at}/eks-pod-identity-token"},
    ]
    token = {"audience": "pods.eks.amazonaws.com", "expirationSeconds": 80000, "path": "eks-pod-identity-token"}
    volume = {"name": "eks-pod-identity-token", "projected": {"sources": [{"serviceAccountToken": token}]}}
    mount = {"name": "eks-pod-identity-token", "mountPath": mounted_at, "readOnly": True}
    document = pod(container(env=env, volumeMounts=[mount]), volumes=[volume])

    found = judged(document, annotated())

    assert found.observed.requests == (
        Request(
            container="app",
            mode=Mode.CONTAINER_CREDENTIALS,
            role_arn="",
            token=Token(volume="eks-pod-identity-token", audience="pods.eks.amazonaws.com", expiration=80000),
            region="eu-west-1",
        ),
    )
    assert found.drift == Drift(kind=Kind.ROLE, field="role_arn", has="container credentials", gets=ROLE_ARN)


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(pod(), id="smallest"),
        pytest.param(pod(container(), container("two"), initContainers=[container("init")]), id="several"),
        pytest.param(pod(container(env=[{"name": "AWS_ROLE_ARN", "value": OTHER}]), container("two")), id="own role"),
        pytest.param(
            pod(container("two"), container(env=[{"name": "AWS_ROLE_ARN", "value": OTHER},
                                {"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": TOKEN_FILE}])),
            id="own role that looks injected",
        ),
        pytest.param(pod(os={"name": "windows"}), id="windows"),
        pytest.param(pod(annotations={"eks.amazonaws.com/skip-containers": "app"}), id="all skipped"),
        pytest.param(pod(container(), container("x"), annotations={"eks.amazonaws.com/skip-containers": "x"}), id="1"),
        pytest.param(pod(annotations={"eks.amazonaws.com/token-expiration": "3600"}), id="own expiration"),
        pytest.param(pod(volumes=[{"name": "aws-iam-token", "emptyDir": {}}]), id="conflict"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "service_account",
    [
        pytest.param(annotated(), id="role"),
        pytest.param(annotated(profiles=f"audit = {OTHER}", session_name="true"), id="profiles"),
        pytest.param(annotated(region="eu-west-1", sts_regional_endpoints="false"), id="region"),
    ],
)
def test_pod_that_was_just_admitted_has_no_drift(document: dict[str, Any], service_account: ServiceAccount) -> None:
    assert judged(admitted(document, service_account), service_account).drift is None


def test_profiles_that_changed_are_drift() -> None:
    before, after = annotated(profiles=f"audit = {OTHER}"), annotated(profiles=f"audit = {OTHER}-2")
    document = admitted(pod(container(), container("own", env=[{"name": "AWS_ROLE_ARN", "value": "x"}])), before)

    drift = judged(document, after).drift

    assert drift is not None
    assert (drift.kind, drift.field) == (Kind.SETTINGS, "profiles")
    assert profiles_of(drift.has) == [("audit", OTHER)]
    assert profiles_of(drift.gets) == [("audit", f"{OTHER}-2")]
    role = judged(document, annotated(**{"role-arn": f"{ROLE_ARN}-2"})).drift
    assert role == Drift(kind=Kind.ROLE, field="role_arn", has=ROLE_ARN, gets=f"{ROLE_ARN}-2")
    assert judged(document, BARE).drift == Drift(kind=Kind.WITHDRAWN, field="role_arn", has=ROLE_ARN, gets="nothing")


def test_pod_without_a_role_has_no_drift() -> None:
    assert judged(pod(), BARE).drift is None
    assert judged(pod(), None).drift is None


@pytest.mark.parametrize(
    ("service_account", "drift"),
    [
        pytest.param(
            annotated(**{"role-arn": OTHER}),
            Drift(kind=Kind.ROLE, field="role_arn", has=ROLE_ARN, gets=OTHER),
            id="role",
        ),
        pytest.param(BARE, Drift(kind=Kind.WITHDRAWN, field="role_arn", has=ROLE_ARN, gets="nothing"), id="withdrawn"),
        pytest.param(None, Drift(kind=Kind.WITHDRAWN, field="role_arn", has=ROLE_ARN, gets="nothing"), id="gone"),
        pytest.param(
            annotated(audience="other"),
            Drift(kind=Kind.SETTINGS, field="audience", has="sts.amazonaws.com", gets="other"),
            id="audience",
        ),
        pytest.param(
            annotated(token_expiration="3600"),
            Drift(kind=Kind.SETTINGS, field="token_expiration", has="86400 s", gets="3600 s"),
            id="expiration",
        ),
    ],
)
def test_change_of_the_service_account_is_drift(service_account: ServiceAccount | None, drift: Drift) -> None:
    document = admitted(pod(container(), container("two"), initContainers=[container("init")]), annotated())

    assert judged(document, service_account).drift == drift


def test_pod_that_the_webhook_missed_is_unpatched() -> None:
    found = judged(pod(), annotated())

    assert found.drift == Drift(kind=Kind.UNPATCHED, field="role_arn", has="nothing", gets=ROLE_ARN)
    assert str(found.drift) == f"role_arn: has nothing, would get {ROLE_ARN}"


def test_container_that_came_after_us_is_a_change_of_settings() -> None:
    document = admitted(pod(), annotated())
    document["spec"]["containers"].append(container("late"))

    found = judged(document, annotated())

    assert found.drift == Drift(kind=Kind.SETTINGS, field="containers", has="app", gets="app, late")


def test_changed_role_is_found_beside_a_container_with_its_own() -> None:
    own = [{"name": "AWS_ROLE_ARN", "value": OTHER}, {"name": "X", "value": "y"}]
    document = admitted(pod(container(), container("own", env=own)), annotated())

    assert judged(document, annotated(**{"role-arn": f"{ROLE_ARN}-2"})).drift == Drift(
        kind=Kind.ROLE, field="role_arn", has=ROLE_ARN, gets=f"{ROLE_ARN}-2"
    )


def test_conflict_is_no_drift() -> None:
    document = pod(container(volumeMounts=[{"name": "mine", "mountPath": MOUNT_PATH}]), volumes=[{"name": "mine"}])

    found = judged(document, annotated())

    assert (found.decision.reason, found.drift) == (Reason.CONFLICT, None)


def test_region_that_came_later_is_no_drift() -> None:
    policy = Policy()
    policy = replace(policy, injection=replace(policy.injection, default_region="eu-west-1"))

    assert judge(kept(admitted(pod(), annotated())), deciding(annotated(), policy)).drift is None


def test_text_of_strangers_is_inert_in_words() -> None:
    assert str(Drift(kind=Kind.SETTINGS, field="profiles", has="\x1b[2Jx", gets="a\nb")) == (
        'profiles: has "\\x1b[2Jx", would get "a\\nb"'
    )


def test_running_pod_of_a_whole_cluster_is_read_from_its_document() -> None:
    assert running(injected())["metadata"]["namespace"] == "shop"


def test_pod_that_opted_out_has_no_drift() -> None:
    found = judge(kept(pod(), labels={"eks.amazonaws.com/skip-pod-identity-webhook": "true"}), deciding(annotated()))

    assert found.drift is None
