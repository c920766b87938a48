"""ServiceAccounts and pods -> who in the cluster asks for which AWS role: the access map. Pure.

One row is one role asked for by one ServiceAccount in one way. A role that only running pods still have, because their
ServiceAccount says another by now, has a row too: that is who uses it.
"""

import fnmatch
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from app.access.drift import Judgement, Kind
from app.access.known import Judging, Known
from app.access.observed import Observed, Origin, Request, profiles_of
from app.access.owners import Owner
from app.access.pods import Pod
from app.webhook.decision import Reason
from app.webhook.identity import Identity, Mode, Source

MAX_OWNERS: Final = 100
"""Of one row so many are named; a namespace may have ten thousand bare pods."""

NO_PODS: Final = "no pods"
NOT_USABLE: Final = "not usable"


class How(StrEnum):
    """How a ServiceAccount's pods come to ask for a role."""

    ANNOTATION = "annotation"
    """The ServiceAccount's own."""
    MAPPING = "mapping"
    CONTAINER_CREDENTIALS = "container credentials"
    PROFILE = "profile"
    """A further one beside the ServiceAccount's role."""
    VARIABLE = "own variable"
    """A container's own AWS_ROLE_ARN."""
    LEGACY_ANNOTATION = "legacy annotation"
    """The pods', of kube2iam and kiam."""
    INJECTED = "injected earlier"
    """Its running pods have it, and would not get it today."""
    TRUST_POLICY = "trust policy"
    """It does not ask, and the role would let it in."""


