"""What the operator assigned to ServiceAccounts beside their annotations, as it was when it could last be read."""

from collections.abc import Mapping
from typing import Final, Literal

import structlog

from app.webhook.accounts import Account
from app.webhook.config_map import CONFIG
from app.webhook.container_credentials import NO_IDENTITIES, Identities, ParsedIdentities, parse_identities
from app.webhook.mappings import NO_MAPPINGS, Mappings, ParsedMappings, parse_mappings

Name = Literal["mappings", "container_credentials"]
NAMES: Final[tuple[Name, ...]] = ("mappings", "container_credentials")

log = structlog.get_logger()


class Assigned:
    """The operator's mappings, and the identities of container-credentials mode.

    A bad entry is left out, and the rest is in force. Content that cannot be read at all changes nothing. What was
    deleted is gone.

    Attributes:
        mappings: roles of ServiceAccounts that carry none themselves.
        container_credentials: the ServiceAccounts of that mode.
        problems: what somebody should mend, by where it stands.
        read: what could be read once, or was seen not to be there. Whoever starts with content that cannot be read has
            no last good one, and must not answer in the place of somebody who has.
        unreadable: whose content could not be read the last time, so that what was before is in force.
    """

    def __init__(self, *, account: Account | None = None) -> None:
        self.mappings: Mappings = NO_MAPPINGS
        self.container_credentials: Identities = NO_IDENTITIES
        self.problems: dict[Name, tuple[str, ...]] = dict.fromkeys(NAMES, ())
        self.read: set[Name] = set()
        self.unreadable: set[Name] = set()
        self._account = account

    def read_mappings(self, data: Mapping[str, str] | None) -> None:
        """Take the mappings in a ConfigMap's *data*; None where there is no ConfigMap."""
        self.take_mappings(self.parse_mappings(data))

    def read_container_credentials(self, data: Mapping[str, str] | None) -> None:
        """Take the identities in a ConfigMap's *data*; None where there is no ConfigMap."""
        self.take_container_credentials(self.parse_container_credentials(data))

    def parse_mappings(self, data: Mapping[str, str] | None) -> ParsedMappings:
        """Return what *data* says, and change nothing: any thread may ask for it."""
        try:
            return parse_mappings(data or {}, account=self._account)
        except Exception as error:  # noqa: BLE001 - whatever somebody wrote there, pods have to be answered
            return ParsedMappings(None, (_unexpected(error),))

    def parse_container_credentials(self, data: Mapping[str, str] | None) -> ParsedIdentities:
        """Return what *data* says, and change nothing: any thread may ask for it."""
        try:
            return parse_identities(data or {})
        except Exception as error:  # noqa: BLE001 - as above
            return ParsedIdentities(None, (_unexpected(error),))

    def take_mappings(self, parsed: ParsedMappings) -> None:
        """Put mappings in force."""
        if parsed.mappings is not None:
            self.mappings = parsed.mappings
        self._note("mappings", is_read=parsed.mappings is not None)
        self._tell("mappings", len(self.mappings.roles), parsed.problems)

    def take_container_credentials(self, parsed: ParsedIdentities) -> None:
        """Put identities in force."""
        if parsed.identities is not None:
            self.container_credentials = parsed.identities
        self._note("container_credentials", is_read=parsed.identities is not None)
        self._tell("container_credentials", len(self.container_credentials), parsed.problems)

    def _note(self, name: Name, *, is_read: bool) -> None:
        if is_read:
            self.read.add(name)
            self.unreadable.discard(name)
        else:
            self.unreadable.add(name)

    def _tell(self, name: Name, entries: int, problems: tuple[str, ...]) -> None:
        self.problems[name] = problems
        log.info("assignments_read", what=name, entries=entries)
        for problem in problems:
            log.warning("assignment_unusable", what=name, problem=problem)


def _unexpected(error: Exception) -> str:
    return f"write JSON with plain strings as keys under {CONFIG}, reading it ended with {type(error).__name__}"
