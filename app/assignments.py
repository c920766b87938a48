"""Where the operator's assignments come from: ConfigMaps that are watched, or a file that is looked at."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from app.cluster.api import ReadingApi
from app.errors import ConfigurationError
from app.webhook.assigned import Assigned, Name
from app.webhook.config_map import CONFIG, MAX_JSON_CHARACTERS

LOOK_SECONDS: Final = 1.0
"""How often we look at a file; the kubelet brings changes of a mounted ConfigMap within a minute or two."""

Data = Mapping[str, str]
T = TypeVar("T")


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

    def config_map(self, api: ReadingApi, place: str, reading: "_Reading[Any]", *, name: Name) -> None:
        """Have what the ConfigMap at *place* says taken, now and when it changes; None without one."""
        from app.cluster.kinds import ConfigMap, config_map  # noqa: PLC0415 - the client's, which a folder can spare
        from app.cluster.watch import Watched  # noqa: PLC0415 - as above

        def changed(_namespace: str, _name: str, _old: ConfigMap | None, new: ConfigMap | None) -> None:
            reading.hear(None if new is None else new.data)

        namespace, _, config_map_name = place.partition("/")
        watched = Watched(api, config_map(namespace, config_map_name), changed=changed)

        async def run() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(watched.run())
                group.create_task(reading.run())

        self.loops[name] = run

        def age() -> float:
            is_read = name in self.assigned.read or watched.get(namespace, config_map_name) is None
            return watched.age(time.monotonic()) if is_read else math.inf

        self.ages[name] = age

    def file(self, path: Path, reading: "_Reading[Any]", *, name: Name) -> None:
        """Have the text of a file taken, now and when it changes; None while there is none."""
        looked = _File(path)
        if looked.is_new():
            reading.read(looked.data)

        async def run() -> None:
            while True:
                await asyncio.sleep(LOOK_SECONDS)
                if looked.is_new():
                    await reading.read_aside(looked.data)

        self.loops[name] = run
        self.ages[name] = lambda: 0.0 if looked.is_readable and name in self.assigned.read else math.inf


class _Reading(Generic[T]):
    """Reads data where it holds nobody up, one after the other; of what came in the meantime the last one counts.

    Args:
        parse: returns what data says. It may take 0.6 s, and runs in a thread.
        take: puts that in force.
    """

    def __init__(self, parse: Callable[[Data | None], T], take: Callable[[T], None]) -> None:
        self._parse = parse
        self._take = take
        self._heard: Data | None = None
        self._has_heard = asyncio.Event()

    def hear(self, data: Data | None) -> None:
        """Have *data* read by `run`, soon."""
        self._heard = data
        self._has_heard.set()

    async def run(self) -> None:
        """Read what was heard, until cancelled."""
        while True:
            await self._has_heard.wait()
            self._has_heard.clear()
            await self.read_aside(self._heard)

    async def read_aside(self, data: Data | None) -> None:
        """Read *data* while others go on."""
        self._take(await asyncio.to_thread(self._parse, data) if data else self._parse(data))

    def read(self, data: Data | None) -> None:
        """Read *data* now."""
        self._take(self._parse(data))


class _File:
    """A file that may change."""

    def __init__(self, path: Path) -> None:
        self.is_readable = True
        self._path = path
        self._text: str | None = None
        self._has_read = False

    @property
    def data(self) -> Data | None:
        """What it held when it was last looked at; None while there is none."""
        return None if self._text is None else {CONFIG: self._text}

    def is_new(self) -> bool:
        """Look at the file, and return whether it holds something else than before."""
        try:
            with self._path.open(encoding="utf-8", errors="replace") as file:
                # One more than may be, so that what is too long is seen to be.
                text: str | None = file.read(MAX_JSON_CHARACTERS + 1)
        except FileNotFoundError:
            text = None
        except OSError:
            self.is_readable = False
            return False
        self.is_readable = True
        is_new = text != self._text or not self._has_read
        self._text, self._has_read = text, True
        return is_new


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
    roles = _Reading(assigned.parse_mappings, assigned.take_mappings)
    identities = _Reading(assigned.parse_container_credentials, assigned.take_container_credentials)
    if mappings:
        if api is None:
            raise _no_cluster("mappings")
        following.config_map(api, mappings, roles, name="mappings")
    if container_credentials:
        if is_file(container_credentials):
            following.file(Path(container_credentials), identities, name="container_credentials")
        elif api is None:
            raise _no_cluster("container_credentials")
        else:
            following.config_map(api, container_credentials, identities, name="container_credentials")
    return following


def _no_cluster(setting: Name) -> ConfigurationError:
    return ConfigurationError(
        f"{setting}: expected a cluster with the ConfigMap, got a folder of ServiceAccounts; leave one of the two out"
    )


def is_file(place: str) -> bool:
    """Return whether *place* is a path; else it is the namespace and name of a ConfigMap."""
    return place.startswith(("/", "./", "../"))
