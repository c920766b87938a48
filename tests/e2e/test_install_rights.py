"""What the installed ServiceAccounts may do: asked of a real API server, and tried there."""

import base64
import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
import trustme

from tests.e2e.installing import HOOKS, NAME, Release, eventually, namespace, release
from tests.e2e.kubectl import Kubectl

pytestmark = pytest.mark.cluster

WEBHOOK, CONTROLLER = "irsa-webhook", "irsa-controller"
Rule = tuple[str, str, str, str]
"""Group, resource, names and verbs, each joined by commas."""

CLUSTER_WIDE = {
    WEBHOOK: {("", "serviceaccounts", "", "get,list,watch")},
    CONTROLLER: {
        ("", "pods", "", "list,watch"),
        ("", "serviceaccounts", "", "get,list,watch"),
        ("events.k8s.io", "events", "", "create,patch"),
        ("admissionregistration.k8s.io", "mutatingwebhookconfigurations", "irsa-webhook", "get,patch"),
    },
}
AT_HOME = {
    WEBHOOK: {("", "configmaps", "irsa-mappings", "list,watch")},
    CONTROLLER: {
        ("", "configmaps", "irsa-mappings", "get,list,watch"),
        ("", "secrets", "irsa-webhook-ca,irsa-webhook-tls", "get,patch"),
        ("coordination.k8s.io", "leases", "irsa-controller", "get,patch"),
    },
}


@pytest.fixture(scope="module")
def elsewhere(kubectl: Kubectl) -> Iterator[str]:
    with namespace(kubectl) as name:
        yield name


@pytest.fixture(scope="module")
def released(kubectl: Kubectl, elsewhere: str) -> Iterator[Release]:
    assert elsewhere, "made before there are hooks that would wait for a Service"
    with release(kubectl) as made:
        made.install()
        yield made


