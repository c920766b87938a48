"""How to reach the Kubernetes API: a kubeconfig, or what a pod is given."""

import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from app.cluster.events import MESSAGE_CHARACTERS
from app.cluster.kubeconfig import merged
from app.cluster.library import ConfigException, Configuration, InClusterLoader, KubeconfigLoader
from app.errors import ConfigurationError
from app.text import shown

MOUNTED: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where the kubelet mounts a pod's own token and the cluster's CA."""

Load = Callable[[], Awaitable[Configuration]]


def in_cluster(environ: Mapping[str, str] = os.environ, *, mounted: Path = MOUNTED) -> Load:
    """Return what loads the configuration of a pod: the API's address from *environ*, CA and token from *mounted*."""

    async def load() -> Configuration:
        configuration = Configuration()
        loader = InClusterLoader(str(mounted / "token"), str(mounted / "ca.crt"), environ=environ)
        try:
            # The loader leaves a hook that reads the token anew every minute: the kubelet replaces it.
            loader.load_and_set(configuration)
        except (ConfigException, OSError, ValueError) as error:
            # These texts are the loader's own and name files and variables, never content.
            raise ConfigurationError(
                "expected to run in a pod with a ServiceAccount token, or --kubeconfig FILE, got neither: "
                f"{shown(str(error), MESSAGE_CHARACTERS)}"
            ) from error
        return configuration

    return load


def own_namespace(*, mounted: Path = MOUNTED) -> str:
    """Return the namespace of the pod that we are.

    Raises:
        ConfigurationError: we are none.
    """
    file = mounted / "namespace"
    try:
        return file.read_text().strip()
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"expected to run in a pod, whose namespace is in {file}, or --namespace NAME, got neither"
        ) from error


def configured(kubeconfig: Path | None, environ: Mapping[str, str]) -> Load:
    """Return what loads the configuration of a command that a person starts, as kubectl finds it.

    Args:
        kubeconfig: what ``--kubeconfig`` names. Without it the files of KUBECONFIG count, then ``~/.kube/config`` if
            it is there, then what a pod is given.
        environ: where KUBECONFIG, HOME and a pod's variables are.
    """
    if kubeconfig is not None:
        return from_kubeconfig(kubeconfig)
    named = [Path(name) for name in environ.get("KUBECONFIG", "").split(os.pathsep) if name]
    if named:
        # As for kubectl, some of several may be missing; of those that are not there at all one is named.
        return from_kubeconfig(*([file for file in named if file.exists()] or named[:1]))
    usual = Path(environ.get("HOME", "/")) / ".kube" / "config"
    return from_kubeconfig(usual) if usual.exists() else in_cluster(environ)


def from_kubeconfig(*files: Path) -> Load:
    """Return what loads the configuration of the current context of kubeconfig *files*, which count together."""
    named = os.pathsep.join(map(str, files))

    async def load() -> Configuration:
        configuration = Configuration()
        contents = [(str(file.absolute().parent), _kubeconfig(file)) for file in files]
        folder, content = contents[0] if len(contents) == 1 else ("", merged(contents))
        try:
            # Keys that stand in the file go to temporary files with mode 0600 until we exit, because Python's TLS takes
            # them from files only.
            loader = KubeconfigLoader(content, config_base_path=folder)
            await loader.load_and_set(configuration)
        except ConfigException as error:
            # It names sections and entries of the file, never a value.
            raise ConfigurationError(f"kubeconfig {named}: {shown(str(error), MESSAGE_CHARACTERS)}") from error
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            # What Python says of a section of the wrong shape may quote it, and with it a token.
            problem = "expected clusters, users and contexts as kubectl writes them, got something else"
            raise ConfigurationError(f"kubeconfig {named}: {problem}") from error
        url = urlsplit(configuration.host)
        if url.scheme not in {"http", "https"} or not url.hostname or url.username or url.password:
            raise ConfigurationError(
                f"kubeconfig {named}: expected server to be https://HOST[:PORT], got something else"
            )
        return configuration

    return load


def _kubeconfig(file: Path) -> dict[str, object]:
    from app.cluster.manifests import read_documents  # noqa: PLC0415 - 1.6 MB that a pod has no use for

    try:
        documents = read_documents(file.read_bytes(), source=str(file))
    except OSError as error:
        raise ConfigurationError(f"kubeconfig {file}: expected a readable file, got: {error.strerror}") from error
    match [document.content for document in documents]:
        case [dict() as content]:
            return content
        case _:
            raise ConfigurationError(f"kubeconfig {file}: expected one YAML mapping, got something else")
