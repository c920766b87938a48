"""A ConfigMap, or a file in its place -> the object that is written in it. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from app.cluster.decoding import UNREADABLE
from app.errors import ManifestError
from app.text import shown

CONFIG: Final = "config"
"""The key of the ConfigMap's data that holds the text, as in the AWS webhook's."""

MAX_JSON_CHARACTERS: Final = 1 << 20
"""A ConfigMap has a mebibyte at most (pkg/apis/core/types.go, MaxSecretSize)."""

MAX_YAML_BYTES: Final = 1 << 17
"""Reading so much YAML takes 0.6 s; a mebibyte of JSON takes 10 ms."""

MAX_YAML_BRACKETS: Final = 2_000
"""Flow collections are begun so often at most: 64,000 nested ones take 17 s."""

ANCHOR: Final = b"&"
"""With anchors, and merge keys that use them, 600 bytes hold a document without end. No role or name has one."""

MAX_PROBLEMS: Final = 20

_KIND: Final = {
    dict: "an object",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "an array",
}


class InvalidConfigMapError(ValueError):
    """Something in it that cannot be used. The message is one line, the remedy first."""


def read(data: Mapping[str, str]) -> Mapping[Any, Any]:
    """Return the object that is written in JSON or YAML under `CONFIG`; an empty one where nothing is written.

    Args:
        data: the ConfigMap's ``data``; of a file, its text under `CONFIG`.

    Raises:
        InvalidConfigMapError: it cannot be read.
    """
    if data and CONFIG not in data:
        raise InvalidConfigMapError(f"rename key {shown(next(iter(data)))} to {CONFIG}: no other key is read")
    document = _decoded(data.get(CONFIG, ""))
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise InvalidConfigMapError(f"write an object under {CONFIG}, got {kind(document)}")
    return document


def in_file(content: bytes) -> Mapping[str, str]:
    """Return the ``data`` of the ConfigMap whose manifest, or whose text under `CONFIG`, a file has as *content*.

    Raises:
        InvalidConfigMapError: it is a manifest that kube-apiserver would refuse.
    """
    text = content.decode("utf-8", "replace")
    try:
        manifest = _decoded(text)
    except InvalidConfigMapError:
        manifest = None  # it will be told of when it is read
    if not isinstance(manifest, dict) or manifest.get("kind") != "ConfigMap":
        return {CONFIG: text}
    data = manifest.get("data")
    if data is None:
        return {}
    if not isinstance(data, dict) or not all(isinstance(value, str) for value in data.values()):
        raise InvalidConfigMapError(f"write strings as the ConfigMap's data, such as {CONFIG}: |")
    return {str(key): value for key, value in data.items()}


def kind(value: object) -> str:
    """Return what to call *value*, without quoting it: it may hold itself a million times."""
    return "nothing" if value is None else _KIND.get(type(value), "something else")


def bounded(problems: Sequence[str]) -> tuple[str, ...]:
    """Return *problems*, no more of them than a person reads."""
    more = len(problems) - MAX_PROBLEMS + 1
    return (*problems[: MAX_PROBLEMS - 1], f"mend {more} more entries") if more > 1 else tuple(problems)


def _decoded(text: str) -> object:
    if len(text) > MAX_JSON_CHARACTERS:
        raise InvalidConfigMapError(f"shorten {CONFIG} to {MAX_JSON_CHARACTERS} characters, got {len(text)}")
    if not text.strip():
        return None
    encoded = text.encode("utf-8", "replace")
    try:
        return msgspec.json.decode(encoded)
    except UNREADABLE:
        return _yaml(encoded)


def _yaml(text: bytes) -> object:
    if len(text) > MAX_YAML_BYTES:
        limit = f"more than {MAX_YAML_BYTES} bytes are read as JSON only"
        raise InvalidConfigMapError(f"write JSON under {CONFIG}, got something else: {limit}")
    if ANCHOR in text:
        raise InvalidConfigMapError(f"write {CONFIG} without {ANCHOR.decode()}: YAML's anchors are not read")
    if text.count(b"{") + text.count(b"[") > MAX_YAML_BRACKETS:
        raise InvalidConfigMapError(f"write {CONFIG} as JSON: of YAML at most {MAX_YAML_BRACKETS} brackets are read")
    # 15 MB, which can be spared where there is JSON or nothing.
    from app.cluster.manifests import read_documents  # noqa: PLC0415 - see above

    try:
        documents = read_documents(text, source=CONFIG)
    except ManifestError as error:
        raise InvalidConfigMapError(f"write JSON or YAML under {CONFIG}: {error}") from None
    if len(documents) > 1:
        raise InvalidConfigMapError(f"write one document under {CONFIG}, got {len(documents)}")
    return documents[0].content if documents else None
