"""JSONPatch operations -> edits of the text that they are about. Pure.

Of the operations there are only the additions that ``app.webhook.inject`` makes: at the end of a list, in front of a
list, of a key. All that stands in the text stays, but for the value of a key that is given another one, and for a null
and an empty ``[]``, which give way to lines with dashes.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from app.manifests import positions, rendering
from app.manifests.positions import Collection, Mapping, Node
from app.manifests.rendering import Style
from app.webhook.inject import Operation

_REST_OF_LINE: Final = re.compile(r"[^\r\n]*")
_NOTHING: Final = re.compile(r"[ \t]*(#.*)?\r?")
_EMPTY: Final = re.compile(r"\[[ \t]*\]")
_LAST_OF_ITS_LINE: Final = re.compile(r"(,?)[ \t]*(?:[ \t]#[^\r\n]*)?(?=\r?\n)")


FIRST: Final = "0"
"""The last of a pointer to the front of a list; that to its end is ``-``."""


class UneditableError(ValueError):
    """The text has no such place as an operation wants."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """Puts *text* in the place of the characters from *start* to *end*.

    Of two edits at one place the deeper one comes first: a container's last key stands before the pod's next one.
    """

    start: int
    end: int
    text: str = ""
    depth: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Addition:
    """All that is added at one place: `chain` leads there from the document, `last` ends the pointer."""

    chain: tuple[Node, ...]
    last: str
    values: list[Any] = field(default_factory=list)


def apply(text: str, edits: Iterable[Edit]) -> str:
    """Return *text* with all *edits* made."""
    parts: list[str] = []
    position = 0
    for edit in sorted(edits, key=lambda edit: (edit.start, -edit.depth)):
        parts += [text[position : edit.start], edit.text]
        position = max(position, edit.end)
    return "".join([*parts, text[position:]])


def edits(text: str, root: Node, operations: Sequence[Operation]) -> list[Edit]:
    """Return what makes *operations* true of *text*, whose value is *root*.

    Operations that come to the same place by different ways, an anchor and its alias, become one edit.

    Raises:
        UneditableError: there is no such place.
    """
    additions: dict[tuple[Node, str], _Addition] = {}
    for operation in operations:
        chain = way(root, operation)
        last = operation["path"].rpartition("/")[2].replace("~1", "/").replace("~0", "~")
        addition = additions.setdefault((chain[-1], last), _Addition(chain=chain, last=last))
        if operation["value"] not in addition.values:
            addition.values.append(operation["value"])
    editor = _Editor(text, root)
    return [edit for addition in additions.values() for edit in editor.add(addition)]


def way(root: Node, operation: Operation) -> tuple[Node, ...]:
    """Return the values on the way from *root* to the one that *operation* adds to.

    Raises:
        UneditableError: it leads nowhere.
    """
    chain = [positions.target(root)]
    for token in operation["path"].split("/")[1:-1]:  # only the last one may have a ~ or / to escape
        node = positions.child(chain[-1], token)
        if node is None:
            raise UneditableError
        chain.append(node)
    return tuple(chain)


def line_end(text: str) -> str:
    """Return how lines end in *text*."""
    return "\r\n" if "\r\n" in text else "\n"


def below(text: str, end: int, lines: Iterable[str], *, column: int, depth: int = 0) -> Edit:
    """Return the edit that puts *lines* under the line where the value up to *end* ends, and its comment."""
    rest = _REST_OF_LINE.match(text, end)
    position = rest.end() if rest else end
    added = "".join(f"{line_end(text)}{' ' * column if line else ''}{line}" for line in lines)
    return Edit(start=position, end=position, text=added, depth=depth)


def without(text: str, node: Node) -> Edit:
    """Return the edit that takes *node* out, and the blanks before it."""
    before = text[: node.start].rstrip(" \t")
    return Edit(start=len(before), end=node.end)


def style(chain: Sequence[Node]) -> Style:
    """Return how the lines around the last value of *chain* are indented: as its own, or as those around it."""
    mapping, sequence, item = (
        next((found for node in reversed(chain) for found in _indents(node, above, below_it)), default)
        for above, below_it, default in (
            (Mapping, Mapping, 2),
            (Mapping, positions.Sequence, 0),
            (positions.Sequence, Node, 2),
        )
    )
    return Style(mapping=mapping, sequence=sequence, item=item)


def _indents(node: Node, above: type[Collection], below_it: type[Node]) -> Iterator[int]:
    """Yield how far values of one kind are indented below collections of another, for all in *node*."""
    for parent in positions.walk(node):
        if isinstance(parent, above) and not parent.flow:
            for one in positions.children(parent):
                in_brackets = isinstance(one, Collection) and one.flow and isinstance(parent, Mapping)
                nothing = one.start == one.end
                if isinstance(one, below_it) and not in_brackets and not nothing:
                    yield one.column - parent.column


class _Editor:
    def __init__(self, text: str, root: Node) -> None:
        self._text = text
        # A document in braces with its keys in quotes is somebody's JSON, and stays it.
        self._as_json = isinstance(root, Mapping) and root.flow and text[root.content + 1 :].lstrip().startswith('"')

    def add(self, addition: _Addition) -> list[Edit]:
        node, depth = addition.chain[-1], len(addition.chain)
        if isinstance(node, Mapping):
            return self._add_key(node, addition)
        if not isinstance(node, positions.Sequence):
            raise UneditableError
        parent = addition.chain[-2]
        if isinstance(parent, Mapping) and not parent.flow and _EMPTY.fullmatch(self._text, node.start, node.end):
            return self._replace(node, addition.values, addition.chain[:-1])
        if node.flow:
            added = [self._flow(value) for value in addition.values]
            return self._add_in_brackets(node, added, depth=depth, first=addition.last == FIRST)
        as_there = style([node])
        lines = [line for value in addition.values for line in rendering.item(value, as_there)]
        end = self._line_above(node.content) if addition.last == FIRST else node.end
        return [below(self._text, end, lines, column=node.column, depth=depth)]

    def _add_key(self, node: Mapping, addition: _Addition) -> list[Edit]:
        key, value, depth = addition.last, addition.values[0], len(addition.chain)
        there = node.own(key)
        if there is not None:
            return self._replace(there, value, addition.chain)
        if node.flow:
            return self._add_in_brackets(node, [f"{self._flow(key)}: {self._flow(value)}"], depth=depth)
        lines = rendering.entry(key, value, style(addition.chain))
        return [below(self._text, node.end, lines, column=node.column, depth=depth)]

    def _replace(self, node: Node, value: Any, chain: Sequence[Node]) -> list[Edit]:
        """Return the edits that put *value* in the place of *node* in the last of *chain*.

        For a list or mapping that is a null or ``[]``, for anything else a value of one line.
        """
        parent = chain[-1]
        is_inline = not isinstance(value, dict | list) and not isinstance(node, Collection)
        if is_inline or (isinstance(parent, Mapping) and parent.flow):
            blank = " " if node.start == node.end else ""
            return [Edit(start=node.start, end=node.end, text=blank + self._flow(value), depth=len(chain))]
        as_there = style(chain)
        lines = rendering.block(value, as_there)
        column = parent.column + (as_there.mapping if isinstance(value, dict) else as_there.sequence)
        return [without(self._text, node), below(self._text, node.end, lines, column=column, depth=len(chain) + 1)]

    def _add_in_brackets(self, node: Node, added: list[str], *, depth: int, first: bool = False) -> list[Edit]:
        inside = positions.children(node)
        if not inside:
            return [Edit(start=node.content + 1, end=node.content + 1, text=", ".join(added), depth=depth)]
        if first:
            start = inside[0].start
            return [Edit(start=start, end=start, text="".join(f"{one}, " for one in added), depth=depth)]
        end = inside[-1].end
        rest = _LAST_OF_ITS_LINE.match(self._text, end)
        if rest is None:
            return [Edit(start=end, end=end, text="".join(f", {one}" for one in added), depth=depth)]
        comma = rest[1]
        lines = [f"{one}," for one in added[:-1]] + [added[-1] + comma]
        return [
            Edit(start=end, end=end, text="" if comma else ",", depth=depth),
            below(self._text, end, lines, column=inside[0].column, depth=depth),
        ]

    def _flow(self, value: Any) -> str:
        return rendering.flow(value, as_json=self._as_json)

    def _line_above(self, position: int) -> int:
        """Return where the line above that of *position* begins, and above its comments, which belong to it."""
        start = self._text.rfind("\n", 0, position) + 1
        while start > 0:
            end = start - 1
            start = self._text.rfind("\n", 0, end) + 1
            if not _NOTHING.fullmatch(self._text, start, end):
                return start
        raise UneditableError
