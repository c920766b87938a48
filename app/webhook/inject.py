"""(pod, identity) -> the JSONPatch operations that give the pod its identity. Pure.

Works on the raw document. Each operation adds one thing that is missing, in an order that works on the original object,
and a second run finds nothing to add, whatever other webhooks did in between.

The patched pod is the one that the AWS webhook makes (pkg/handler/handler.go), where that one is right:

- the label of container-credentials mode; the volume first in the pod; the mount and the variables last in each
  container;
- a variable that is there, whatever its value, stays; variables that belong together are added together or not at all
  (``app.webhook.variables``);
- a container that has its credentials, its region and its STS setting already is not touched.

Where it is not right: what only has our name is not taken for ours (``app.webhook.mounts``); if our variable would
point at a mount that only has our place, that is a conflict and nothing is injected; our volume that is mounted
elsewhere is mounted in our place too; and where every container is skipped, no volume is added.
"""

from collections.abc import Set as AbstractSet
from typing import Final

from app.text import shown
from app.webhook.containers import containers
from app.webhook.document import (
    ConflictError,
    MalformedPodError,
    Object,
    Operation,
    append,
    label,
    list_at,
    named,
    names_of,
    object_at,
)
from app.webhook.identity import Identity, Mode
from app.webhook.mounts import is_one_of, missing_mounts, tokens_in, volume_operations
from app.webhook.plan import CONFIG_ANNOTATION, TOKEN_MOUNT_PATH, Config, Endpoint, Injection, Plan, plan
from app.webhook.proxies import bypasses, completion
from app.webhook.variables import (
    REGION,
    SESSION_NAME,
    STATIC,
    STS,
    Chosen,
    Group,
    choose,
    has_value,
    in_the_way,
    missing,
    own_tokens,
    uses,
)

__all__ = [
    "TOKEN_MOUNT_PATH",
    "ConflictError",
    "Endpoint",
    "Injection",
    "MalformedPodError",
    "Object",
    "Operation",
    "check_use",
    "operations",
    "remarks",
]

LABEL: Final = "eks.amazonaws.com/pod-identity"
"""On pods with container credentials, whatever the prefix of the annotations is."""

MAX_ANNOTATION_BYTES: Final = 262_144
"""Of all keys and values of an object together; kube-apiserver refuses more (apimachinery, pkg/api/validation,
TotalAnnotationSizeLimitB)."""


def operations(pod: Object, identity: Identity, *, injection: Injection) -> list[Operation] | None:
    """Return what to add to *pod*, empty where nothing is missing, None where every container is skipped.

    Raises:
        MalformedPodError: *pod* is no pod that we could read.
        ConflictError: it has something of ours that is not ours.
    """
    spec = object_at(pod, "spec", "")
    chosen = containers(spec, identity)
    if not chosen:
        return None
    wanted = plan(pod, identity, spec=spec, injection=injection)
    added: list[Operation] = []
    uses_token = uses_config = False
    for path, container in chosen:
        lacked, what = _container(container, path, wanted)
        added += lacked
        uses_token = uses_token or what.uses_token
        uses_config = uses_config or what.uses_config
    first: list[Operation] = []
    volumes = [wanted.token] if uses_token or not wanted.token.is_renamed else []
    if identity.mode is Mode.CONTAINER_CREDENTIALS:
        first = label(pod, "labels", LABEL, "enabled")
    if wanted.config and uses_config:
        first = _annotation(pod, wanted.config)
        volumes.append(wanted.config.volume)
    return first + volume_operations(spec, volumes) + added


