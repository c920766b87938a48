"""What ours holds beside a real API server with 100,000 ServiceAccounts, one in ten annotated, and when it is ready."""

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import msgspec

from tests.apiserver import Api
from tests.bench import apiserver, reviews, servers
from tests.bench.apiserver import GROUP
from tests.bench.rows import Row
from tests.bench.servers import Tls

SERVICE_ACCOUNTS: Final = 100_000
NAMESPACES: Final = 100
RESIDENT_MEGABYTES: Final = 110
READY_SECONDS: Final = 15
FILL_THREADS: Final = 16


def rows(folder: Path, *, tls: Tls, say: Callable[[str], None]) -> list[Row]:
    """Return the rows; none without a cluster."""
    kubeconfig = apiserver.kubeconfig()
    if kubeconfig is None:
        return []
    api = Api.of(kubeconfig)
    name = f"bench-{secrets.token_hex(3)}"
    say(f"{GROUP}: making {SERVICE_ACCOUNTS:,} ServiceAccounts")
    namespaces = [f"{name}-{number}" for number in range(NAMESPACES)]
    try:
        _fill(api, namespaces)
        with servers.webhook(folder, kubeconfig=kubeconfig, tls=tls) as server:
            resident = servers.settled_resident_bytes(server.process.pid) / 1e6
            ready = server.ready_seconds
    finally:
        say(f"{GROUP}: removing them")
        for namespace in namespaces:
            api.remove_namespace(namespace)
    what = f"{SERVICE_ACCOUNTS:,} ServiceAccounts"
    return [
        Row(group=GROUP, what=f"{what}: resident", unit="MB", samples=(resident,), must=RESIDENT_MEGABYTES),
        Row(group=GROUP, what=f"{what}: exec to ready", unit="s", samples=(ready,), must=READY_SECONDS),
    ]


def _fill(api: Api, namespaces: list[str]) -> None:
    each = SERVICE_ACCOUNTS // len(namespaces)

    def fill(namespace: str) -> None:
        connection = api.connection()
        try:
            api.send(connection, "POST", "/api/v1/namespaces", msgspec.json.encode({"metadata": {"name": namespace}}))
            for number in range(each):
                role = f"{reviews.ROLE_ARN}-{number}" if number % 10 == 0 else None
                document = msgspec.json.encode(apiserver.service_account(f"service-{number:06}", role_arn=role))
                api.send(connection, "POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", document)
        finally:
            connection.close()

    with ThreadPoolExecutor(FILL_THREADS) as pool:
        list(pool.map(fill, namespaces))
