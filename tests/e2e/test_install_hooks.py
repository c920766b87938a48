"""Which requests the installed configuration sends where: ours but for the address, asked by a real API server."""

import json
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.installing import Release, eventually, namespace, release, sent_to
from tests.e2e.kubectl import Kubectl
from tests.e2e.objects import pod
from tests.e2e.recorder import Recorder, recorder
from tests.e2e.registering import address_as_the_apiserver_sees_us

pytestmark = pytest.mark.cluster

STRICT_LABEL = {"irsa/require-identity": "true"}
OPT_OUT = "eks.amazonaws.com/skip-pod-identity-webhook"
MIRROR = "kubernetes.io/config.mirror"
NO_ONE = "https://127.0.0.1:1"
"""Nothing listens there: tcpmux, of 1988."""

KUBELET = ("--as=system:node:a", "--as-group=system:nodes", "--as-group=system:masters")
DEPLOYMENT_CONTROLLER = ("--as=system:serviceaccount:kube-system:deployment-controller", "--as-group=system:masters")
CONTROLLER_MANAGER = ("--as=system:kube-controller-manager", "--as-group=system:masters")


@pytest.fixture(scope="module")
def lenient(kubectl: Kubectl) -> Iterator[str]:
    with namespace(kubectl) as name:
        yield name


@pytest.fixture(scope="module")
def strict(kubectl: Kubectl) -> Iterator[str]:
    with namespace(kubectl, STRICT_LABEL) as name:
        yield name


@pytest.fixture(scope="module")
def released(kubectl: Kubectl, lenient: str, strict: str) -> Iterator[Release]:
    assert lenient != strict, "made before there are hooks that would wait for a Service"
    with release(kubectl) as made:
        made.install()
        yield made


@pytest.fixture(scope="module")
def asked(
    kubectl: Kubectl, released: Release, lenient: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Recorder]:
    folder: Path = tmp_path_factory.mktemp("recorder")
    with (
        recorder(address_as_the_apiserver_sees_us(kubectl), folder) as made,
        sent_to(released, made.url, made.ca_bundle),
    ):

        def is_asked() -> bool:
            probe = new_pod(lenient)
            kubectl("create", "--dry-run=server", "-f", "-", manifests=[probe])
            return made.paths(name_of(probe)) != []

        eventually(is_asked)
        yield made


@pytest.fixture
def _nobody_answers(kubectl: Kubectl, released: Release, strict: str) -> Iterator[None]:
    """The webhook at 0 replicas, as an API server finds it that can see as much at once."""

    def is_refused() -> bool:
        return 'failed calling webhook "require.webhook.irsa"' in refusal(kubectl, new_pod(strict))

    with sent_to(released, NO_ONE, None):
        eventually(is_refused)
        yield


def new_pod(namespace: str, *, service_account: str | None = "app", **metadata: Any) -> dict[str, Any]:
    name = f"pod-{secrets.token_hex(4)}"
    return pod(name, namespace=namespace, service_account=service_account, metadata=metadata)


def mirror_pod(namespace: str, **metadata: Any) -> dict[str, Any]:
    """A static pod as its kubelet shows it: on a node, and with no ServiceAccount, as the API server wants it."""
    made = new_pod(namespace, service_account=None, annotations={MIRROR: "hash"}, **metadata)
    del made["spec"]["schedulingGates"]
    made["spec"]["nodeName"] = "a"
    return made


def name_of(manifest: Mapping[str, Any]) -> str:
    return str(manifest["metadata"]["name"])


def try_to_create(kubectl: Kubectl, manifest: Mapping[str, Any], *flags: str) -> None:
    kubectl("create", "--dry-run=server", *flags, "-f", "-", manifests=[manifest])


def refusal(kubectl: Kubectl, manifest: Mapping[str, Any], *flags: str) -> str:
    """Return why it was refused, or nothing where it was admitted."""
    try:
        try_to_create(kubectl, manifest, *flags)
    except AssertionError as error:
        return str(error)
    return ""


SHAPES = [
    pytest.param({}, "/mutate", id="no labels, no annotations"),
    pytest.param({"labels": {"a": "b"}}, "/mutate", id="labels, no annotations"),
    pytest.param({"annotations": {"a": "b"}}, "/mutate", id="annotations, no labels"),
    pytest.param({"labels": {}, "annotations": {}}, "/mutate", id="empty labels and annotations"),
    pytest.param({"labels": {OPT_OUT: "true"}}, None, id="opted out"),
    pytest.param({"labels": {OPT_OUT: ""}, "annotations": {"a": "b"}}, None, id="opted out by an empty label"),
    pytest.param({"annotations": {OPT_OUT: "true"}}, "/mutate", id="an annotation opts nobody out"),
    pytest.param({"annotations": {MIRROR: "x"}}, None, id="said to be a mirror pod"),
    pytest.param({"labels": {OPT_OUT: "true"}, "annotations": {MIRROR: "x"}}, None, id="both"),
]


