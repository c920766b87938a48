"""The error tree, app's branches. The root and its rules are in ``oidc.errors``.

::

    IrsaError                   (oidc.errors)
    ├── ConfigurationError      (oidc.errors) the operator must change something: exit 2
    │   └── ManifestError       a YAML document that we cannot read
    ├── BadReview               a body that is no AdmissionReview we could answer: HTTP 400
    ├── ClusterError            the Kubernetes API cannot be reached or refused us; tried again with backoff
    └── DemoError               a step of the demo did not do what it should
"""

from oidc.errors import ConfigurationError, IrsaError, KeyFileError

__all__ = [
    "BadReview",
    "ClusterError",
    "ConfigurationError",
    "DemoError",
    "IrsaError",
    "KeyFileError",
    "ManifestError",
]


class ManifestError(ConfigurationError):
    """A YAML document that we cannot read."""


class BadReview(IrsaError):  # noqa: N818 - the name of a thing that arrives, as in HTTP's BadRequest
    """A body that is no AdmissionReview that could be answered: there is no uid to answer to."""


class ClusterError(IrsaError):
    """The Kubernetes API cannot be reached or refused us. Transient: loops try again with backoff."""


class DemoError(IrsaError):
    """A step of the demo did not do what it should."""
