"""The only import of ``kubernetes``: its configuration, its `ApiClient`, and how they fail.

Never a class such as ``CoreV1Api``: that one loads 250 modules of models, 0.8 s and 25 MB, and we decode the answers
ourselves. On top of aiohttp (0.2 s, 8 MB) this costs 0.15 s and 7 MB, which is what ``import kubernetes`` itself drags
in (requests, oauthlib, the synchronous half); there is no door past that.
"""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

UNUSED: Final = "charset_normalizer"
"""Guesses encodings for requests, which nobody here calls. It is 3 MB, and requests warns where it is not installed."""


@contextmanager
def _without_unused() -> Iterator[None]:
    is_ours = UNUSED not in sys.modules
    if is_ours:
        sys.modules[UNUSED] = None  # type: ignore[assignment] # Python's own sign for what cannot be imported
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if is_ours:
            del sys.modules[UNUSED]


with _without_unused():
    from kubernetes.aio.client import ApiClient, Configuration
    from kubernetes.aio.config import ConfigException
    from kubernetes.aio.config.incluster_config import InClusterConfigLoader
    from kubernetes.aio.config.kube_config import KubeConfigLoader

__all__ = ["ConfigException", "Configuration", "InClusterLoader", "KubeconfigLoader", "LibraryClient"]

# kubernetes says that it is typed, and half of it is.
LibraryClient: Final[Any] = ApiClient
InClusterLoader: Final[Any] = InClusterConfigLoader
KubeconfigLoader: Final[Any] = KubeConfigLoader
