"""Judges new pods and writes Events on what controls them, while we lead."""

import asyncio
import functools
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

import msgspec
import structlog

from app.access.pods import Pod
from app.assignments import is_file
from app.cluster.decoding import UNREADABLE
from app.controller.certificates import Api
from app.controller.events import (
    Finding,
    event,
    events_path,
    findings,
    mappings_finding,
    series,
    uid_path,
)
from app.controller.following import Following
from app.controller.ledger import Again, Ledger, Outcome, Tell
from app.controller.metrics import ControllerMetrics, Duty
from app.controller.untold import Backlog, Source, Untold
from app.errors import ClusterError, RefusedError
from app.webhook.assigned import Name

NEW_SECONDS: Final = 300.0
"""Pods that are older were told of by whoever led then, or before there was a webhook."""

SETTLE_SECONDS: Final = 5.0
"""So long after a pod appears it is judged: its ServiceAccount, or its annotation, may be some seconds behind it."""

LOOK_SECONDS: Final = 1.0

MAX_WAITING: Final = 20_000
"""Pods that wait to be judged, 5 MB. A burst that is larger is told of by those that fit: the owners are the same."""

MAX_JUDGED: Final = 20_000
"""UIDs of pods that were judged, 3 MB: a pod changes a few times in its first minutes, and is judged once."""

PODS_A_TURN: Final = 32

NOWHERE: Final[Mapping[str, str | None]] = MappingProxyType({})

log = structlog.get_logger()


class _Metadata(msgspec.Struct):
    uid: str


class _Identified(msgspec.Struct):
    metadata: _Metadata


