"""What ``irsa webhook`` holds and when it is ready: on an empty cluster, and with 100,000 ServiceAccounts."""

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.bench import servers
from tests.bench.load import ANNOTATED, SERVICE_ACCOUNTS, Driver
from tests.bench.reviews import body
from tests.bench.rows import Row
from tests.bench.servers import Tls

GROUP: Final = "memory and start"
EMPTY_MEGABYTES: Final = 85
SERVICE_ACCOUNTS_MEGABYTES: Final = 25
READY_SECONDS: Final = 4


def rows(folder: Path, *, driver: Driver, tls: Tls, starts: int, seconds: int, say: Callable[[str], None]) -> list[Row]:
    """Return the rows, from so many *starts* of each of the two. *seconds* of load come last for an empty one."""
    say(f"{GROUP}: empty cluster")
    with servers.kubernetes_api(folder, service_accounts=0, annotated=0) as kubeconfig:
        ready, empty = _starts(folder, kubeconfig, tls=tls, count=starts)
        with servers.webhook(folder, kubeconfig=kubeconfig, tls=tls) as server:
            driver.run(server, body(7, with_role=True), seconds=seconds)
            loaded = servers.settled_resident_bytes(server.process.pid) / 1e6
    say(f"{GROUP}: {SERVICE_ACCOUNTS:,} ServiceAccounts")
    api = servers.kubernetes_api(folder, service_accounts=SERVICE_ACCOUNTS, annotated=ANNOTATED)
    with api as kubeconfig:
        full_ready, full = _starts(folder, kubeconfig, tls=tls, count=starts)
    above = tuple(megabytes - statistics.median(empty) for megabytes in full)
    many = f"{SERVICE_ACCOUNTS:,} ServiceAccounts"
    return [
        Row(group=GROUP, what="empty: resident", unit="MB", samples=empty, must=EMPTY_MEGABYTES),
        Row(group=GROUP, what=f"empty: resident after {seconds} s of load", unit="MB", samples=(loaded,)),
        Row(group=GROUP, what="empty: exec to ready", unit="s", samples=ready, must=READY_SECONDS),
        Row(group=GROUP, what=f"{many}: above empty", unit="MB", samples=above, must=SERVICE_ACCOUNTS_MEGABYTES),
        Row(group=GROUP, what=f"{many}: exec to ready", unit="s", samples=full_ready),
    ]


def _starts(folder: Path, kubeconfig: Path, *, tls: Tls, count: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the seconds to ready and the resident MB of *count* starts, one after the other."""
    ready, resident = [], []
    for _ in range(count):
        with servers.webhook(folder, kubeconfig=kubeconfig, tls=tls) as server:
            ready.append(server.ready_seconds)
            resident.append(servers.settled_resident_bytes(server.process.pid) / 1e6)
    return tuple(ready), tuple(resident)
