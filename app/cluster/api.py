"""What the watch loop needs of the Kubernetes API: two calls, and how they fail."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol


class ServiceAccountApi(Protocol):
    """Reads the metadata of all ServiceAccounts of a cluster."""

    async def list_page(self, *, limit: int, continue_token: str) -> bytes:
        """Return one page of a LIST, a ``PartialObjectMetadataList`` in JSON.

        Args:
            limit: the most objects that the page may have.
            continue_token: ``metadata.continue`` of the page before, empty for the first one.

        Raises:
            ExpiredError: the continue token is too old (kube-apiserver keeps five minutes); start again without one.
            PageTooLargeError: ask for fewer.
            ClusterError: everything else; try again later.
        """

    def watch(
        self, resource_version: str, *, timeout_seconds: int
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Return the changes after *resource_version*: the context is entered when the API has begun to answer.

        It yields watch events in JSON, one a line, bookmarks among them, and ends when the API ends it, which it does
        after *timeout_seconds*.

        Raises:
            ExpiredError: the resource version is too old.
            ClusterError: everything else, also while lines are read: a broken connection, or one silent for too long.
        """