@pytest.mark.parametrize(("metadata", "path"), SHAPES)
def test_pod_is_asked_about_unless_it_opted_out(
    kubectl: Kubectl, asked: Recorder, lenient: str, metadata: Mapping[str, Any], path: str | None
) -> None:
    made = new_pod(lenient, service_account=None if MIRROR in metadata.get("annotations", {}) else "app", **metadata)

    refusal(kubectl, made)  # a mirror pod without a node is refused, but after the hooks

    assert asked.paths(name_of(made)) == ([path] if path else [])


@pytest.mark.parametrize(("metadata", "path"), SHAPES)
def test_no_pod_opts_out_of_a_strict_namespace(
    kubectl: Kubectl, asked: Recorder, strict: str, metadata: Mapping[str, Any], path: str | None
) -> None:
    made = new_pod(strict, service_account=None if MIRROR in metadata.get("annotations", {}) else "app", **metadata)

    refusal(kubectl, made)

    assert asked.paths(name_of(made)) == ["/mutate-required"], path


def test_mirror_pod_of_a_kubelet_is_let_by(kubectl: Kubectl, asked: Recorder, strict: str, lenient: str) -> None:
    in_strict, in_lenient, of_a_person = mirror_pod(strict), mirror_pod(lenient), mirror_pod(strict)

    refusal(kubectl, in_strict, *KUBELET)
    refusal(kubectl, in_lenient, *KUBELET)
    refusal(kubectl, of_a_person)

    assert asked.paths(name_of(in_strict)) == []
    assert asked.paths(name_of(in_lenient)) == []
    assert asked.paths(name_of(of_a_person)) == ["/mutate-required"]


def test_kubelet_can_only_say_so_of_mirror_pods(kubectl: Kubectl, asked: Recorder, strict: str) -> None:
    made = new_pod(strict)

    try_to_create(kubectl, made, *KUBELET)

    assert asked.paths(name_of(made)) == ["/mutate-required"]


@pytest.mark.parametrize("is_named", [True, False], ids=["named", "the default one"])
def test_mirror_pod_gets_no_service_account_that_could_have_a_role(
    kubectl: Kubectl, asked: Recorder, lenient: str, is_named: bool
) -> None:
    """Why a pod that is said to be one may pass the lenient hook: it gives away its identity, and gains nothing."""
    made = mirror_pod(lenient)
    if is_named:
        made["spec"]["serviceAccountName"] = "app"
        assert "a mirror pod may not reference service accounts" in refusal(kubectl, made)
    else:
        done = kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", manifests=[made])
        assert "serviceAccountName" not in json.loads(done.stdout)["spec"]
    assert asked.paths(name_of(made)) == []


def test_neither_kube_system_nor_our_namespace_is_asked_about(
    kubectl: Kubectl, asked: Recorder, released: Release
) -> None:
    ours, system = new_pod(released.namespace), new_pod("kube-system", service_account=None)
    # A label on it makes no difference: the webhook never waits for itself.
    kubectl("label", "namespace", released.namespace, "irsa/require-identity=true", "--overwrite")
    try:
        try_to_create(kubectl, ours)
        refusal(kubectl, system)
    finally:
        kubectl("label", "namespace", released.namespace, "irsa/require-identity-")

    assert asked.paths(name_of(ours)) == []
    assert asked.paths(name_of(system)) == []


def test_ephemeral_containers_have_a_hook_of_their_own(kubectl: Kubectl, asked: Recorder, strict: str) -> None:
    made = new_pod(strict)
    kubectl.create(made)
    try:
        debug = ["debug", f"pod/{name_of(made)}", "--image=example.invalid/debug", "--attach=false", "--quiet"]
        kubectl(*debug, "--namespace", strict)
        kubectl("annotate", "pod", name_of(made), "a=b", "--namespace", strict)  # an update that is none of ours
    finally:
        kubectl("delete", "pod", name_of(made), "--namespace", strict, "--wait=false")

    assert asked.paths(name_of(made)) == ["/mutate-required", "/mutate-ephemeral"]


