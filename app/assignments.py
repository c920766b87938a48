"""Where the operator's assignments come from: ConfigMaps that are watched, or a file that is looked at."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from app.cluster.api import ReadingApi
from app.errors import ConfigurationError
from app.webhook.assigned import Assigned, Name
from app.webhook.config_map import CONFIG, MAX_JSON_CHARACTERS

LOOK_SECONDS: Final = 1.0
"""How often we look at a file; the kubelet brings changes of a mounted ConfigMap within a minute or two."""

Data = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Following:
    """Loops that keep assignments current, and how old each is.

    Attributes:
        assigned: takes what is read.
        loops: by name, for `BackgroundLoops`.
        ages: by name, seconds since each was last known to be current, on the clock of ``time.monotonic``; infinite
            while none of its content could be read yet.
    """

    assigned: Assigned
    loops: dict[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)
    ages: dict[str, Callable[[], float]] = field(default_factory=dict)

    def config_map(self, api: ReadingApi, place: str, read: Callable[[Data | None], None], *, name: Name) -> None:
        """Have *read* called with the data of the ConfigMap at *place*, now and when it changes; None without one."""
        from app.cluster.kinds import ConfigMap, config_map  # noqa: PLC0415 - the client's, which a folder can spare
        from app.cluster.watch import Watched  # noqa: PLC0415 - as above

        def changed(_namespace: str, _name: str, _old: ConfigMap | None, new: ConfigMap | None) -> None:
            read(None if new is None else new.data)

        namespace, _, config_map_name = place.partition("/")
        watched = Watched(api, config_map(namespace, config_map_name), changed=changed)
        self.loops[name] = watched.run

        def age() -> float:
            is_read = name in self.assigned.read or watched.get(namespace, config_map_name) is None
            return watched.age(time.monotonic()) if is_read else math.inf

        self.ages[name] = age

    def file(self, path: Path, read: Callable[[Data | None], None], *, name: Name) -> None:
        """Have *read* called with the text of a file, now and when it changes; None while there is none."""
        looked = _File(path, read)
        looked.look()
        self.loops[name] = looked.run
        self.ages[name] = lambda: 0.0 if looked.is_readable and name in self.assigned.read else math.inf


class _File:
    """A file that is read anew when it changes."""

    def __init__(self, path: Path, read: Callable[[Data | None], None]) -> None:
        self.is_readable = True
        self._path = path
        self._read = read
        self._text: str | None = None
        self._has_read = False

    async def run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Read the file, and pass on what it holds if that is new."""
        try:
            with self._path.open(encoding="utf-8", errors="replace") as file:
                # One more than may be, so that what is too long is seen to be.
                text: str | None = file.read(MAX_JSON_CHARACTERS + 1)
        except FileNotFoundError:
            text = None
        except OSError:
            self.is_readable = False
            return
        self.is_readable = True
        if text != self._text or not self._has_read:
            self._text, self._has_read = text, True
            self._read(None if text is None else {CONFIG: text})


def follow(
    assigned: Assigned, *, mappings: str | None, container_credentials: str | None, api: ReadingApi | None
) -> Following:
    """Keep *assigned* current.

    Args:
        assigned: takes what is read.
        mappings: namespace/name of a ConfigMap, or None.
        container_credentials: the same, or the path of a file.
        api: reads ConfigMaps; None where there is no cluster.

    Raises:
        ConfigurationError: a ConfigMap is named, and there is no cluster.
    """
    following = Following(assigned)
    if mappings:
        if api is None:
            raise _no_cluster("mappings")
        following.config_map(api, mappings, assigned.read_mappings, name="mappings")
    if container_credentials:
        if is_file(container_credentials):
            following.file(
                Path(container_credentials), assigned.read_container_credentials, name="container_credentials"
            )
        elif api is None:
            raise _no_cluster("container_credentials")
        else:
            following.config_map(
                api, container_credentials, assigned.read_container_credentials, name="container_credentials"
            )
    return following


def _no_cluster(setting: Name) -> ConfigurationError:
    return ConfigurationError(
        f"{setting}: expected a cluster with the ConfigMap, got a folder of ServiceAccounts; leave one of the two out"
    )


def is_file(place: str) -> bool:
    """Return whether *place* is a path; else it is the namespace and name of a ConfigMap."""
    return place.startswith(("/", "./", "../"))
