"""``IRSA_*`` variables that no setting has: a slip that would otherwise be silent. Pure."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from app.errors import ConfigurationError

PREFIX: Final = "IRSA_"
FOR_TESTS: Final = "IRSA_TEST_"

# Kubernetes gives a container these for each Service of its namespace (pkg/kubelet/envvars), ours among them.
SERVICE_LINK: Final = re.compile(r"_SERVICE_HOST$|_SERVICE_PORT(_[A-Z0-9_]+)?$|_PORT(_\d+_(TCP|UDP|SCTP)(_[A-Z]+)?)?$")

LINKED: Final = re.compile(r"(tcp|udp|sctp)://")


def variable(flag: str) -> str:
    """Return the variable that stands for *flag*: ``IRSA_TLS_CERT`` for ``--tls-cert``."""
    return PREFIX + flag.removeprefix("--").replace("-", "_").upper()


def refuse_unknown(names: Iterable[str], *, flags: Iterable[str]) -> None:
    """Refuse a variable of ours among *names* that stands for none of *flags*.

    Raises:
        ConfigurationError: it names the variable.
    """
    known = {variable(flag) for flag in flags}
    for name in sorted(names):
        is_ours = name.startswith(PREFIX) and not name.startswith(FOR_TESTS) and not SERVICE_LINK.search(name)
        if is_ours and name not in known:
            raise ConfigurationError(
                f"expected {PREFIX}* variables to be settings of this command, got {name}: unset it"
            )


def service_links(environment: Mapping[str, str]) -> list[str]:
    """Return the variables of ours that Kubernetes has set: ``IRSA_PORT`` is no port where a Service is named irsa."""
    return [name for name, value in environment.items() if name.startswith(PREFIX) and LINKED.match(value)]
