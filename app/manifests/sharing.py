"""Aliases that cannot stay -> what they stand for, written out in the text. Pure.

Two containers share a list by an anchor and its alias, and only one of them is to get something: then each needs a list
of its own. Copies are taken from the text, so that every value in them is spelled as it was.
"""

from collections.abc import Iterable, Iterator, Sequence

from app.manifests import positions
from app.manifests.edits import Edit, apply, below, line_end, style, way, without
from app.manifests.positions import MERGE, Alias, Collection, Mapping, Node, Scalar, target
from app.webhook.inject import Operation

MAX_ROUNDS = 16
"""Aliases in what an alias stands for take a round each."""


def written_out(text: str, operations: Sequence[Operation]) -> str:
    """Return *text* without the aliases to anything that *operations* change.

    An alias to lines stays where it is in brackets, because lines cannot be in brackets.

    Raises:
        UneditableError: *text* has no such place as an operation wants.
    """
    for _ in range(MAX_ROUNDS):
        root = positions.compose(text)
        changed = frozenset(way(root, operation)[-1] for operation in operations)
        edits = list(_edits(text, root, changed))
        if not edits:
            break
        text = apply(text, edits)
    return text


def _edits(text: str, root: Node, changed: frozenset[Node]) -> Iterator[Edit]:
    for node in positions.walk(root):
        if isinstance(node, Mapping):
            for key, value in node.entries:
                if isinstance(key, Scalar) and key.value == MERGE:
                    if any(_reaches(source, changed) for source in node.merged()):
                        yield from _merge(text, node, (key, value))
                elif isinstance(value, Alias) and _reaches(target(value), changed):
                    yield from _under_key(text, node, value, root=root)
        elif isinstance(node, positions.Sequence):
            for value in node.items:
                if isinstance(value, Alias) and _reaches(target(value), changed):
                    yield from _at_dash(text, node, value)


def _reaches(node: Node, changed: frozenset[Node]) -> bool:
    """Return whether a change of *changed* is one of what *node* is, by whatever aliases."""
    seen: set[Node] = set()
    todo = [node]
    while todo:
        one = target(todo.pop())
        if one in changed:
            return True
        if one not in seen:
            seen.add(one)
            todo += positions.children(one)
    return False


def _under_key(text: str, parent: Mapping, alias: Alias, *, root: Node) -> Iterator[Edit]:
    found = target(alias)
    if not isinstance(found, Collection) or found.flow:
        yield _inline(text, alias, found)
    elif not parent.flow:
        as_there = style([root])
        column = parent.column + (as_there.mapping if isinstance(found, Mapping) else as_there.sequence)
        lines = _lines(text, found, (found.content, found.end))
        yield without(text, alias)
        yield below(text, alias.end, lines, column=column)


def _at_dash(text: str, parent: positions.Sequence, alias: Alias) -> Iterator[Edit]:
    found = target(alias)
    if not isinstance(found, Collection) or found.flow:
        yield _inline(text, alias, found)
    elif not parent.flow:
        lines = _lines(text, found, (found.content, found.end))
        yield Edit(start=alias.start, end=alias.end, text=_joined(text, lines, alias.column))


def _merge(text: str, parent: Mapping, entry: tuple[Node, Node]) -> Iterator[Edit]:
    """Yield the edit that puts what *parent* takes over in the place of its ``<<``."""
    sources = [source for source in parent.merged() if isinstance(source, Mapping)]
    if parent.flow or any(source.flow for source in sources):
        return
    seen = {key.value for key, _ in parent.entries if isinstance(key, Scalar)} - {MERGE}
    lines: list[str] = []
    for source in sources:
        for key, value in source.entries:
            if isinstance(key, Scalar) and key.value not in seen:
                seen.add(key.value)
                lines += _lines(text, source, (key.start, value.end))
    yield Edit(start=entry[0].start, end=entry[1].end, text=_joined(text, lines, parent.column))


def _inline(text: str, alias: Alias, found: Node) -> Edit:
    copied = apply(text[: found.end], _without_anchors(text, found, found.start))[found.start :]
    return Edit(start=alias.start, end=alias.end, text=copied)


def _lines(text: str, found: Node, part: tuple[int, int]) -> list[str]:
    """Return the lines of a *part* of what was *found*, for column 0, without anchors: each name is given once."""
    start, end = part
    copied = apply(text[:end], _without_anchors(text, found, start))[start:]
    first, *others = copied.split(line_end(text))
    # Comments may be indented less than what they stand in.
    return [first, *(_shifted(line, found.column) for line in others)]


def _shifted(line: str, columns: int) -> str:
    blanks = len(line) - len(line.lstrip(" "))
    return line[min(blanks, columns) :]


def _joined(text: str, lines: Iterable[str], column: int) -> str:
    return line_end(text).join(line and " " * column * (number > 0) + line for number, line in enumerate(lines))


def _without_anchors(text: str, found: Node, start: int) -> Iterator[Edit]:
    for node in positions.walk(found):
        if node.anchor is not None and node.start >= start:
            at = text.index(f"&{node.anchor}", node.start)
            end = len(text) - len(text[at + 1 + len(node.anchor) :].lstrip(" \t"))
            if text[end : end + 1] in ("\r", "\n", ""):
                at = len(text[:at].rstrip(" \t"))
            yield Edit(start=at, end=end)
