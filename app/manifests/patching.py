"""JSONPatch operations applied to the text of a document. Pure.

The named library applies them, to the plain value of the document: jsonpatch says what the document must become. The
text is edited beside it and counts only if it reads as exactly that.

Why not let it apply them to ruamel's round-trip document, and write that: tried, with jsonpatch 1.48 and ruamel.yaml
0.19.1. It works in place on CommentedMap and CommentedSeq, but ruamel keeps the comment that stands before the next key
with the item that stands before it, so that a variable appended to ``env`` comes under a comment about ``ports``. An
operation on a list that two containers share by an alias is made twice. And the whole document is written anew:
indentation, blanks before comments, folded lines and Windows line ends are no longer those of the file.
"""

import json
from collections.abc import Sequence
from typing import Any

import jsonpatch
from ruamel.yaml.error import YAMLError

from app.cluster.manifests import read_documents
from app.errors import ManifestError
from app.manifests import positions
from app.manifests.edits import UneditableError, apply, edits
from app.manifests.sharing import written_out
from app.webhook.inject import Operation


def patched_value(value: Any, operations: Sequence[Operation]) -> Any:
    """Return a copy of *value* with *operations* applied; what aliases share in *value* is not shared in the copy."""
    return jsonpatch.JsonPatch(operations).apply(_unshared(value), in_place=True)


def patched_json(value: Any, operations: Sequence[Operation]) -> str:
    """Return *value* with *operations* applied, as JSON."""
    return json.dumps(patched_value(value, operations), indent=2, ensure_ascii=False)


def patched_yaml(text: str, value: Any, operations: Sequence[Operation]) -> str:
    """Return *text* edited so that it reads as its *value* with *operations* applied.

    Where not all places that share a value by aliases get the same, each gets a copy of its own.

    Raises:
        UneditableError: no edit that we know leads there.
    """
    expected = patched_value(value, operations)
    edited = _edited(text, operations)
    if not _reads_as(edited, expected):
        try:
            edited = _edited(written_out(text, operations), operations)
        except YAMLError as error:
            raise UneditableError from error
        if not _reads_as(edited, expected):
            raise UneditableError
    return edited


def _edited(text: str, operations: Sequence[Operation]) -> str:
    return apply(text, edits(text, positions.compose(text), operations))


def _reads_as(text: str, expected: Any) -> bool:
    try:
        return [document.content for document in read_documents(text.encode(), source="")] == [expected]
    except ManifestError:
        return False


def _unshared(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _unshared(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_unshared(one) for one in value]
    return value
