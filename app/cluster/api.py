"""What we need of the Kubernetes API, and how it fails. ``app.cluster.client`` speaks it; tests have fakes."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

ANSWER_SECONDS: Final = 5.0
"""For an answer about one object, connecting included."""

PatchType = Literal["application/merge-patch+json", "application/json-patch+json", "application/apply-patch+yaml"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """Objects that can be listed and watched."""

    path: str
    """Such as ``/api/v1/pods`` or ``/api/v1/namespaces/irsa-system/configmaps``."""
    metadata_only: bool = False
    """https://kubernetes.io/docs/reference/using-api/api-concepts/#metadata-only-fetches"""
    field_selector: str = ""
    label_selector: str = ""


class ReadingApi(Protocol):
    """Reads objects as JSON. Whoever asks decodes only what it reads."""

    async def list_page(self, collection: Collection, *, limit: int, continue_token: str) -> bytes:
        """Return one page of a LIST.

        Args:
            collection: what to list.
            limit: the most objects that the page may have.
            continue_token: ``metadata.continue`` of the page before, empty for the first one.

        Raises:
            ExpiredError: the continue token is too old (kube-apiserver keeps five minutes); start again without one.
            PageTooLargeError: ask for fewer.
            RefusedError: the API said no.
            ClusterError: everything else; try again later.
        """

    def watch(
        self, collection: Collection, resource_version: str, *, timeout_seconds: int
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Return the changes after *resource_version*: the context is entered when the API has begun to answer.

        It yields watch events in JSON, one a line, bookmarks among them, and ends when the API ends it, which it does
        after *timeout_seconds*.

        Raises:
            ExpiredError: the resource version is too old.
            ClusterError: everything else, also while lines are read: a broken connection, or one silent for too long.
        """

    async def get(self, path: str, *, metadata_only: bool = False, timeout_seconds: float = ANSWER_SECONDS) -> bytes:
        """Return one object, or whatever else is at *path*, such as ``/version``.

        Names in *path* that strangers chose must have passed ``paths.is_name``.

        Raises:
            RefusedError: the API said no; ``is_not_found`` where there is no such object.
            ClusterError: everything else; try again later.
        """


class WritingApi(Protocol):
    """Changes objects. Only the controller and the commands that a person starts have one."""

    async def create(self, path: str, document: Mapping[str, Any], *, dry_run: bool = False) -> "Answer":
        """Create an object in the collection at *path*; with *dry_run* the API does all but store it.

        Raises:
            RefusedError: the API said no; ``is_conflict`` where there is one of that name.
            ClusterError: everything else. Whether it was created is not known where no answer came.
        """

    async def patch(
        self,
        path: str,
        document: Any,
        *,
        patch_type: PatchType,
        field_manager: str = "irsa",
        force: bool = False,
        dry_run: bool = False,
    ) -> "Answer":
        """Change the object at *path*. *force* is server-side apply's: take fields over from other managers.

        A merge patch with ``metadata.resourceVersion`` changes the object of that version only.

        Raises:
            RefusedError: the API said no; ``is_conflict`` where the object is another than *document* expects,
                ``is_not_found`` where there is none (server-side apply creates it).
            ClusterError: everything else; try again later.
        """

    async def delete(self, path: str) -> None:
        """Delete the object at *path*; nothing happens where there is none.

        Raises:
            RefusedError: the API said no.
            ClusterError: everything else; try again later.
        """


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API answers to a write."""

    document: dict[str, Any]
    warnings: tuple[str, ...] = ()
    """Texts of its Warning headers (RFC 7234, 5.5), where webhooks' warnings are."""
