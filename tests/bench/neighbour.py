"""What a tenant's bogus annotations cost its neighbour: the p99 of a review beside reviews of theirs, and of others."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from tests.bench import servers
from tests.bench.load import Driver
from tests.bench.reviews import body_of
from tests.bench.rows import Row
from tests.bench.servers import Server, Tls

GROUP: Final = "a tenant's neighbour"
BOGUS: Final = 10_000
"""ServiceAccounts with bogus annotations; reviews are sent of so many of them:"""
SENT: Final = 200
P99_RATIO: Final = 1.5


def rows(folder: Path, *, driver: Driver, tls: Tls, rounds: int, seconds: int, say: Callable[[str], None]) -> list[Row]:
    """Return one row: p99 beside bogus ServiceAccounts, in proportion to that beside plain ones."""
    say(GROUP)
    neighbour = body_of(7, *_names(BOGUS))
    bogus = [body_of(7, *_names(number)) for number in range(SENT)]
    second = folder / "second"
    second.mkdir()
    others = Driver(driver.name, folder=second)
    api = servers.kubernetes_api(folder, service_accounts=BOGUS + 1, annotated=0, bogus=BOGUS)
    with api as kubeconfig, servers.webhook(folder, kubeconfig=kubeconfig, tls=tls) as server:

        def beside(reviews: list[bytes]) -> float:
            return _p99(driver, server, neighbour, others=others, reviews=reviews, seconds=seconds)

        pairs = [(beside([neighbour] * SENT), beside(bogus)) for _ in range(rounds)]
    what = f"p99 beside {BOGUS:,} ServiceAccounts with bogus annotations"
    plain, beside_bogus = (tuple(samples) for samples in zip(*pairs, strict=True))
    return [Row(group=GROUP, what=what, unit="ms", samples=beside_bogus, reference=plain, must=P99_RATIO)]


def _p99(driver: Driver, server: Server, review: bytes, *, others: Driver, reviews: list[bytes], seconds: int) -> float:
    with ThreadPoolExecutor(1) as pool:
        beside = pool.submit(others.run, server, *reviews, seconds=seconds)
        p99 = driver.run(server, review, seconds=seconds).p99_milliseconds
        beside.result()
    return p99


def _names(number: int) -> tuple[str, str]:
    """Return namespace and name of a ServiceAccount, as ``tests.app.cluster.fake_api`` numbers them."""
    return f"team-{number // 10:05}", f"service-{number:06}"
