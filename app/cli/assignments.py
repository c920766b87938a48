"""The operator's assignments, read from files by commands that have no cluster to read ConfigMaps from."""

import sys
from collections.abc import Mapping
from pathlib import Path

from app.cluster.manifest_files import read_file
from app.errors import ConfigurationError
from app.webhook.accounts import Account
from app.webhook.config_map import InvalidConfigMapError, in_file
from app.webhook.container_credentials import NO_IDENTITIES, Identities, parse_identities
from app.webhook.mappings import NO_MAPPINGS, Mappings, parse_mappings


def read_mappings(path: Path | None, *, account: Account | None) -> Mappings:
    """Return the mappings in a file, and say on standard error what is wrong with some of them.

    Args:
        path: a manifest of the ConfigMap, or its text; None for none.
        account: where roles are that are given by a bare name.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    if path is None:
        return NO_MAPPINGS
    parsed = parse_mappings(_data(path), account=account)
    _tell(path, parsed.problems, is_readable=parsed.mappings is not None)
    return parsed.mappings or NO_MAPPINGS


def read_identities(path: Path | None) -> Identities:
    """Return the identities of container-credentials mode in a file, as `read_mappings` does."""
    if path is None:
        return NO_IDENTITIES
    parsed = parse_identities(_data(path))
    _tell(path, parsed.problems, is_readable=parsed.identities is not None)
    return parsed.identities or NO_IDENTITIES


def _data(path: Path) -> Mapping[str, str]:
    try:
        return in_file(read_file(path))
    except InvalidConfigMapError as error:
        raise ConfigurationError(f"{path}: {error}") from None


def _tell(path: Path, problems: tuple[str, ...], *, is_readable: bool) -> None:
    """Say what is wrong in a file: the rest of it is in force, where there is a rest."""
    if not is_readable:
        raise ConfigurationError(f"{path}: {problems[0]}")
    for problem in problems:
        print(f"{path}: {problem}", file=sys.stderr)