def check_use(pod: Object, identity: Identity, *, injection: Injection) -> list[str]:
    """See that one container of *pod* at least will show AWS a token: ours, or one of the pod's own.

    A container that has variables of ours wants no identity, or brings one. Where each pod must have one, a pod of none
    but the former is refused. Static keys are not: they may be for a store that is not AWS's.

    Returns:
        What a person should know: where SDKs take static keys instead.

    Raises:
        ConflictError: no container will.
        MalformedPodError: *pod* is no pod that we could read.
    """
    spec = object_at(pod, "spec", "")
    wanted = plan(pod, identity, spec=spec, injection=injection).credentials
    tokens = tokens_in(named(list_at(spec, "volumes", "/spec"), "/spec", "volumes"))
    is_used, kept_away, said = False, "", []
    for path, container in containers(spec, identity):
        env = list_at(container, "env", path)
        present = set(names_of(env, path, "env"))
        is_given = choose(env, present, wanted).uses_token
        if is_given or any(is_one_of(file, tokens, container, path) for file in own_tokens(env)):
            is_used = True
            if STATIC in present and has_value(env, STATIC):
                said.append(f"{_removal([STATIC], container)}: SDKs take it instead of the role")
        else:
            kept_away = kept_away or _removal(in_the_way(env, present, wanted), container)
    if not is_used:
        raise ConflictError(f"{kept_away}: no container uses its token")
    return said


def _removal(variables: list[str], container: Object) -> str:
    return f"remove {', '.join(variables)} from container {shown(container['name'])}"


def remarks(pod: Object, identity: Identity, *, injection: Injection) -> list[str]:
    """Return what a person must see to in a *pod* with its identity, because it cannot be done here; mostly nothing.

    Raises:
        MalformedPodError: *pod* is no pod that we could read.
    """
    hosts = bypasses(injection.endpoint.full_uri)
    if identity.mode is not Mode.CONTAINER_CREDENTIALS or not hosts:
        return []
    found = [
        completion(container, list_at(container, "env", path), path, hosts=hosts)[1]
        for path, container in containers(object_at(pod, "spec", ""), identity)
    ]
    return [text for text in found if text is not None]


def _annotation(pod: Object, config: Config) -> list[Operation]:
    added = label(pod, "annotations", CONFIG_ANNOTATION, config.text)
    annotations = (pod.get("metadata") or {}).get("annotations") or {}
    if annotations.get(CONFIG_ANNOTATION, config.text) != config.text:
        raise ConflictError(f"remove annotation {CONFIG_ANNOTATION} from the pod: its text is written here")
    excess = _bytes(annotations | {CONFIG_ANNOTATION: config.text}) - MAX_ANNOTATION_BYTES
    if added and excess > 0:
        raise ConflictError(
            f"shorten the pod's annotations by {excess} bytes: {CONFIG_ANNOTATION} is one more, and "
            f"{MAX_ANNOTATION_BYTES} is what they may have"
        )
    return added


def _bytes(annotations: Object) -> int:
    texts = (text for entry in annotations.items() for text in entry if isinstance(text, str))
    return sum(len(text.encode("utf-8", "replace")) for text in texts)


def _container(container: Object, path: str, wanted: Plan) -> tuple[list[Operation], Chosen]:
    """Return what to add to a *container*, which is at *path*, and what it uses then."""
    env = list_at(container, "env", path)
    present = set(names_of(env, path, "env"))
    chosen = choose(env, present, wanted.credentials)
    is_ours = chosen.uses_token or uses(env, present, wanted.credentials)
    session = wanted.session if is_ours else ()
    proxied = completion(container, env, path, hosts=wanted.hosts)[0] if is_ours and wanted.hosts else []
    if not chosen.uses_token and _is_complete(present, session):
        return proxied, chosen
    lacked = missing((*wanted.before, *chosen.groups, *session, *wanted.after), present)
    mounts: list[Object] = []
    if chosen.uses_token or not wanted.token.is_renamed:
        mounts = missing_mounts(container, path, wanted.token, is_pointed_at=chosen.uses_token)
    if wanted.config and chosen.uses_config:
        mounts += missing_mounts(container, path, wanted.config.volume, is_pointed_at=True)
    added = append(container, "env", path, lacked) + proxied + append(container, "volumeMounts", path, mounts)
    return added, chosen


def _is_complete(present: AbstractSet[str], session: tuple[Group, ...]) -> bool:
    """Return whether a container that has its credentials has all else too, by which it is known as somebody's work."""
    return not (present.isdisjoint(REGION) or present.isdisjoint(STS) or (session and SESSION_NAME not in present))
