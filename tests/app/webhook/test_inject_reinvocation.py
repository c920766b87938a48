"""Ours and other webhooks in any order: one stable result, each piece of ours once where it belongs."""

import copy
from collections.abc import Callable
from typing import Any

import jsonpatch
from hypothesis import given
from hypothesis import strategies as st

from app.webhook.identity import Identity
from app.webhook.inject import Injection, operations
from app.webhook.profiles import Profile
from tests.app.webhook.injections import ENDPOINT, endpoint_identity, identity
from tests.builders import container, pod

Pod = dict[str, Any]
Injector = Callable[[Pod], None]

PROFILES = (Profile(name="audit", role_arn="arn:aws:iam::444455556666:role/audit"),)
SKIPPED = "istio-proxy"
WHO = {
    "web identity": identity(skip_containers=frozenset({SKIPPED})),
    "session name": identity(skip_containers=frozenset({SKIPPED}), has_session_name=True, region="us-east-1"),
    "profiles": identity(skip_containers=frozenset({SKIPPED}), profiles=PROFILES),
    "container credentials": endpoint_identity(skip_containers=frozenset({SKIPPED})),
}
ADDED_ONCE = frozenset(
    {
        "AWS_STS_REGIONAL_ENDPOINTS",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_ROLE_ARN",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_ROLE_SESSION_NAME",
        "AWS_CONFIG_FILE",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        "NO_PROXY",
    }
)


def listed(parent: Pod, key: str) -> list[Any]:
    if parent.get(key) is None:
        parent[key] = []
    found = parent[key]
    assert isinstance(found, list)
    return found


def is_new(items: list[Any], name: str) -> bool:
    return all(item["name"] != name for item in items)


def sidecar(name: str, *, key: str = "containers", at: int | None = None) -> Injector:
    """Return one that adds a container, in front or at the end, as vault-agent, Dapr and Istio do."""

    def inject(pod: Pod) -> None:
        there = listed(pod["spec"], key)
        if is_new(there, name):
            there.insert(len(there) if at is None else at, container(name))

    return inject


def variable(**fields: Any) -> Injector:
    """Return one that adds a variable in front of those of each container, as proxies' injectors do."""

    def inject(pod: Pod) -> None:
        for one in [*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or [])]:
            if is_new(listed(one, "env"), fields["name"]):
                one["env"].insert(0, dict(fields))

    return inject


def no_proxy(pod: Pod) -> None:
    """Complete ``NO_PROXY`` as we do: where two webhooks each add it only where absent, the first one's stays."""
    variable(name="NO_PROXY", value=".svc")(pod)
    for one in [*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or [])]:
        for its in one["env"]:
            if its["name"] == "NO_PROXY" and ".svc" not in its["value"].split(","):
                its["value"] += ",.svc"


def volume(name: str, *, at: int | None, mounted: bool) -> Injector:
    """Return one that adds a volume, in front or at the end, and mounts it first in each container."""

    def inject(pod: Pod) -> None:
        there = listed(pod["spec"], "volumes")
        if is_new(there, name):
            there.insert(len(there) if at is None else at, {"name": name, "emptyDir": {}})
            for one in pod["spec"]["containers"] if mounted else ():
                listed(one, "volumeMounts").insert(0, {"name": name, "mountPath": f"/{name}"})

    return inject


def proxy_first(pod: Pod) -> None:
    """Move a container to the first place, as Istio does where applications are to wait for its proxy."""
    pod["spec"]["containers"].sort(key=lambda one: bool(one["name"] != SKIPPED))


def backwards(pod: Pod) -> None:
    pod["spec"]["containers"].reverse()
    for one in pod["spec"]["containers"]:
        listed(one, "env").reverse()
        listed(one, "volumeMounts").reverse()
    listed(pod["spec"], "volumes").reverse()


def defaults(pod: Pod) -> None:
    """Fill in what kube-apiserver does."""
    for one in listed(pod["spec"], "volumes"):
        for kind in ("projected", "downwardAPI"):
            if kind in one:
                one[kind].setdefault("defaultMode", 420)


def empty_lists(pod: Pod) -> None:
    """Write out lists that are not there, as a decoder into Go's types does."""
    listed(pod["spec"], "initContainers")
    for one in pod["spec"]["containers"]:
        listed(one, "env")
        listed(one, "volumeMounts")


