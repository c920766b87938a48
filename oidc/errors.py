"""The error tree of the whole program; ``app.errors`` grows its own branches from the same root.

::

    IrsaError
    ├── ConfigurationError      the operator must change something: exit 2
    │   └── KeyFileError        a key file that is missing, unreadable, of the wrong kind, or in the way
    └── (app.errors)

A message is one line: what was expected, what came, what to do. It never holds a secret, a token or a key.
"""


class IrsaError(Exception):
    """Anything that irsa itself says went wrong."""


class ConfigurationError(IrsaError):
    """A flag, setting or file of the operator's that cannot be used. The command line exits with 2."""


class KeyFileError(ConfigurationError):
    """A key file that is missing, unreadable, of the wrong type, or that would be overwritten."""