HOW: Final = {
    Source.ANNOTATION: How.ANNOTATION,
    Source.MAPPING: How.MAPPING,
    Source.CONTAINER_CREDENTIALS: How.CONTAINER_CREDENTIALS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Who asks for a role.

    Attributes:
        role_arn: the role, or what stands in its place; empty where an endpoint decides.
        namespace: of the ServiceAccount.
        service_account: its name.
        how: how it asks.
        pods: how many running pods have the role, or should.
        owners: what these belong to, at most `MAX_OWNERS`.
        odd: what somebody should look at, in words.
        audience: of the token that asks STS; empty where no token does.
    """

    role_arn: str
    namespace: str
    service_account: str
    how: How
    pods: int = 0
    owners: tuple[str, ...] = ()
    odd: tuple[str, ...] = ()
    audience: str = ""

    @property
    def account(self) -> str:
        """The role's AWS account, empty where it is not said."""
        parts = self.role_arn.split(":", 5)
        return parts[4] if len(parts) == 6 and parts[0] == "arn" else ""  # noqa: PLR2004 - the parts of an ARN


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which rows somebody wants to see.

    Attributes:
        role: a glob for the role.
        namespace: exactly this one.
        account: exactly this one.
    """

    role: str | None = None
    namespace: str | None = None
    account: str | None = None

    def has(self, row: Row) -> bool:
        """Return whether *row* is wanted."""
        return (
            (self.role is None or fnmatch.fnmatchcase(row.role_arn, self.role))
            and (self.namespace is None or row.namespace == self.namespace)
            and (self.account is None or row.account == self.account)
        )


_Key = tuple[str, str, str, How]


@dataclass(slots=True)
class _Tally:
    audience: str = ""
    pods: int = 0
    owners: dict[Owner, None] = field(default_factory=dict)
    odd: Counter[str] = field(default_factory=Counter)
    remarks: dict[str, None] = field(default_factory=dict)

    def add(self, pod: Pod, *odd: str) -> None:
        self.pods += 1
        if len(self.owners) < MAX_OWNERS:
            self.owners[pod.owner] = None
        self.odd.update(odd)


class AccessMap:
    """Collects rows; of the pods nothing is kept but numbers and owners."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._judging = Judging(known)
        self._tallies: dict[_Key, _Tally] = {}

    def add_service_account(self, namespace: str, name: str) -> None:
        """Add what a ServiceAccount asks for, if anything."""
        identified = self._known.identified(namespace, name)
        if identified.source is None:
            return
        if identified.identity is None:
            account = self._known.find(namespace, name)
            key = self._known.rules.vocabulary.key("role-arn")
            role = account.annotations.get(key, "") if account else ""
            self._tally(role, namespace, name, HOW[identified.source]).remarks[NOT_USABLE] = None
            return
        self._add_identity(identified.identity, namespace, name, HOW[identified.source])

    def add_pod(self, pod: Pod) -> None:
        """Add what a running pod asks for, if anything."""
        judgement = self._judging.judge(pod)
        observed = judgement.observed
        if observed.legacy_role:
            self._tally_of(pod, observed.legacy_role, How.LEGACY_ANNOTATION).add(pod)
        for role, audience in {_role_and_audience(one) for one in observed.requests if one.origin is Origin.VARIABLE}:
            if role:
                self._tally_of(pod, role, How.VARIABLE, audience).add(pod)
        self._add_identified(pod, judgement)

    def rows(self) -> Iterator[Row]:
        """Yield the rows, sorted by role, ServiceAccount and how."""
        for key in sorted(self._tallies):
            role_arn, namespace, service_account, how = key
            tally = self._tallies[key]
            counted = (f"{_pods(count)} {what}" for what, count in sorted(tally.odd.items()))
            odd = (*tally.remarks, *counted) if tally.pods else (*tally.remarks, NO_PODS)
            yield Row(
                role_arn=role_arn,
                namespace=namespace,
                service_account=service_account,
                how=how,
                pods=tally.pods,
                owners=tuple(sorted(map(str, tally.owners))),
                odd=odd,
                audience=tally.audience,
            )

    def _add_identity(self, identity: Identity, namespace: str, name: str, how: How) -> None:
        is_web = identity.mode is Mode.WEB_IDENTITY
        self._tally(identity.role_arn, namespace, name, how, identity.audience if is_web else "")
        for profile in identity.profiles:
            # A profile that another one assumes shows STS credentials, not a token.
            audience = "" if profile.source_profile else identity.audience
            self._tally(profile.role_arn, namespace, name, How.PROFILE, audience)

    def _add_identified(self, pod: Pod, judgement: Judgement) -> None:
        """Count *pod* for what was injected, and for what would be."""
        injected, drift = judgement.observed.injected, judgement.drift
        has = _role_and_audience(injected[0]) if injected else None
        is_conflict = judgement.decision.reason is Reason.CONFLICT
        today = self._known.identified(pod.namespace, pod.service_account)
        if today.identity is not None and today.source is not None:
            tally = self._tally_of(pod, today.identity.role_arn, HOW[today.source])
            if drift is not None and drift.kind is not Kind.WITHDRAWN:
                tally.add(pod, "unpatched" if drift.kind is Kind.UNPATCHED else "drifted")
            elif is_conflict:
                tally.add(pod, "conflicting")
            elif has is not None and drift is None:
                tally.add(pod)
        if has is not None and drift is not None and drift.kind in {Kind.ROLE, Kind.WITHDRAWN}:
            self._tally_of(pod, has[0], How.INJECTED, has[1]).add(pod, "drifted")
        for role in _profiles(judgement.observed):
            self._tally_of(pod, role, How.PROFILE).add(pod)

    def _tally_of(self, pod: Pod, role: str, how: How, audience: str = "") -> _Tally:
        return self._tally(role, pod.namespace, pod.service_account, how, audience)

    def _tally(self, role: str, namespace: str, name: str, how: How, audience: str = "") -> _Tally:
        tally = self._tallies.setdefault((role, namespace, name, how), _Tally())
        tally.audience = tally.audience or audience
        return tally


def _role_and_audience(request: Request) -> tuple[str, str]:
    is_web = request.mode is Mode.WEB_IDENTITY and request.token is not None
    return request.role_arn, request.token.audience if is_web and request.token else ""


def _profiles(observed: Observed) -> Iterable[str]:
    configs = {request.config for request in observed.requests if request.config}
    return {role for config in configs for _, role in profiles_of(config) if role}


def _pods(count: int) -> str:
    return "1 pod" if count == 1 else f"{count} pods"


def with_remark(row: Row, *remarks: str) -> Row:
    """Return *row* with further things to look at."""
    return replace(row, odd=(*row.odd, *remarks))
