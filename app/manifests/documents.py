"""A file of manifests -> its documents, as values and as text. Pure.

JSON is read by a JSON parser: YAML has no tabs between tokens and no surrogate pairs, files of JSON have both.
"""

import json
import math
from dataclasses import dataclass
from typing import Any, Final

from app.cluster.manifests import Document, read_documents
from app.errors import ManifestError

ENCODINGS: Final = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"), (b"", "utf-8"))
"""Byte order mark -> encoding. PowerShell's `>` writes UTF-16."""

MAX_VALUES: Final = 1_000_000
"""Values in a document with its aliases written out: more than fit in the 1.5 MiB that etcd takes of an object. Ten
lines of aliases to aliases can stand for a thousand million."""

MAX_LEVELS: Final = 256
"""Of nesting, with aliases written out. The deepest schema of a custom resource has some 60."""

MAX_DIGITS: Final = 309
"""Of an integer in JSON, as many as the largest double has; Python itself refuses to read more than 4,300."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One file.

    Attributes:
        source: its name, for messages.
        text: all of it, without a byte order mark.
        documents: its documents in order.
        json: whether it is JSON, not YAML.
        encoding: of the file.
        mark: its byte order mark, mostly none.
    """

    source: str
    text: str
    documents: tuple[Document, ...]
    json: bool
    encoding: str
    mark: bytes

    def encode(self, text: str) -> bytes:
        """Return *text* in this file's encoding."""
        # Half of a surrogate pair can only come from an escape in JSON, and is written as that again.
        return self.mark + text.encode(self.encoding, "backslashreplace")


def read(data: bytes, *, source: str) -> Manifest:
    """Return the documents of a file.

    Args:
        data: YAML, or JSON if the name ends in .json or the text is one JSON object behind the other.
        source: its name, for messages.

    Raises:
        ManifestError: it is neither; the message names the line.
    """
    mark, encoding = next(pair for pair in ENCODINGS if data.startswith(pair[0]))
    try:
        text = data[len(mark) :].decode(encoding)
    except UnicodeDecodeError:
        read_documents(data, source=source)  # says where
        raise
    documents = _json_documents(text, source=source, or_yaml=not source.endswith(".json"))
    is_json = documents is not None
    if documents is None:
        documents = read_documents(data, source=source)
    for document in documents:
        _check(document)
    return Manifest(source=source, text=text, documents=tuple(documents), json=is_json, encoding=encoding, mark=mark)


def _json_documents(text: str, *, source: str, or_yaml: bool) -> list[Document] | None:
    """Return the JSON values of *text*, or None where it need not be JSON and is not."""
    if or_yaml and not text.lstrip().startswith("{"):
        return None
    documents: list[Document] = []
    position = _value(text, 0)
    try:
        while position < len(text):
            content, end = _decoder.raw_decode(text, position)
            documents.append(Document(content, source, text.count("\n", 0, position) + 1))
            position = _value(text, end)
    except (ValueError, RecursionError) as error:
        if or_yaml:
            return None
        raise _unreadable(error, source=source, line=text.count("\n", 0, position) + 1) from None
    return documents


def _value(text: str, position: int) -> int:
    """Return where the next value begins."""
    return len(text) - len(text[position:].lstrip(" \t\r\n"))


def _unreadable(error: Exception, *, source: str, line: int) -> ManifestError:
    if isinstance(error, json.JSONDecodeError):
        return ManifestError(f"{source}:{error.lineno}:{error.colno}: expected JSON, got: {error.msg.lower()}")
    if isinstance(error, RecursionError):
        return ManifestError(f"{source}:{line}: expected JSON, got too many levels of nesting")
    return ManifestError(f"{source}:{line}: {error}")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("expected each key once, got one twice")
    return value


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("expected JSON, got a number that is out of range")
    return value


def _integer(text: str) -> int:
    return int(text) if len(text) <= MAX_DIGITS else int(_number("inf"))


_decoder: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_number, parse_int=_integer, parse_constant=_number
)


def _check(document: Document) -> None:
    """Refuse what is no object, and aliases that nobody could write out."""
    content = document.content
    if content is not None and not isinstance(content, dict):
        kind = "a list" if isinstance(content, list) else "a string" if isinstance(content, str) else "a number"
        raise document.problem(f"expected a Kubernetes object, got {kind}")
    try:
        values, levels = _extent(content, document, known={})
    except RecursionError:
        values, levels = 0, MAX_LEVELS + 1
    if levels > MAX_LEVELS:
        raise document.problem(f"expected at most {MAX_LEVELS} levels of nesting, got more")
    if values > MAX_VALUES:
        raise document.problem(f"expected at most {MAX_VALUES} values with aliases written out, got more")


def _extent(value: object, document: Document, *, known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """Return how many values *value* is, counting one at each of its places, and how many levels deep.

    Looks at each only once, so that it takes no longer than reading them did.
    """
    if not isinstance(value, dict | list):
        return 1, 0
    extent = known.get(id(value))
    if extent == _UNKNOWN:
        raise document.problem("expected an alias to another value, got one to a value that it is part of")
    if extent is None:
        known[id(value)] = _UNKNOWN
        values, levels = 1, 0
        for one in value.values() if isinstance(value, dict) else value:
            inside, below = _extent(one, document, known=known)
            values, levels = values + inside, max(levels, below)
        extent = known[id(value)] = values, levels + 1
    return extent


_UNKNOWN: Final = (0, 0)
"""The extent of a value that is being looked at."""
