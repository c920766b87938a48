"""(pod, ServiceAccount) -> how the identity that was injected differs from what the same pod would get today. Pure.

What was injected is taken out of the pod, the webhook's own decision puts in what holds today, and the two are
compared: role, token, profiles, and which containers have them. What else an injection adds, such as a region or a
proxy's exceptions, is no drift, and neither is a container's own ``AWS_ROLE_ARN``.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import jsonpatch

from app.access.observed import (
    CONTAINER_CREDENTIALS,
    Observed,
    Origin,
    Request,
    containers,
    observe,
    pair_at,
    requests_of,
    told_apart,
    volumes_of,
)
from app.access.pods import OPTED_OUT, Pod
from app.text import shown
from app.webhook.decision import Decision, Reason, Subject
from app.webhook.identity import Mode
from app.webhook.inject import LABEL, MalformedPodError, Object
from app.webhook.plan import CONFIG_ANNOTATION
from app.webhook.variables import CONFIG_FILE, TOKEN_FILE, WEB_IDENTITY

NOTHING: Final = "nothing"


class Kind(StrEnum):
    """What differs: a closed list, for metrics too."""

    ROLE = "role"
    """It has another role than it would get."""
    UNPATCHED = "unpatched"
    """It would get an identity and has none."""
    WITHDRAWN = "withdrawn"
    """It has an identity and would get none."""
    SETTINGS = "settings"
    """The role is the same; the token, the profiles or the containers differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One pod that does not have what it would get.

    Attributes:
        kind: what differs.
        field: where it differs; ``role_arn`` unless the kind is SETTINGS.
        has: what the pod has there, in words; text from strangers.
        gets: what it would get.
    """

    kind: Kind
    field: str
    has: str
    gets: str

    def __str__(self) -> str:
        return f"{self.field}: has {_inert(self.has)}, would get {_inert(self.gets)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A pod as it is, and as it would be.

    Attributes:
        observed: what it asks for now.
        decision: what the webhook would say to it today, were there nothing of ours in it yet.
        drift: how it differs; None where it does not, or cannot be told.
    """

    observed: Observed
    decision: Decision
    drift: Drift | None


Decide = Callable[[Subject, Callable[[], Object]], Decision]
"""``app.webhook.decision.decide`` with the ServiceAccount and the operator's choices filled in."""


def judge(pod: Pod, decide: Decide) -> Judgement:
    """Return how *pod* stands to what it would get today.

    Args:
        pod: the pod.
        decide: the webhook's decision as of today.
    """
    try:
        found = requests_of(pod.document())
    except MalformedPodError:
        return Judgement(observed=observe(pod), decision=decide(pod.subject, pod.document), drift=None)
    bare = without_injection(pod, found)
    decision = decide(pod.subject, lambda: bare)
    role_arn = decision.role_arn or ""
    observed = observe(pod, expected_role=role_arn)
    if observed.requests != found:
        # What looked injected in one of the containers is its own: it stays.
        bare = without_injection(pod, observed.requests)
        decision = decide(pod.subject, lambda: bare)
    if decision.reason in {Reason.CONFLICT, Reason.MALFORMED_POD} or OPTED_OUT in pod.labels:
        return Judgement(observed=observed, decision=decision, drift=None)
    patched = jsonpatch.JsonPatch(copy.deepcopy(list(decision.operations))).apply(bare, in_place=True)
    today = told_apart(requests_of(patched), role_arn)
    gets = tuple(filter(_is_injected, today))
    return Judgement(observed=observed, decision=decision, drift=_difference(observed.injected, gets))


def without_injection(pod: Pod, requests: tuple[Request, ...]) -> Object:
    """Return the document of *pod* without what an injection added that says who the pod is.

    Args:
        pod: the pod.
        requests: what its containers ask for; only what was injected goes.
    """
    bare = pod.document()
    spec, metadata = bare["spec"], bare["metadata"]
    ours = volumes_of(spec) | {request.token.volume for request in requests if _is_injected(request) and request.token}
    by_name = {request.container: request for request in requests}
    for container in containers(spec):
        request = by_name.get(container["name"])
        if request is not None:
            _strip(container, request, ours)
        if "volumeMounts" in container:
            container["volumeMounts"] = [one for one in container["volumeMounts"] if one["name"] not in ours]
    if "volumes" in spec:
        spec["volumes"] = [one for one in spec["volumes"] if one["name"] not in ours]
    if any(request.config for request in requests):
        metadata["annotations"].pop(CONFIG_ANNOTATION, None)
    metadata.get("labels", {}).pop(LABEL, None)
    return bare


def _strip(container: Object, request: Request, ours: frozenset[str]) -> None:
    variables = container["env"]
    if request.config:
        variables[:] = [variable for variable in variables if variable["name"] != CONFIG_FILE]
    elif _is_injected(request):
        pair = WEB_IDENTITY if request.mode is Mode.WEB_IDENTITY else CONTAINER_CREDENTIALS
        index = pair_at(variables, pair)
        if index is not None:
            del variables[index : index + 2]
    elif request.token is not None and request.token.volume in ours:
        # To a container with a role of its own an injection adds where the token is.
        variables[:] = [variable for variable in variables if variable["name"] != TOKEN_FILE]


def _is_injected(request: Request) -> bool:
    return request.origin is Origin.INJECTED


def _difference(has: tuple[Request, ...], gets: tuple[Request, ...]) -> Drift | None:
    if not has and not gets:
        return None
    if not has:
        return Drift(kind=Kind.UNPATCHED, field="role_arn", has=NOTHING, gets=_asked(gets[0]))
    if not gets:
        return Drift(kind=Kind.WITHDRAWN, field="role_arn", has=_asked(has[0]), gets=NOTHING)
    if _asked(has[0]) != _asked(gets[0]):
        return Drift(kind=Kind.ROLE, field="role_arn", has=_asked(has[0]), gets=_asked(gets[0]))
    for field, before, after in _settings(has, gets):
        if before != after:
            return Drift(kind=Kind.SETTINGS, field=field, has=before, gets=after)
    return None


def _settings(has: tuple[Request, ...], gets: tuple[Request, ...]) -> Iterator[tuple[str, str, str]]:
    before, after = has[0], gets[0]
    yield "audience", before.token.audience if before.token else "", after.token.audience if after.token else ""
    yield "token_expiration", _seconds(before), _seconds(after)
    yield "profiles", before.config, after.config
    yield "containers", _names(has), _names(gets)


def _asked(request: Request) -> str:
    return request.role_arn if request.mode is Mode.WEB_IDENTITY else "container credentials"


def _seconds(request: Request) -> str:
    return f"{request.token.expiration} s" if request.token else ""


def _names(requests: tuple[Request, ...]) -> str:
    return ", ".join(sorted(request.container for request in requests))


def _inert(text: str) -> str:
    return text if text.isascii() and text.isprintable() and text else shown(text)
