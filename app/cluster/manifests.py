"""YAML manifests -> documents -> ServiceAccounts. Pure: bytes in, values out.

No message quotes what a document holds: manifests hold Secrets.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from app.cluster.objects import Keep, service_account
from app.cluster.source import ServiceAccounts
from app.errors import ManifestError
from app.text import shown

DEFAULT_NAMESPACE: Final = "default"

_QUOTED: Final = re.compile(r"'([^']*)'")

# The safe constructor hands on whatever Python's int(), date() and so on raise for a value such as `2024-99-99`.
_BAD_VALUE: Final = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError)


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a YAML file: plain dicts, lists and scalars, and where it begins.

    Attributes:
        content: the document; None for an empty one.
        source: the file's name, for messages.
        line: where it begins, from 1.
    """

    content: object
    source: str
    line: int

    def problem(self, text: str) -> ManifestError:
        """Return the error that says *text* of this document."""
        return ManifestError(f"{self.source}:{self.line}: {text}")


def read_documents(data: bytes, *, source: str) -> list[Document]:
    """Return the documents of a YAML or JSON file, without building any object that YAML tags ask for.

    Args:
        data: the file: UTF-8, or UTF-16 with a byte order mark.
        source: its name, for messages.

    Raises:
        ManifestError: it cannot be read; the message is ``FILE:LINE:COLUMN: what is wrong``.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.composer.warn_double_anchors = False  # YAML lets a name be given again (1.2.2, section 3.2.2.2)
    documents: list[Document] = []
    line = 1
    try:
        for node in yaml.compose_all(_text(data, source=source)):
            line = node.start_mark.line + 1
            documents.append(Document(yaml.constructor.construct_document(node), source, line))
    except YAMLError as error:
        raise _unreadable(error, source=source, line=line) from None
    except RecursionError:
        raise ManifestError(f"{source}: expected YAML, got too many levels of nesting") from None
    except _BAD_VALUE:
        raise ManifestError(f"{source}:{line}: expected YAML, got a value that does not fit its type") from None
    return documents


def service_accounts_in(
    documents: Iterable[Document], *, keep: Keep, namespace: str = DEFAULT_NAMESPACE
) -> ServiceAccounts:
    """Return the ServiceAccounts of *documents*, those in a ``List`` included. Other kinds are passed over.

    Where a ServiceAccount stands twice the last one counts, as it would for ``kubectl apply``.

    Args:
        documents: from `read_documents`, or with mappings of any other loader as content.
        keep: says which annotations are kept.
        namespace: where a ServiceAccount goes that names none.

    Raises:
        ManifestError: a document is no object, or a ServiceAccount has no name or an annotation that kube-apiserver
            would refuse.
    """
    snapshot = ServiceAccounts()
    for document in documents:
        for manifest in _objects(document):
            if manifest.get("kind") == "ServiceAccount" and manifest.get("apiVersion") == "v1":
                _put(snapshot, document, manifest, keep=keep, namespace=namespace)
    return snapshot


def _objects(document: Document) -> Iterator[Mapping[str, object]]:
    """Yield the objects of a document: itself, or those of a ``List`` (``v1 List``, ``v1 ServiceAccountList``)."""
    if document.content is None:
        return
    manifest = _mapping(document.content, document, what="a Kubernetes object")
    kind = manifest.get("kind")
    items = manifest.get("items")
    if not isinstance(kind, str) or not kind.endswith("List") or not isinstance(items, list):
        yield manifest
        return
    for item in items:
        listed = _mapping(item, document, what="Kubernetes objects in a List")
        # A list in a list would allow one that holds itself, or a million of them in ten lines of aliases.
        if listed.get("kind") == "List":
            raise document.problem("expected objects in a List, got another List")
        yield {"apiVersion": "v1", "kind": kind.removesuffix("List"), **listed} if kind != "List" else listed


def _put(
    snapshot: ServiceAccounts,
    document: Document,
    manifest: Mapping[str, object],
    *,
    keep: Keep,
    namespace: str,
) -> None:
    metadata = _mapping(manifest.get("metadata") or {}, document, what="a ServiceAccount's metadata as a mapping")
    name, its_namespace = metadata.get("name"), metadata.get("namespace") or namespace
    if not isinstance(name, str) or not name:
        raise document.problem("expected a ServiceAccount with metadata.name, got none")
    if not isinstance(its_namespace, str):
        raise document.problem(f"ServiceAccount {shown(name)}: expected metadata.namespace to be a string")
    where = f"ServiceAccount {shown(f'{its_namespace}/{name}')}"
    annotations = _mapping(metadata.get("annotations") or {}, document, what=f"{where} with annotations as a mapping")
    kept = {
        key: _value(value, document, where=f"{where}: annotation {shown(key)}") for key, value in annotations.items()
    }
    snapshot.put(its_namespace, name, service_account(kept, keep=keep))


def _value(value: object, document: Document, *, where: str) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""  # as kube-apiserver reads it: Go's JSON leaves a string empty for null
    raise document.problem(f"{where}: expected a string, got {_KIND.get(type(value), 'something else')}; quote it")


_KIND: Final = {bool: "a boolean", int: "a number", float: "a number", dict: "a mapping", list: "a list"}


def _mapping(value: object, document: Document, *, what: str) -> Mapping[str, object]:
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return value
    raise document.problem(f"expected {what}, got {_KIND.get(type(value), 'something else')}")


def _text(data: bytes, *, source: str) -> str:
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ManifestError(f"{source}:{line}: expected UTF-8, got other bytes") from None


def _unreadable(error: YAMLError, *, source: str, line: int) -> ManifestError:
    if isinstance(error, DuplicateKeyError) and error.problem_mark is not None:
        mark = error.problem_mark
        return ManifestError(f"{source}:{mark.line + 1}:{mark.column + 1}: expected each key once, got one twice")
    if isinstance(error, ReaderError):
        return ManifestError(f"{source}: expected YAML, got a control character (U+{error.character:04X})")
    if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        problem = _QUOTED.sub(_not_the_file, error.problem or "something else")
        return ManifestError(f"{source}:{mark.line + 1}:{mark.column + 1}: cannot be read as YAML: {problem}")
    return ManifestError(f"{source}:{line}: expected YAML, got something else")


def _not_the_file(quoted: re.Match[str]) -> str:
    """Return what the parser quotes if it is a character, an escape or a <token> of its own, else dots.

    The rest is the file's: an alias, a tag, and each may be the password that somebody forgot to quote.
    """
    return quoted[0] if len(quoted[1]) == 1 or quoted[1].startswith(("<", "\\")) else "'…'"
