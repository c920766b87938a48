import pytest

from app.access.owners import Controller, Owner, owner_of, remedy


def controller(api_version: str, kind: str, name: str) -> Controller:
    return Controller(api_version=api_version, kind=kind, name=name, uid="u")


@pytest.mark.parametrize(
    ("made_by", "template_hash", "owner"),
    [
        pytest.param(
            controller("apps/v1", "ReplicaSet", "api-7d4b"),
            "7d4b",
            Owner(kind="Deployment", name="api"),
            id="deployment",
        ),
        pytest.param(
            controller("apps/v1", "ReplicaSet", "api-7d4b"),
            None,
            Owner(kind="ReplicaSet", name="api-7d4b"),
            id="no hash",
        ),
        pytest.param(
            controller("apps/v1", "ReplicaSet", "api-7d4b"),
            "other",
            Owner(kind="ReplicaSet", name="api-7d4b"),
            id="another hash",
        ),
        pytest.param(
            controller("argoproj.io/v1alpha1", "ReplicaSet", "api-7d4b"),
            "7d4b",
            Owner(kind="ReplicaSet", name="api-7d4b"),
            id="somebody else's ReplicaSet",
        ),
        pytest.param(
            controller("batch/v1", "Job", "report-29401230"), None, Owner(kind="CronJob", name="report"), id="cron job"
        ),
        pytest.param(controller("batch/v1", "Job", "report"), None, Owner(kind="Job", name="report"), id="job"),
        pytest.param(
            controller("batch/v1", "Job", "report-2026"), None, Owner(kind="Job", name="report-2026"), id="year"
        ),
        pytest.param(
            controller("apps/v1", "StatefulSet", "db"), None, Owner(kind="StatefulSet", name="db"), id="stateful set"
        ),
    ],
)
def test_owner_is_what_a_person_restarts(made_by: Controller, template_hash: str | None, owner: Owner) -> None:
    assert owner_of(made_by, template_hash) == owner


@pytest.mark.parametrize(
    ("owner", "text"),
    [
        (Owner(kind="Deployment", name="api"), "kubectl rollout restart deployment/api -n shop"),
        (Owner(kind="StatefulSet", name="db"), "kubectl rollout restart statefulset/db -n shop"),
        (Owner(kind="DaemonSet", name="log"), "kubectl rollout restart daemonset/log -n shop"),
        (
            Owner(kind="ReplicaSet", name="a-1"),
            "delete the pods of ReplicaSet/a-1 (shop): their controller makes new ones",
        ),
        (
            Owner(kind="CronJob", name="report"),
            "wait for the next Job of CronJob/report (shop), or delete the one that runs",
        ),
        (
            Owner(kind="Job", name="once"),
            "delete Job/once (shop) and create it again: a Job's pods are never replaced",
        ),
        (Owner(kind="Pod", name="debug"), "delete Pod/debug (shop) and create it again: nothing controls it"),
        (
            Owner(kind="Deployment", name="x; rm -rf /"),
            'delete the pods of Deployment/"x; rm -rf /" ("shop"): no object can have that name',
        ),
        (
            Owner(kind="\x1b[31mKind", name="a"),
            'delete the pods of "\\x1b[31mKind"/a (shop): their controller makes new ones',
        ),
    ],
    ids=lambda value: value.kind if isinstance(value, Owner) else "",
)
def test_remedy_is_a_command_only_where_names_can_be_trusted(owner: Owner, text: str) -> None:
    assert remedy(owner, "shop") == text


def test_nothing_in_kube_system_is_restarted() -> None:
    assert remedy(Owner(kind="Deployment", name="dns"), "kube-system") == (
        "move Deployment/dns out of kube-system: the webhook is never asked about pods there"
    )
