"""A cluster in memory: a `ReadingApi` and a `WritingApi` over a dictionary of objects by their path.

In a test::

    cluster = FakeCluster()
    cluster.put("/api/v1/namespaces/shop/pods/app-1", {"spec": {...}})     # somebody else creates or replaces it
    await cluster.patch("/api/v1/namespaces/shop/pods/app-1", {"metadata": {"labels": {"a": "b"}}}, patch_type=MERGE)
    assert cluster.requests == [("patch", "/api/v1/namespaces/shop/pods/app-1")]

What it keeps to is what a real kube-apiserver does (tests/e2e/test_api.py): resource versions rise with each change, a
patch that changes nothing is no change, one that names another resource version is a conflict, a dry run stores
nothing. Not here: validation, defaults, subresources, owners of fields (server-side apply is a merge patch that
creates), label selectors other than ``key=value`` and ``key``.
"""

import asyncio
import copy
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import jsonpatch

from app.cluster.api import ANSWER_SECONDS, Answer, Collection, PatchType, ReadingApi, WritingApi
from app.cluster.paths import words
from app.errors import ClusterError, ExpiredError, RefusedError

Object = dict[str, Any]
Admission = Callable[[str, Object], tuple[Object, tuple[str, ...]]]

MERGE: Final = "application/merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"
APPLY: Final = "application/apply-patch+yaml"


def refused(verb: str, path: str, status: int, reason: str) -> RefusedError:
    return RefusedError(f'expected to {verb} {words(path)}, got {status} from the fake: "{reason}"',
                        status=status, reason=reason)  # fmt: skip


def unchanged(_path: str, document: Object) -> tuple[Object, tuple[str, ...]]:
    return document, ()