class Telling:
    """The loop.

    Attributes:
        outcomes: what became of what was found, for the metric.
    """

    def __init__(
        self,
        api: Api,
        following: Following,
        *,
        instance: str,
        metrics: ControllerMetrics,
        places: Mapping[str, str | None] = NOWHERE,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """Write with *api* about what *following* hears.

        *instance* names this controller; *places* are the ConfigMaps of the assignments, by name.
        """
        self.outcomes: Counter[Outcome] = Counter()
        self._api = api
        self._following = following
        self._instance = instance
        self._metrics = metrics
        self._places = places
        self._clock = clock
        self._wall_clock = wall_clock
        self._sleep = sleep
        self._ledger = Ledger()
        self._waiting: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._judged: OrderedDict[str, None] = OrderedDict()
        self._told_problems: dict[Name, tuple[str, ...]] = {}
        self._backlog = Backlog()
        following.listen(self.heard)

    def heard(self, pod: Pod) -> None:
        """Note a pod that is new or changed, to be judged when it has settled."""
        is_new = pod.created >= self._wall_clock().timestamp() - NEW_SECONDS
        if is_new and pod.uid not in self._judged and len(self._waiting) < MAX_WAITING:
            self._waiting.setdefault((pod.namespace, pod.name), self._clock() + SETTLE_SECONDS)

    async def run(self) -> None:
        """Judge and write until cancelled."""
        while True:
            await self._sleep(LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Judge the pods that have settled, and tell what somebody must act on."""
        # Whoever starts with an assignment that cannot be read judges no pods, and has just that to tell.
        await self._tell_of_assignments()
        for untold in self._backlog.take_due(self._clock()):
            await self._try_again(untold)
        if not self._following.is_current():
            return
        turns = 0
        while self._waiting:
            key, due = next(iter(self._waiting.items()))
            if due > self._clock():
                return
            del self._waiting[key]
            await self._judge(*key)
            turns += 1
            if turns % PODS_A_TURN == 0:
                await asyncio.sleep(0)

    async def _judge(self, namespace: str, name: str) -> None:
        pod = self._following.pods.get(namespace, name)
        if pod is None or pod.uid in self._judged:
            return
        source = functools.partial(self._of_pod, namespace, name)
        for finding in findings(pod, self._following.known().judge(pod)):
            await self._tell(finding, source)
        self._judged[pod.uid] = None  # what could not be told of it is in the backlog
        if len(self._judged) > MAX_JUDGED:
            self._judged.popitem(last=False)

    async def _tell_of_assignments(self) -> None:
        """Tell each problem of an assignment once for each time that it is read."""
        for name, problems in self._following.assigned.problems.items():
            if problems is not self._told_problems.get(name):
                source = functools.partial(self._of_assignment, name)
                for finding in source():
                    await self._tell(finding, source)
                self._told_problems[name] = problems

    async def _try_again(self, untold: Untold) -> None:
        """Tell what is still so of what could not be told, and what became of it meanwhile."""
        now = self._clock()
        found = untold.source() if self._ledger.has_room(untold.namespace, now) else None
        if found is None:
            self._backlog.add(untold.finding, untold.source, now=now)
            return
        for finding in found:
            if finding not in self._ledger and finding not in self._backlog:
                await self._tell(finding, untold.source)

    def _of_pod(self, namespace: str, name: str) -> list[Finding] | None:
        if not self._following.is_current():
            return None
        pod = self._following.pods.get(namespace, name)
        return [] if pod is None else list(findings(pod, self._following.known().judge(pod)))

    def _of_assignment(self, name: Name) -> list[Finding]:
        place, assigned = self._places.get(name), self._following.assigned
        # A file's problems are in the log of whoever mounted it: there is no object to write on.
        if not place or is_file(place):
            return []
        namespace, _, config_map = place.partition("/")
        is_read = name not in assigned.unreadable
        return [
            mappings_finding(namespace, config_map, problem, is_read=is_read) for problem in assigned.problems[name]
        ]

    async def _tell(self, finding: Finding, source: Source) -> None:
        """Tell *finding*, or have *source* asked for it again where that cannot be now."""
        answer = self._ledger.offer(finding, self._clock())
        if isinstance(answer, Tell | Again):
            try:
                answer = await self._write(finding, answer)
            except ClusterError as error:
                self._ledger.forget(finding)
                self._metrics.failed(Duty.EVENTS)
                log.warning("event_failed", reason=finding.reason, problem=str(error))
                answer = Outcome.FAILED
        self.outcomes[answer] += 1
        if answer in {Outcome.FAILED, Outcome.LIMITED}:
            self._backlog.add(finding, source, now=self._clock())

    async def _write(self, finding: Finding, answer: Tell | Again) -> Outcome:
        now = self._wall_clock()
        path = events_path(finding.regarding.namespace)
        if isinstance(answer, Again):
            patch, at = series(answer.count, now), f"{path}/{finding.event_name}"
            try:
                await self._api.patch(at, patch, patch_type="application/merge-patch+json")
            except RefusedError as error:
                if not error.is_not_found:
                    raise
                # It is an hour old, and the API has thrown it away.
            else:
                return Outcome.WRITTEN
        return await self._create(path, finding, now)

    async def _create(self, path: str, finding: Finding, now: datetime) -> Outcome:
        uid = finding.regarding.uid or await self._uid(finding)
        if not uid:
            if finding.fallback is None:
                return Outcome.DEDUPLICATED  # what it is about is gone, and so is the problem
            finding = Finding(regarding=finding.fallback, reason=finding.reason, note=finding.note)
            uid = finding.regarding.uid
        try:
            await self._api.create(path, event(finding, uid=uid, now=now, instance=self._instance))
        except RefusedError as error:
            if error.is_conflict:  # told by us before we were started anew, or by whoever led before us
                return Outcome.DEDUPLICATED
            raise
        log.info(
            "event_written",
            reason=finding.reason,
            namespace=finding.regarding.namespace,
            kind=finding.regarding.kind,
            name=finding.regarding.name,
            note=finding.note,
        )
        return Outcome.WRITTEN

    async def _uid(self, finding: Finding) -> str:
        try:
            body = await self._api.get(uid_path(finding.regarding), metadata_only=True)
            return msgspec.json.decode(body, type=_Identified).metadata.uid
        except RefusedError as error:
            if error.is_not_found:
                return ""
            raise
        except UNREADABLE as error:
            raise ClusterError("expected an object with a uid, got something else") from error
