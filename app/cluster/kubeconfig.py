"""Several kubeconfig files -> one, as kubectl reads a KUBECONFIG that names several. Pure.

https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/#merging-kubeconfig-files
"""

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

Content = Mapping[str, object]

_FILES: Final = {
    "clusters": ("cluster", ("certificate-authority",)),
    "users": ("user", ("client-certificate", "client-key", "tokenFile")),
    "contexts": ("context", ()),
}
"""Sections, and what in their entries names a file."""


def merged(files: Iterable[tuple[str, Content]]) -> dict[str, object]:
    """Return what *files* say together: of each name, and of the current context, the first one that says it.

    Args:
        files: the folder of each, from which its relative paths start, and its content.
    """
    known: dict[str, dict[str, object]] = {section: {} for section in _FILES}
    context: object = ""
    for folder, content in files:
        context = context or content.get("current-context", "")
        for section, entries in known.items():
            for name, entry in _entries(content, section, folder):
                entries.setdefault(name, entry)
    return {"current-context": context} | {section: list(entries.values()) for section, entries in known.items()}


def _entries(content: Content, section: str, folder: str) -> Iterator[tuple[str, object]]:
    found = content.get(section)
    for entry in found if isinstance(found, list) else ():
        if isinstance(entry, Mapping) and isinstance(entry.get("name"), str):
            yield entry["name"], _absolute(entry, section, folder)


def _absolute(entry: Mapping[str, object], section: str, folder: str) -> Mapping[str, object]:
    key, names = _FILES[section]
    inner = entry.get(key)
    if not isinstance(inner, Mapping):
        return entry
    paths = {name: posixpath.join(folder, inner[name]) for name in names if isinstance(inner.get(name), str)}
    return {**entry, key: {**inner, **paths}}