def rules_of(released: Release, service_account: str, *, where: str) -> set[Rule]:
    """Return the rules for *service_account* in the namespace *where*, as the API server sees them."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": where},
    }
    flags = released.as_service_account(service_account)
    done = released.kubectl("create", "-o", "json", "-f", "-", *flags, manifests=[review])
    fields = ("apiGroups", "resources", "resourceNames", "verbs")
    rules = json.loads(done.stdout)["status"]["resourceRules"]
    return {tuple(",".join(rule.get(field, [])) for field in fields) for rule in rules}  # type: ignore[misc] # of four


@pytest.mark.parametrize("name", [WEBHOOK, CONTROLLER])
def test_rights_are_these_and_no_others(released: Release, elsewhere: str, name: str) -> None:
    everybodys = rules_of(released, "app", where=elsewhere)

    assert rules_of(released, name, where=elsewhere) - everybodys == CLUSTER_WIDE[name]
    assert rules_of(released, name, where=released.namespace) - everybodys == CLUSTER_WIDE[name] | AT_HOME[name]


def attempt(released: Release, name: str, *arguments: str, manifests: tuple[Any, ...] = ()) -> str:
    """Return why *arguments* of kubectl were refused to *name*, or nothing where they were not."""
    flags = [*released.as_service_account(name), *([] if "--raw" in arguments else ["-n", released.namespace])]
    try:
        released.kubectl(*arguments, *flags, manifests=manifests)
    except AssertionError as error:
        return str(error)
    return ""


MAPPINGS = "metadata.name%3Dirsa-mappings"


@pytest.mark.parametrize("name", [WEBHOOK, CONTROLLER])
@pytest.mark.parametrize("query", [f"fieldSelector={MAPPINGS}", f"watch=1&timeoutSeconds=1&fieldSelector={MAPPINGS}"])
def test_one_config_map_is_listed_and_watched_by_its_name(released: Release, name: str, query: str) -> None:
    config_maps = f"/api/v1/namespaces/{released.namespace}/configmaps"

    assert attempt(released, name, "get", "--raw", f"{config_maps}?{query}") == ""
    others = query.replace("irsa-mappings", "irsa-settings")
    assert "forbidden" in attempt(released, name, "get", "--raw", f"{config_maps}?{others}")
    assert "forbidden" in attempt(released, name, "get", "--raw", config_maps)


SECRET = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "other"}}
LEASE = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "other"}}
DATA = '{"data": {"tls.crt": "Y2VydA=="}}'
HOOK_LABEL = '{"metadata": {"labels": {"a": "b"}}}'


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["get", "secret", "irsa-webhook-tls"], id="read a Secret, its own too"),
        pytest.param(["get", "secrets"], id="list Secrets"),
        pytest.param(["patch", "secret", "irsa-webhook-tls", "-p", DATA], id="write a Secret"),
        pytest.param(["get", HOOKS, NAME], id="read its configuration"),
        pytest.param(["patch", HOOKS, NAME, "-p", HOOK_LABEL], id="change its configuration"),
        pytest.param(["delete", HOOKS, NAME], id="delete its configuration"),
        pytest.param(["get", "pods"], id="list pods"),
        pytest.param(["annotate", "serviceaccount", "app", "a=b"], id="annotate a ServiceAccount"),
        pytest.param(["create", "token", "app"], id="make a token"),
    ],
)
def test_stolen_webhook_can_do_nothing(released: Release, arguments: list[str]) -> None:
    assert "forbidden" in attempt(released, WEBHOOK, *arguments).lower()


@pytest.mark.parametrize("name", ["irsa-webhook-ca", "irsa-webhook-tls"])
def test_controller_writes_its_own_secrets(released: Release, name: str) -> None:
    assert attempt(released, CONTROLLER, "get", "secret", name) == ""
    assert attempt(released, CONTROLLER, "patch", "secret", name, "-p", DATA) == ""


@pytest.mark.parametrize(
    ("arguments", "manifests"),
    [
        pytest.param(["get", "secret", "other"], (), id="read another Secret"),
        pytest.param(["get", "secrets"], (), id="list Secrets"),
        pytest.param(["create", "-f", "-"], (SECRET,), id="make a Secret"),
        pytest.param(["create", "-f", "-"], (LEASE,), id="make a Lease"),
        pytest.param(["delete", "secret", "irsa-webhook-ca"], (), id="delete its Secret"),
        pytest.param(["get", HOOKS], (), id="list webhook configurations"),
        pytest.param(["delete", HOOKS, NAME], (), id="delete its configuration"),
        pytest.param(["annotate", "serviceaccount", "app", "a=b"], (), id="annotate a ServiceAccount"),
        pytest.param(["create", "token", "app"], (), id="make a token"),
    ],
)
def test_stolen_controller_can_do_no_more(released: Release, arguments: list[str], manifests: tuple[Any, ...]) -> None:
    assert "forbidden" in attempt(released, CONTROLLER, *arguments, manifests=manifests).lower()


def test_controller_takes_its_turn_and_writes_events_anywhere(released: Release, elsewhere: str) -> None:
    spec = json.dumps({"spec": {"holderIdentity": "a"}})
    event = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": "a", "namespace": elsewhere},
        "eventTime": "2026-11-25T00:00:00.000000Z",
        "reportingController": "irsa/controller",
        "reportingInstance": "a",
        "action": "Inject",
        "reason": "Conflict",
        "type": "Warning",
        "regarding": {"kind": "Pod", "namespace": elsewhere, "name": "x"},
    }
    flags = released.as_service_account(CONTROLLER)

    assert attempt(released, CONTROLLER, "patch", "lease", CONTROLLER, "--type=merge", "-p", spec) == ""
    released.kubectl("create", "-f", "-", *flags, manifests=[event])


# What the policy holds the controller to. The hooks are the installed ones, patched with the controller's rights.

BUNDLE = base64.b64encode(trustme.CA().cert_pem.bytes()).decode()


def patch_hooks(released: Release, *operations: Any, flags: tuple[str, ...] = ()) -> str:
    document = json.dumps(operations)
    return attempt(released, CONTROLLER, "patch", HOOKS, NAME, "--type=json", "-p", document, *flags)


@pytest.fixture(scope="module")
def held(released: Release) -> Release:
    """The release, once the API server knows its policy, which is a moment after it is made."""
    probe = {"op": "add", "path": "/metadata/labels/probe", "value": "x"}

    def is_held() -> bool:
        # Dry, because what is changed once is no change the next time.
        return "denied request" in patch_hooks(released, probe, flags=("--dry-run=server",))

    eventually(is_held)
    return released


def add(path: str, value: Any) -> Any:
    return {"op": "add", "path": path, "value": value}


EVERYTHING = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*/*"], "scope": "*"}
HELD = "denied request: the controller of irsa may change caBundle"


@pytest.mark.parametrize("index", range(4))
def test_controller_changes_the_ca_bundle(held: Release, index: int) -> None:
    bundle = f"/webhooks/{index}/clientConfig/caBundle"

    assert patch_hooks(held, add(bundle, BUNDLE)) == ""
    assert held.hooks()["webhooks"][index]["clientConfig"]["caBundle"] == BUNDLE


def test_controller_applies_the_ca_bundle_as_its_own_field(held: Release) -> None:
    """By server-side apply, which is how the field stays its own when somebody else applies the rest."""
    hooks = [{"name": hook["name"], "clientConfig": {"caBundle": BUNDLE}} for hook in held.hooks()["webhooks"]]
    own = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": NAME},
        "webhooks": hooks,
    }
    flags = ["--server-side", "--field-manager=irsa-controller", "--force-conflicts", "--validate=false"]

    assert attempt(held, CONTROLLER, "apply", *flags, "-f", "-", manifests=(own,)) == ""


def changes_of_hook(index: int) -> dict[str, list[Any]]:
    """Return what may not be done to one hook: each of its fields set to what it is not."""
    hook = f"/webhooks/{index}"
    fields: dict[str, Any] = {
        "admissionReviewVersions": ["v1", "v1beta1"],
        "clientConfig/service/name": "evil",
        "clientConfig/service/namespace": "default",
        "clientConfig/service/path": "/elsewhere",
        "clientConfig/service/port": 8443,
        "failurePolicy": "Ignore" if index == 1 else "Fail",
        "matchConditions": [{"name": "all", "expression": "true"}],
        "matchPolicy": "Exact",
        "name": "other.webhook.irsa",
        "namespaceSelector": {},
        "objectSelector": {"matchLabels": {"a": "b"}},
        "reinvocationPolicy": "IfNeeded" if index == 3 else "Never",
        "rules": [EVERYTHING],
        "sideEffects": "NoneOnDryRun",
        "timeoutSeconds": 30,
    }
    url = [
        {"op": "remove", "path": f"{hook}/clientConfig/service"},
        add(f"{hook}/clientConfig/url", "https://evil.test/"),
    ]
    return {field: [add(f"{hook}/{field}", value)] for field, value in fields.items()} | {"url": url}


OTHER_CHANGES: dict[str, list[Any]] = {
    "one more": [{"op": "copy", "from": "/webhooks/0", "path": "/webhooks/-"}, add("/webhooks/4/name", "a.b.c")],
    "one less": [{"op": "remove", "path": "/webhooks/1"}],
    "another order": [{"op": "move", "from": "/webhooks/0", "path": "/webhooks/1"}],
    "labels": [add("/metadata/labels/a", "b")],
    "annotations": [add("/metadata/annotations/a", "b")],
    "finalizers": [add("/metadata/finalizers", ["a.b/c"])],
    "owners": [add("/metadata/ownerReferences", [{"apiVersion": "v1", "kind": "Namespace", "name": "x", "uid": "1"}])],
}


@pytest.mark.parametrize(
    "changes",
    [pytest.param(changes_of_hook(index), id=f"hook {index}") for index in range(4)]
    + [pytest.param(OTHER_CHANGES, id="the rest")],
)
def test_controller_changes_nothing_else(held: Release, changes: dict[str, list[Any]]) -> None:
    before = held.hooks()

    refusals = {change: patch_hooks(held, *operations) for change, operations in changes.items()}

    assert {change: text for change, text in refusals.items() if "(Forbidden)" not in text or HELD not in text} == {}
    assert held.hooks() == before


def test_change_of_the_ca_bundle_carries_no_other_with_it(held: Release) -> None:
    bundle = add("/webhooks/0/clientConfig/caBundle", BUNDLE)

    assert "denied request" in patch_hooks(held, bundle, add("/webhooks/0/rules", [EVERYTHING]))


def test_policy_names_every_field_that_the_api_server_knows(held: Release) -> None:
    """A field of a newer Kubernetes that the policy does not compare would be free to the controller."""
    document = json.loads(held.kubectl("get", "--raw", "/openapi/v3/apis/admissionregistration.k8s.io/v1").stdout)
    schemas = document["components"]["schemas"]
    policy = held.kubectl.get("validatingadmissionpolicy", CONTROLLER)["spec"]["validations"]
    text = " ".join(validation["expression"] for validation in policy)

    def fields(kind: str) -> set[str]:
        return set(schemas[f"io.k8s.api.admissionregistration.v1.{kind}"]["properties"])

    hook = fields("MutatingWebhook") - {"clientConfig"}
    config = fields("WebhookClientConfig") - {"caBundle"}
    assert {field for field in hook if f"w.?{field} == o.?{field}" not in text} == set()
    assert {field for field in config if f"w.clientConfig.?{field} == o.clientConfig.?{field}" not in text} == set()
    assert fields("MutatingWebhookConfiguration") == {"apiVersion", "kind", "metadata", "webhooks"}


def test_nobody_else_is_held_by_the_policy(held: Release) -> None:
    """Helm, kubectl and cert-manager go on as before."""
    before = held.hooks()
    after = copy.deepcopy(before)
    after["webhooks"][0]["timeoutSeconds"] = 7

    held.kubectl("replace", "-f", "-", manifests=[after])

    assert held.hooks()["webhooks"][0]["timeoutSeconds"] == 7
