"""A container's proxy settings -> what keeps its SDKs from asking a proxy for their credentials. Pure.

The endpoint of container-credentials mode is on the pod's own node: a proxy elsewhere cannot reach it, and would see
the token. So where a container has a proxy, ``NO_PROXY`` names the endpoint's address, as AWS asks its users to do
(https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html).
"""

import functools
import ipaddress
import re
from typing import Any, Final
from urllib.parse import urlsplit

from app.text import shown
from app.webhook.document import Object, Operation, append
from app.webhook.variables import has_value

SPELLINGS: Final = (
    ("NO_PROXY", ("HTTP_PROXY", "HTTPS_PROXY")),
    ("no_proxy", ("http_proxy", "https_proxy")),
)
"""Programs read one or the other, and those that read both take the first that is there, so that ours must not be the
only entries of one while the user's are in the other."""

NO_PROXY: Final = frozenset(name for name, _ in SPELLINGS)
SEPARATOR: Final = re.compile(r"[,\s|]+")

AMAZON: Final = ipaddress.ip_network("fd00:ec2::/32")
"""IPv6 addresses of AWS's services on a node: not link-local by their prefix, but by what they are for."""


@functools.lru_cache(maxsize=16)
def bypasses(uri: str) -> tuple[str, ...]:
    """Return the entries of ``NO_PROXY`` by which *uri* is asked for directly; none where its host is not on the node.

    For an IPv6 address there are two: with brackets as Python and Java compare it, without as Go does.
    """
    try:
        host = urlsplit(uri).hostname or ""
        address = ipaddress.ip_address(host)
    except ValueError:  # a name, or what somebody wrote into a variable that is no URL
        return ()
    if address.version == 4:  # noqa: PLR2004 - the name of a protocol
        return (host,) if address.is_link_local else ()
    return (f"[{host}]", host) if address.is_link_local or address in AMAZON else ()


def completion(
    container: Object, env: list[Any], path: str, *, hosts: tuple[str, ...]
) -> tuple[list[Operation], str | None]:
    """Return what has a *container* ask *hosts* without its proxy, and what to tell its user where that is not known.

    Args:
        container: it is at *path*.
        env: its variables, each with a name.
        path: JSON pointer.
        hosts: entries that ``NO_PROXY`` must have, by `bypasses`.
    """
    wanted = [name for name, proxies in SPELLINGS if any(has_value(env, proxy) for proxy in proxies)]
    there = [(index, one) for index, one in enumerate(env) if one["name"] in NO_PROXY] if wanted else []
    if not wanted or (not there and not container.get("envFrom")):
        return append(container, "env", path, [{"name": name, "value": ",".join(hosts)} for name in wanted]), None
    spelled_out = [(index, one.get("value") or "") for index, one in there if one.get("valueFrom") is None]
    operations = [
        # An addition takes the place of a value that is there (RFC 6902, section 4.1), and there may be none.
        {"op": "add", "path": f"{path}/env/{index}/value", "value": ",".join([value, *missing] if value else missing)}
        for index, value in spelled_out
        if (missing := _missing(value, hosts))
    ]
    is_known = bool(there) and len(spelled_out) == len(there)
    return operations, None if is_known else _remark(container, hosts)


def _missing(value: object, hosts: tuple[str, ...]) -> list[str]:
    """Return those of *hosts* that are not in the *value* of a ``NO_PROXY``."""
    entries = SEPARATOR.split(value) if isinstance(value, str) else ["*"]
    return [] if "*" in entries else [host for host in hosts if host not in entries]


def _remark(container: Object, hosts: tuple[str, ...]) -> str:
    name = shown(container["name"])
    return f"see that NO_PROXY has {','.join(hosts)} in container {name}: the pod says only where its value is"