def workload(kind: str, namespace: str, **metadata: Any) -> dict[str, Any]:
    """The smallest object of *kind* that has a pod template, or a ServiceAccount."""
    labels = {"app": "x"}
    containers = [{"name": "app", "image": "example.invalid/app"}]
    template: dict[str, Any] = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    once = {**template, "spec": template["spec"] | {"restartPolicy": "Never"}}
    selected = {"selector": {"matchLabels": labels}, "template": template}
    job = {"template": once}
    fields: dict[str, tuple[str, dict[str, Any]]] = {
        "ServiceAccount": ("v1", {}),
        "PodTemplate": ("v1", {"template": template}),
        "ReplicationController": ("v1", {"spec": {"replicas": 0, "selector": labels, "template": template}}),
        "Deployment": ("apps/v1", {"spec": selected}),
        "StatefulSet": ("apps/v1", {"spec": selected | {"serviceName": "x"}}),
        "DaemonSet": ("apps/v1", {"spec": selected}),
        "ReplicaSet": ("apps/v1", {"spec": selected}),
        "Job": ("batch/v1", {"spec": job}),
        "CronJob": ("batch/v1", {"spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": job}}}),
    }
    version, rest = fields[kind]
    name = f"{kind.lower()}-{secrets.token_hex(4)}"
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": namespace} | metadata, **rest}


KINDS = [
    "ServiceAccount",
    "PodTemplate",
    "ReplicationController",
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "ReplicaSet",
    "Job",
    "CronJob",
]


@pytest.mark.parametrize("kind", KINDS)
def test_person_is_warned_about_everything_with_a_pod_template(
    kubectl: Kubectl, asked: Recorder, lenient: str, kind: str
) -> None:
    made = workload(kind, lenient)

    try_to_create(kubectl, made)

    assert asked.paths(name_of(made)) == ["/warn"]


def owner(**fields: Any) -> dict[str, Any]:
    return {"apiVersion": "example.test/v1", "kind": "Thing", "name": "x", "uid": "1"} | fields


@pytest.mark.parametrize(
    ("owners", "path"),
    [
        pytest.param([], "/warn", id="no owner"),
        pytest.param([owner()], "/warn", id="an owner that says nothing of control"),
        pytest.param([owner(controller=False)], "/warn", id="an owner that does not control"),
        pytest.param([owner(), owner(uid="2", controller=True)], None, id="a controller"),
    ],
)
def test_what_a_controller_made_warns_nobody(
    kubectl: Kubectl, asked: Recorder, lenient: str, owners: list[Any], path: str | None
) -> None:
    made = workload("Job", lenient, ownerReferences=owners)

    try_to_create(kubectl, made)

    assert asked.paths(name_of(made)) == ([path] if path else [])


@pytest.mark.parametrize("who", [DEPLOYMENT_CONTROLLER, CONTROLLER_MANAGER], ids=["its own account", "one for all"])
def test_what_the_control_plane_changes_warns_nobody(
    kubectl: Kubectl, asked: Recorder, lenient: str, who: tuple[str, ...]
) -> None:
    made = workload("Deployment", lenient)

    try_to_create(kubectl, made, *who)

    assert asked.paths(name_of(made)) == []


def test_person_is_warned_again_on_a_change(kubectl: Kubectl, asked: Recorder, lenient: str) -> None:
    made = workload("ServiceAccount", lenient)
    kubectl.create(made)
    annotation = json.dumps({"metadata": {"annotations": {"a": "b"}}})

    kubectl("patch", "serviceaccount", name_of(made), "-n", lenient, "--patch", annotation)

    assert asked.paths(name_of(made)) == ["/warn", "/warn"]


@pytest.mark.usefixtures("_nobody_answers")
@pytest.mark.parametrize(
    "metadata",
    [
        pytest.param({}, id="a plain pod"),
        pytest.param({"labels": {OPT_OUT: "true"}}, id="one that opts out"),
        pytest.param({"labels": {"app.kubernetes.io/name": "irsa"}}, id="one with our labels"),
        pytest.param({"labels": {"irsa/require-identity": "false"}}, id="one with the namespace's label"),
    ],
)
def test_strict_namespace_refuses_every_pod_while_nobody_answers(
    kubectl: Kubectl, strict: str, metadata: Mapping[str, Any]
) -> None:
    assert 'failed calling webhook "require.webhook.irsa"' in refusal(kubectl, new_pod(strict, **metadata))


@pytest.mark.usefixtures("_nobody_answers")
def test_strict_namespace_is_not_deceived_by_a_mirror_annotation(kubectl: Kubectl, strict: str) -> None:
    made = mirror_pod(strict)

    assert 'failed calling webhook "require.webhook.irsa"' in refusal(kubectl, made)


@pytest.mark.usefixtures("_nobody_answers")
def test_all_else_goes_on_while_nobody_answers(kubectl: Kubectl, released: Release, lenient: str, strict: str) -> None:
    """A cold start with a strict namespace in the cluster: the webhook's own pods are admitted, and so it comes."""
    try_to_create(kubectl, new_pod(lenient))
    try_to_create(kubectl, new_pod(released.namespace))
    assert "failed calling webhook" not in refusal(kubectl, new_pod("kube-system", service_account=None))
    for kind in KINDS:
        try_to_create(kubectl, workload(kind, strict))
