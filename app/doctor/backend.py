"""Service, pods, endpoints and NetworkPolicies: who stands behind the hooks. Pure."""

from collections.abc import Iterator
from typing import Any, Final

from app.doctor.findings import Finding, broken, ok, unknown, warning
from app.doctor.record import NOTHING, WEBHOOK, Document, Installation, Unread, dig, known, listed
from app.doctor.selectors import selects
from app.text import shown

SERVICE: Final = "service"
PODS: Final = "pods"
ENDPOINTS: Final = "endpoints"
NETWORK: Final = "network policies"

PORT: Final = 443
NAMED: Final = 3
"""Pods that are named; more say the same."""


def service(found: Installation) -> Finding:
    """Return whether the Service that the hooks name leads to the port of the webhook's pods."""
    remedy = f"helm upgrade --install irsa CHART -n {found.namespace}"
    if isinstance(found.service, Unread):
        return unknown(SERVICE, found.service)
    if found.service is None:
        return broken(
            SERVICE,
            f"no Service {WEBHOOK} in namespace {found.namespace}",
            meaning="the API server has no address of the webhook",
            remedy=remedy,
        )
    problem = _misled(found.service, found)
    if problem:
        return broken(SERVICE, problem, meaning="the API server calls where no webhook is", remedy=remedy)
    return ok(SERVICE, f"{WEBHOOK}.{found.namespace}.svc:{PORT}")


def _misled(document: Document, found: Installation) -> str:
    elsewhere = [where for hook in found.hooks().values() if (where := _elsewhere(hook, found))]
    if elsewhere:
        return elsewhere[0]
    ports = {port["port"]: port.get("targetPort", port["port"]) for port in dig(document, "spec", "ports") or ()}
    if PORT not in ports:
        return f"it has no port {PORT}"
    template = dig(known(found.webhook), "spec", "template", "metadata", "labels")
    if not template:
        return ""
    selector = dig(document, "spec", "selector") or NOTHING
    if not selector or not selector.items() <= template.items():
        return f"its selector {shown(_labels(selector))} is not that of the pods of Deployment {WEBHOOK}"
    if ports[PORT] not in _ports(found):
        return f"its port {PORT} leads to {shown(str(ports[PORT]))}, not to https of the pods"
    return ""


def _elsewhere(hook: Document, found: Installation) -> str:
    where = hook["clientConfig"].get("service")
    if where is None:
        return ""
    named = f"{where['namespace']}/{where['name']}:{where.get('port', PORT)}"
    wanted = f"{found.namespace}/{WEBHOOK}:{PORT}"
    return "" if named == wanted else f"{hook['name']} calls {shown(named)}, not {wanted}"


def pods(found: Installation) -> Finding:
    """Return whether the webhook's pods are there and ready, and what keeps those that are not."""
    unread = next((one for one in (found.webhook, found.pods) if isinstance(one, Unread)), None)
    if unread is not None:
        return unknown(PODS, unread)
    ours = found.webhook_pods()
    if not ours:
        return _without(found)
    waiting = [pod for pod in ours if not is_ready(pod)]
    if not waiting:
        return ok(PODS, f"{len(ours)} ready")
    seen = f"{len(ours) - len(waiting)} of {len(ours)} ready; " + "; ".join(_troubles(waiting, found))
    remedy = f"kubectl describe -n {found.namespace} pod {waiting[0]['metadata']['name']}"
    if len(waiting) == len(ours):
        return broken(PODS, seen, meaning="there is nobody to answer the API server", remedy=remedy)
    return warning(PODS, seen, meaning="those that are ready do the work", remedy=remedy)


def _without(found: Installation) -> Finding:
    """Return why there is no pod of the webhook."""
    namespace, wanted = found.namespace, dig(known(found.webhook), "spec", "replicas")
    if found.webhook is None:
        seen = f"no Deployment {WEBHOOK} in namespace {namespace}"
        remedy = f"helm upgrade --install irsa CHART -n {namespace}, or name its namespace with --namespace"
    elif wanted == 0:
        seen = "the Deployment has 0 replicas"
        remedy = f"kubectl scale -n {namespace} deployment/{WEBHOOK} --replicas=2"
    else:
        seen = f"no pod of {wanted}"
        remedy = f"kubectl describe -n {namespace} replicaset -l app.kubernetes.io/component=webhook"
    return broken(PODS, seen, meaning="there is no webhook", remedy=remedy)


def _troubles(waiting: list[Document], found: Installation) -> Iterator[str]:
    for pod in waiting[:NAMED]:
        name = pod["metadata"]["name"]
        said = found.readiness.get(name)
        yield f"{name}: {trouble(pod)}" + (f", /readyz says {shown(said, 200)}" if said else "")


