"""One ServiceAccount as it is now: a live GET, shared by all who wait for it, bounded for each namespace and in all.

The snapshot is some milliseconds behind the API, and a pod may be created right after its ServiceAccount, or after its
annotation. Whoever must not miss that asks here.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Final, Literal, get_args

import msgspec

from app.cluster.api import ReadingApi
from app.cluster.arrivals import Arrivals, Key
from app.cluster.breaker import Breaker
from app.cluster.decoding import UNREADABLE
from app.cluster.kinds import Annotated
from app.cluster.objects import Keep, ServiceAccount, service_account
from app.cluster.paths import is_name
from app.cluster.turns import Turns
from app.errors import ClusterError, RefusedError

BUDGET_SECONDS: Final = 1.0

STRANGERS: Final = ""
"""The share of all namespaces in which no ServiceAccount is known. One that exists has its own share in a moment: with
the ``default`` account that a controller makes, or with the first one that comes with a pod."""

Outcome = Literal["found", "absent", "failed", "timed_out", "limited", "skipped"]

_read: Final = msgspec.json.Decoder(Annotated).decode


class LiveServiceAccounts:
    """Looks ServiceAccounts up in the API. What is asked for is forgotten with the answer.

    Only what is not known, or changed a moment ago, is worth waiting for. A pod that misses its role goes without for
    as long as it lives, so such a look-up waits for its turn, or for the snapshot where none will come, up to the
    budget. It tries also while the API answers nobody: one slow answer proves little, the review came from an API
    server that works, and so much is made only by one that does. What is older was the same a minute ago and most
    likely is now, so it is answered by what is cached, at once, where no turn is free or the `Breaker` is open.

    Args:
        api: where they are.
        keep: says which annotations are kept.
        cached: what to answer where the API does not, or must not be asked; None where nothing is known.
        is_recent: whether what is cached changed a moment ago, as far as is known.
        has_namespace: whether anything is cached of a namespace.
        budget_seconds: for the answer to a look-up and the wait for its turn; who joins one under way shares them.

    Attributes:
        outcomes: how the look-ups ended: one count for each GET, for each that needed one and had no turn (``limited``)
            and for each that could do without (``skipped``). All are there from the start: of a metric that begins with
            1, Prometheus cannot tell that it rose.
    """

    def __init__(
        self,
        api: ReadingApi,
        *,
        keep: Keep,
        cached: Callable[[str, str], ServiceAccount | None],
        is_recent: Callable[[str, str], bool],
        has_namespace: Callable[[str], bool],
        budget_seconds: float = BUDGET_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.outcomes: Counter[Outcome] = Counter(dict.fromkeys(get_args(Outcome), 0))
        self._api = api
        self._keep = keep
        self._cached = cached
        self._is_recent = is_recent
        self._has_namespace = has_namespace
        self._budget_seconds = budget_seconds
        self._clock = clock
        self._turns = Turns(clock=clock)
        self._arrivals = Arrivals()
        self._breaker = Breaker()
        self._under_way: dict[Key, asyncio.Task[ServiceAccount | None]] = {}

    def __len__(self) -> int:
        """Return how many look-ups are under way."""
        return len(self._under_way)

    async def look(self, namespace: str, name: str) -> ServiceAccount | None:
        """Return the ServiceAccount as the API has it now, or None; what is cached where it does not say in time."""
        if not (is_name(namespace) and is_name(name)):
            return None  # no object is called that, and in a path it might mean another one
        key = (namespace, name)
        task = self._under_way.get(key)
        if task is None:
            # A task of its own: whoever asked first may give up, and the others still want the answer.
            task = self._under_way[key] = asyncio.create_task(self._answer(key))
        return await asyncio.shield(task)

    def arrived(self, namespace: str, name: str) -> None:
        """Say that what is cached of the ServiceAccount has just changed."""
        self._arrivals.come((namespace, name))

    async def _answer(self, key: Key) -> ServiceAccount | None:
        outcome: Outcome = "failed"
        try:
            outcome, found = await self._ended(key)
        finally:
            self.outcomes[outcome] += 1
            del self._under_way[key]
        return found if outcome in {"absent", "found"} else self._cached(*key)

    async def _ended(self, key: Key) -> tuple[Outcome, ServiceAccount | None]:
        """Return how a look-up ended, and what it found."""
        namespace, _ = key
        share = namespace if self._has_namespace(namespace) else STRANGERS
        can_wait = self._cached(*key) is None or self._is_recent(*key)
        if not can_wait and self._breaker.is_open(self._clock()):
            return "skipped", None
        is_at_once = has_turn = self._turns.take_at_once(share)
        if not (has_turn or can_wait):
            return "skipped", None
        try:
            async with asyncio.timeout(self._budget_seconds):
                has_turn = has_turn or await self._turns.take(share)
                if has_turn:
                    return await self._get(key)
                await self._arrivals.wait(key, share=share)
        except TimeoutError:
            if is_at_once:  # what is left of the budget after a wait says nothing of the API
                self._breaker.unanswered(self._clock())
        finally:
            if has_turn:
                self._turns.give_back(share)
        return "timed_out" if has_turn else "limited", None

    async def _get(self, key: Key) -> tuple[Outcome, ServiceAccount | None]:
        namespace, name = key
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}"
        self._breaker.asked(self._clock())
        try:
            # Longer than the budget, whose end is then what ends it, and is counted as that.
            body = await self._api.get(path, metadata_only=True, timeout_seconds=2 * self._budget_seconds)
        except RefusedError as error:
            self._breaker.answered()
            return "absent" if error.is_not_found else "failed", None
        except ClusterError:
            self._breaker.unanswered(self._clock())
            return "failed", None
        self._breaker.answered()
        try:
            return "found", service_account(_read(body).metadata.annotations, keep=self._keep)
        except UNREADABLE:
            return "failed", None