@dataclass
class FakeCluster(ReadingApi, WritingApi):
    """Objects by path, such as ``/api/v1/namespaces/shop/pods/app-1``.

    Attributes:
        objects: what is stored. Read it; change it with `put` and `remove`, of which watches are told.
        requests: verb and path of every request, in order of arrival.
        failures: what a verb on a path raises for as long as it stands here; also by verb and ``"*"``.
        admission: changes what is created, as a webhook does, and warns; or raises RefusedError.
        answering: unset, requests wait until it is set.
    """

    objects: dict[str, Object] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    failures: dict[tuple[str, str], ClusterError] = field(default_factory=dict)
    admission: Admission = unchanged
    answering: asyncio.Event = field(default_factory=asyncio.Event)
    _version: int = 1
    _oldest: int = 0
    _history: list[tuple[int, str, str, Object]] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _watches_until: int = 0
    watching: int = 0

    def __post_init__(self) -> None:
        self.answering.set()

    def put(self, path: str, document: Mapping[str, Any] | None = None) -> Object:
        """Create or replace the object at *path*, and return it as it is stored."""
        kind = "MODIFIED" if path in self.objects else "ADDED"
        stored = self._stamped(path, copy.deepcopy(dict(document or {})))
        self.objects[path] = stored
        self._happened(kind, path, stored)
        return stored

    def remove(self, path: str) -> None:
        self._version += 1
        gone = copy.deepcopy(self.objects.pop(path))
        gone["metadata"]["resourceVersion"] = str(self._version)
        self._happened("DELETED", path, gone)

    def compact(self) -> None:
        """Forget what happened: watches from versions before now are too old."""
        self._oldest = self._version
        self._history.clear()

    def end_watches(self) -> None:
        """End all watches, as their timeout would."""
        self._watches_until += 1
        self._wake()

    def in_collection(self, collection: Collection) -> list[Object]:
        """Return the objects of *collection*, sorted by path, as they are stored."""
        return [item for path, item in sorted(self.objects.items()) if _is_in(path, item, collection)]

    async def list_page(self, collection: Collection, *, limit: int, continue_token: str) -> bytes:
        await self._arrived("list", collection.path)
        items, begin = self.in_collection(collection), int(continue_token or 0)
        page = [_seen(item, metadata_only=collection.metadata_only) for item in items[begin : begin + limit]]
        rest = str(begin + limit) if begin + limit < len(items) else ""
        return _bytes({"metadata": {"resourceVersion": str(self._version), "continue": rest}, "items": page})

    @asynccontextmanager
    async def watch(
        self, collection: Collection, resource_version: str, *, timeout_seconds: int
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        del timeout_seconds
        await self._arrived("watch", collection.path)
        if int(resource_version) < self._oldest:
            raise ExpiredError("expected to go on from a state that the API knows, got 410 from the fake")
        self.watching += 1
        try:
            yield self._lines(collection, int(resource_version))
        finally:
            self.watching -= 1

    async def get(self, path: str, *, metadata_only: bool = False, timeout_seconds: float = ANSWER_SECONDS) -> bytes:
        del timeout_seconds
        await self._arrived("get", path)
        return _bytes(_seen(self._found("get", path), metadata_only=metadata_only))

    async def create(self, path: str, document: Mapping[str, Any], *, dry_run: bool = False) -> Answer:
        await self._arrived("create", path)
        made, warnings = self.admission(path, copy.deepcopy(dict(document)))
        metadata = made.setdefault("metadata", {})
        if "name" not in metadata:
            metadata["name"] = f"{metadata['generateName']}{self._version + 1:05}"
        object_path = f"{path}/{metadata['name']}"
        if object_path in self.objects:
            raise refused("create", object_path, 409, "AlreadyExists")
        stored = self._stamped(object_path, made) if dry_run else self.put(object_path, made)
        return Answer(copy.deepcopy(stored), warnings)

    async def patch(
        self,
        path: str,
        document: Any,
        *,
        patch_type: PatchType,
        field_manager: str = "irsa",
        force: bool = False,
        dry_run: bool = False,
    ) -> Answer:
        del field_manager, force
        await self._arrived("patch", path)
        if patch_type == APPLY and path not in self.objects:
            return Answer(copy.deepcopy(self._stamped(path, dict(document)) if dry_run else self.put(path, document)))
        before = self._found("patch", path)
        after = self._patched(path, before, document, patch_type=patch_type)
        if after["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"]:
            raise refused("patch", path, 409, "Conflict")
        if after != before and not dry_run:
            after = self.put(path, after)
        return Answer(copy.deepcopy(after))

    async def delete(self, path: str) -> None:
        await self._arrived("delete", path)
        if path in self.objects:
            self.remove(path)

    def _patched(self, path: str, before: Object, document: Any, *, patch_type: PatchType) -> Object:
        if patch_type != JSON_PATCH:
            merged: Object = merge(before, document)
            return merged
        try:
            patched: Object = jsonpatch.apply_patch(before, document)
        except jsonpatch.JsonPatchException as error:
            raise refused("patch", path, 422, "Invalid") from error
        return patched

    async def _arrived(self, verb: str, path: str) -> None:
        self.requests.append((verb, path))
        await asyncio.sleep(0)  # as over a network, others have their turn
        await self.answering.wait()
        failure = self.failures.get((verb, path)) or self.failures.get((verb, "*"))
        if failure is not None:
            raise failure

    def _found(self, verb: str, path: str) -> Object:
        if path not in self.objects:
            raise refused(verb, path, 404, "NotFound")
        return self.objects[path]

    def _stamped(self, path: str, document: Object) -> Object:
        """Give *document* what the API gives: name and namespace of its path, uid, times and the next version."""
        self._version += 1
        given = document.get("metadata", {})
        known = self.objects.get(path, {}).get("metadata", {})
        metadata = {"uid": f"uid-{self._version}", "creationTimestamp": "2026-11-25T09:00:00Z"}
        metadata |= {key: known[key] for key in metadata if key in known}
        metadata |= given | {"name": path.rpartition("/")[2], "resourceVersion": str(self._version)}
        namespace = _namespace(path)
        if namespace:
            metadata["namespace"] = namespace
        return document | {"metadata": metadata}

    def _happened(self, kind: str, path: str, item: Object) -> None:
        self._history.append((self._version, kind, path, copy.deepcopy(item)))
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _lines(self, collection: Collection, since: int) -> AsyncIterator[bytes]:
        until = self._watches_until
        while until == self._watches_until:
            changed = self._changed
            for line in self._news(collection, since):
                yield line
            since = max(since, self._version)
            if changed is self._changed:
                await changed.wait()

    def _news(self, collection: Collection, since: int) -> Iterator[bytes]:
        for version, kind, path, item in list(self._history):
            if version > since and _is_in(path, item, collection):
                yield _bytes({"type": kind, "object": _seen(item, metadata_only=collection.metadata_only)})


def merge(target: Any, patch: Any) -> Any:
    """Return *target* after a merge patch (RFC 7396, section 2)."""
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    merged = copy.deepcopy(dict(target)) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def _namespace(path: str) -> str:
    parts = path.split("/")
    at = parts.index("namespaces") if "namespaces" in parts else len(parts)
    return parts[at + 1] if at + 3 < len(parts) else ""


def _is_in(path: str, item: Object, collection: Collection) -> bool:
    inside, name = path.rpartition("/")[::2]
    everywhere = inside.replace(f"/namespaces/{_namespace(path)}/", "/") if _namespace(path) else inside
    if collection.path not in {inside, everywhere}:
        return False
    fields = dict(one.split("=", 1) for one in filter(None, collection.field_selector.split(",")))
    assert fields.keys() <= {"metadata.name"}, f"the fake knows no field selector {collection.field_selector}"
    labels = item["metadata"].get("labels") or {}
    wanted = (one.partition("=") for one in filter(None, collection.label_selector.split(",")))
    return fields.get("metadata.name", name) == name and all(
        key in labels and (not equals or labels[key] == value) for key, equals, value in wanted
    )


def _seen(item: Object, *, metadata_only: bool) -> Object:
    return {"metadata": item["metadata"]} if metadata_only else item


def _bytes(document: Any) -> bytes:
    return json.dumps(document).encode()
