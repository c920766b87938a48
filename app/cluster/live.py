"""One ServiceAccount as it is now: a live GET, shared by all who wait for it, bounded for each namespace.

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
from app.cluster.decoding import UNREADABLE
from app.cluster.kinds import Annotated
from app.cluster.objects import Keep, ServiceAccount, service_account
from app.cluster.paths import is_name
from app.cluster.turns import Turns
from app.errors import ClusterError, RefusedError

BUDGET_SECONDS: Final = 1.0

MAX_AWAITED: Final = 1_000
"""Look-ups for which the snapshot's next change is waited for because their turn will not come; some 2 MB."""

Outcome = Literal["found", "absent", "failed", "timed_out", "limited"]

_read: Final = msgspec.json.Decoder(Annotated).decode

Key = tuple[str, str]


class LiveServiceAccounts:
    """Looks ServiceAccounts up in the API. What is asked for is forgotten with the answer.

    Args:
        api: where they are.
        keep: says which annotations are kept.
        cached: what to answer where the API does not, or must not be asked.
        budget_seconds: for the answer to a look-up and the wait for its turn; who joins one under way shares them.

    Attributes:
        outcomes: how the look-ups ended: one count for each GET, and for each whose turn did not come (``limited``).
            All are there from the start: of a metric that begins with 1, Prometheus cannot tell that it rose.
    """

    def __init__(
        self,
        api: ReadingApi,
        *,
        keep: Keep,
        cached: Callable[[str, str], ServiceAccount | None],
        budget_seconds: float = BUDGET_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.outcomes: Counter[Outcome] = Counter(dict.fromkeys(get_args(Outcome), 0))
        self._api = api
        self._keep = keep
        self._cached = cached
        self._budget_seconds = budget_seconds
        self._turns = Turns(clock=clock)
        self._under_way: dict[Key, asyncio.Task[ServiceAccount | None]] = {}
        self._awaited: dict[Key, asyncio.Event] = {}

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
            task = self._under_way[key] = asyncio.create_task(self._answer(namespace, name))
        return await asyncio.shield(task)

    def arrived(self, namespace: str, name: str) -> None:
        """Say that what is cached of the ServiceAccount has just changed."""
        arrival = self._awaited.get((namespace, name))
        if arrival is not None:
            arrival.set()

    async def _answer(self, namespace: str, name: str) -> ServiceAccount | None:
        outcome: Outcome = "limited"
        is_allowed = False
        try:
            async with asyncio.timeout(self._budget_seconds):
                if is_allowed := await self._turns.take(namespace):
                    outcome = "failed"
                    found = await self._get(namespace, name)
                    outcome = "absent" if found is None else "found"
                elif len(self._awaited) < MAX_AWAITED:
                    await self._arrival(namespace, name)
        except TimeoutError:
            outcome = "timed_out" if is_allowed else "limited"
        except (ClusterError, *UNREADABLE):
            pass
        finally:
            self.outcomes[outcome] += 1
            if is_allowed:
                self._turns.give_back(namespace)
            del self._under_way[namespace, name]
        return found if outcome in {"absent", "found"} else self._cached(namespace, name)

    async def _arrival(self, namespace: str, name: str) -> None:
        """Wait until the snapshot brings what we may not ask for: what is new is some milliseconds away."""
        arrival = self._awaited[namespace, name] = asyncio.Event()
        try:
            await arrival.wait()
        finally:
            del self._awaited[namespace, name]

    async def _get(self, namespace: str, name: str) -> ServiceAccount | None:
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}"
        try:
            # Longer than the budget, whose end is then what ends it, and is counted as that.
            body = await self._api.get(path, metadata_only=True, timeout_seconds=2 * self._budget_seconds)
        except RefusedError as error:
            if error.is_not_found:
                return None
            raise
        return service_account(_read(body).metadata.annotations, keep=self._keep)