OTHERS: dict[str, Injector] = {
    "sidecar first": sidecar(SKIPPED, at=0),
    "sidecar last": sidecar("vault-agent"),
    "init container": sidecar("vault-agent-init", key="initContainers", at=0),
    "variable": variable(name="DD_AGENT_HOST", valueFrom={"fieldRef": {"fieldPath": "status.hostIP"}}),
    "proxy": variable(name="HTTPS_PROXY", value="http://proxy:3128"),
    "no proxy": no_proxy,
    "volume first": volume("dapr", at=0, mounted=True),
    "volume last": volume("vault-secrets", at=None, mounted=False),
    "proxy first": proxy_first,
    "backwards": backwards,
    "defaults": defaults,
    "empty lists": empty_lists,
}


def ours(before: Pod, who: Identity) -> Pod:
    added = operations(before, who, injection=Injection())
    assert added is not None
    after = jsonpatch.apply_patch(before, added)
    assert operations(after, who, injection=Injection()) == []
    assert isinstance(after, dict)
    return after


OWN = [
    [],
    [{"name": "AWS_ROLE_ARN", "value": "arn:aws:iam::111122223333:role/own"}],
    [{"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": "/own"}],
    [{"name": "AWS_CONFIG_FILE", "value": "/own"}],
    [{"name": "NO_PROXY", "value": "localhost"}],
]
TAKEN = [
    None,
    [{"name": "aws-iam-token", "emptyDir": {}}],
    [{"name": "irsa-aws-config", "emptyDir": {}}, {"name": "eks-pod-identity-token", "emptyDir": {}}],
]
NAMES = st.sampled_from(sorted(OTHERS))


def made(env: list[Any], volumes: list[Any] | None) -> Pod:
    app = container("app") | ({"env": copy.deepcopy(env)} if env else {})
    return pod(app, container("plain"), initContainers=[container("init")], volumes=copy.deepcopy(volumes))


def pieces(one: dict[str, Any]) -> tuple[Any, ...]:
    """Return what a container has of ours, in an order of its own."""
    env = [variable for variable in one.get("env") or [] if variable["name"] in ADDED_ONCE]
    entries = {name: sorted(str(value).split(",")) for name, value in ((v["name"], v.get("value")) for v in env)}
    mounts = [mount for mount in one.get("volumeMounts") or [] if mount.get("readOnly")]
    assert len(entries) == len(env)
    return entries, sorted((mount["mountPath"], mount["name"]) for mount in mounts)


def summary(after: Pod) -> Any:
    """Return what a pod has of ours, each volume and container by its name."""
    spec = after["spec"]
    volumes = [one["name"] for one in spec["volumes"]]
    assert len(set(volumes)) == len(volumes)
    all_containers = [*spec["containers"], *spec["initContainers"]]
    return {one["name"]: pieces(one) for one in all_containers}, sorted(volumes), after["metadata"]


@given(
    st.sampled_from(sorted(WHO)),
    st.sampled_from(OWN),
    st.sampled_from(TAKEN),
    st.lists(st.one_of(st.just("ours"), NAMES), max_size=10),
)
def test_any_order_of_webhooks_leads_to_what_ours_alone_would_add_in_the_end(
    kind: str, env: list[Any], taken: list[Any] | None, order: list[str]
) -> None:
    who = WHO[kind]
    mixed, others = made(env, taken), made(env, taken)
    for name in order:
        if name == "ours":
            mixed = ours(mixed, who)
        else:
            OTHERS[name](mixed)
            OTHERS[name](others)

    # Reinvocation (IfNeeded) runs ours once more after whoever changed the pod.
    after = ours(mixed, who)

    assert summary(after) == summary(ours(others, who))
    for one in after["spec"]["containers"]:
        if one["name"] == SKIPPED:
            assert pieces(one)[1] == []


@given(st.lists(NAMES, max_size=6), st.lists(NAMES, max_size=6))
def test_every_container_but_the_skipped_one_ends_with_credentials(before: list[str], after: list[str]) -> None:
    for who in WHO.values():
        changed = made([], None)
        for name in before:
            OTHERS[name](changed)
        changed = ours(changed, who)
        for name in after:
            OTHERS[name](changed)
        changed = ours(changed, who)

        for one in [*changed["spec"]["containers"], *changed["spec"]["initContainers"]]:
            entries, mounts = pieces(one)
            found = {"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONFIG_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI"} & {
                *entries
            }
            assert len(found) == (0 if one["name"] == SKIPPED else 1)
            assert bool(mounts) == bool(found)
            if ENDPOINT in str(entries) and "HTTPS_PROXY" in str(one["env"]):
                assert "169.254.170.23" in entries["NO_PROXY"]
