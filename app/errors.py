"""The error tree, app's branches. The root and its rules are in ``oidc.errors``.

::

    IrsaError                   (oidc.errors)
    ├── ConfigurationError      (oidc.errors) the operator must change something: exit 2
    │   └── ManifestError       a YAML document that we cannot read
    ├── BadReviewError          a body that is no AdmissionReview we could answer: HTTP 400
    ├── ClusterError            the Kubernetes API cannot be reached or refused us; tried again with backoff
    │   ├── ExpiredError        there is no going on from what we know: list anew
    │   ├── PageTooLargeError   a page of a list has more bytes than we are willing to hold: ask for less
    │   └── RefusedError        it understood the request and said no
    └── DemoError               a step of the demo did not do what it should
"""

from oidc.errors import ConfigurationError, IrsaError, KeyFileError

__all__ = [
    "BadReviewError",
    "ClusterError",
    "ConfigurationError",
    "DemoError",
    "ExpiredError",
    "IrsaError",
    "KeyFileError",
    "ManifestError",
    "PageTooLargeError",
    "RefusedError",
]


class ManifestError(ConfigurationError):
    """A YAML document that we cannot read."""


class BadReviewError(IrsaError):
    """A body that is no AdmissionReview that could be answered: there is no uid to answer to."""


class ClusterError(IrsaError):
    """The Kubernetes API cannot be reached or refused us. Transient: loops try again with backoff."""


class ExpiredError(ClusterError):
    """There is no going on from the state that we know: list anew. HTTP 410, or an event that we cannot read."""


class PageTooLargeError(ClusterError):
    """A page of a LIST has more bytes than we are willing to hold: ask for fewer objects at once."""


class RefusedError(ClusterError):
    """The API understood the request and said no.

    Attributes:
        status: the HTTP status.
        reason: the Status' reason in one word, such as ``NotFound``, ``AlreadyExists``, ``Conflict`` or ``Forbidden``.
            Empty where somebody else answered, a proxy for one.
        retry_after_seconds: no use in asking again sooner (an API that is overloaded says so); 0 where it did not say.
        body: what was answered, cut where it is long. Of a pod that was asked through the API it may be anything.
    """

    def __init__(
        self, message: str, *, status: int, reason: str, retry_after_seconds: float = 0.0, body: bytes = b""
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds
        self.body = body

    @property
    def is_not_found(self) -> bool:
        """Whether there is no such object."""
        return self.reason == "NotFound"

    @property
    def is_conflict(self) -> bool:
        """Whether the object is another than the request expected, or there already."""
        return self.reason in {"AlreadyExists", "Conflict"}


class DemoError(IrsaError):
    """A step of the demo did not do what it should."""