def trouble(pod: Document) -> str:
    """Return what keeps *pod* from being ready, in its kubelet's or scheduler's words."""
    status = pod.get("status") or {}
    for container in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
        waiting = dig(container, "state", "waiting") or {}
        ended = dig(container, "state", "terminated") or dig(container, "lastState", "terminated") or {}
        if waiting.get("reason") not in {None, "ContainerCreating", "PodInitializing"}:
            return _because(waiting, ended)
        if dig(container, "state", "terminated"):
            return _because({}, ended)
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return f"{condition.get('reason', 'not scheduled')} {shown(condition.get('message', ''), 200)}"
    if any(dig(one, "state", "waiting") for one in status.get("containerStatuses") or ()):
        return "its container is not made yet: a Secret without its keys holds it up"
    return "not ready" if status.get("phase") == "Running" else str(status.get("phase") or "no state")


def _because(waiting: dict[str, Any], ended: dict[str, Any]) -> str:
    reason = str(waiting.get("reason") or ended.get("reason") or "ended")
    code = f", exit code {ended['exitCode']}" if ended.get("exitCode") else ""
    message = f" {shown(waiting['message'], 200)}" if waiting.get("message") else ""
    return f"{reason}{code}{message}"


def is_ready(pod: Document) -> bool:
    """Return whether *pod* is ready."""
    conditions = dig(pod, "status", "conditions") or ()
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)


def endpoints(found: Installation) -> Finding:
    """Return whether the Service has addresses that are ready."""
    if isinstance(found.slices, Unread):
        return unknown(ENDPOINTS, found.slices)
    every = [one for part in found.slices for one in part.get("endpoints") or ()]
    # What is not said counts as ready (EndpointConditions).
    ready = [a for one in every if dig(one, "conditions", "ready") is not False for a in one.get("addresses") or ()]
    if ready:
        return ok(ENDPOINTS, f"{len(ready)} ready")
    return broken(
        ENDPOINTS,
        f"no address of {len(every)} is ready" if every else f"the EndpointSlices of Service {WEBHOOK} are empty",
        meaning="the API server has nobody to call",
        remedy=f"kubectl get -n {found.namespace} endpointslices -l kubernetes.io/service-name={WEBHOOK} -o yaml",
    )


def network(found: Installation, *, is_reached: bool) -> Finding:
    """Return whether a NetworkPolicy of our namespace keeps the API server from the webhook's pods.

    An API server has no labels to be allowed by, so a policy that lets in only pods or namespaces keeps it out, unless
    the network plugin lets a node's own traffic in or the policy has its address.
    """
    if isinstance(found.policies, Unread):
        return unknown(NETWORK, found.policies)
    labels = dig(known(found.webhook), "spec", "template", "metadata", "labels")
    ours = [
        one
        for one in found.policies
        if "Ingress" in (dig(one, "spec", "policyTypes") or ("Ingress",))
        and selects(dig(one, "spec", "podSelector"), labels or NOTHING)
    ]
    if not ours:
        return ok(NETWORK, "none is for the webhook's pods")
    names = listed([one["metadata"]["name"] for one in ours])
    rules = [rule for one in ours for rule in dig(one, "spec", "ingress") or ()]
    to_us = [rule for rule in rules if _has_port(rule, _ports(found))]
    if any(not rule.get("from") for rule in to_us):
        return ok(NETWORK, f"{names}: from anywhere")
    if is_reached:
        return ok(NETWORK, f"{names}: the API server comes through all the same")
    blocks = any("ipBlock" in peer for rule in to_us for peer in rule["from"])
    if blocks:
        return unknown(NETWORK, Unread(f"{names} lets certain addresses in; the API server's may be one of them"))
    return broken(
        NETWORK,
        f"{names} lets nobody but certain pods to port {listed(sorted(map(str, _ports(found))))}",
        meaning="an API server has no labels to be allowed by",
        remedy=f"kubectl edit -n {found.namespace} networkpolicy {ours[0]['metadata']['name']}: allow the port from"
        " anywhere, as the chart's own policy does",
    )


def _ports(found: Installation) -> set[object]:
    """Return name and number of the port that the webhook's pods serve at."""
    containers = dig(known(found.webhook), "spec", "template", "spec", "containers")
    served = [port for container in containers or () for port in container.get("ports") or ()]
    return {"https", *(port["containerPort"] for port in served if port.get("name") == "https")}


def _has_port(rule: Document, ports: set[object]) -> bool:
    named = rule.get("ports")
    return not named or any("port" not in port or _covers(port, ports) for port in named)


def _covers(port: Document, ports: set[object]) -> bool:
    begin, end = port["port"], port.get("endPort")
    if end is None:
        return begin in ports
    return any(isinstance(one, int) and begin <= one <= end for one in ports)


def _labels(labels: Document) -> str:
    return listed([f"{key}={value}" for key, value in labels.items()])
