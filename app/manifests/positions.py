"""YAML text -> where each of its values stands. Pure.

Composed here from the parser's events: ruamel's own composer puts the target in place of an alias, so that nobody can
tell any more where the alias was, and its marks of a block end where the next one begins, after comments and blanks.
"""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.composer import ComposerError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

MERGE: Final = "<<"
"""The key that takes over what another mapping has, https://yaml.org/type/merge.html; kubectl's parser knows it too."""

_DIRECTIVES: Final = re.compile(r"^%.*\n(?:(?:%.*|[ \t]*(?:#.*)?\r?)\n)*\Z", re.MULTILINE)
_COLON: Final = re.compile(r"[ \t]*:")

# The header of a block of text that keeps the blank lines behind it.
_KEEPS_BLANK_LINES: Final = re.compile(r"(?:[&!]\S*[ \t]+)*[|>]\d?\+")


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A value and its place, in characters of the text.

    Attributes:
        start: its first character, anchor and tag included.
        content: the first character of the value itself: bracket, dash, key or scalar.
        column: the column of `content`, from 0.
        end: behind its last character; comments, blank lines and line ends that follow are no part of it.
        anchor: its name for aliases.
    """

    start: int
    content: int
    column: int
    end: int
    anchor: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Scalar(Node):
    """A string, number, boolean or null, unresolved."""

    value: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Collection(Node):
    """A list or an object: in brackets (`flow`), or with a line for each item or key."""

    flow: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Sequence(Collection):
    """A list."""

    items: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Mapping(Collection):
    """An object."""

    entries: tuple[tuple[Node, Node], ...] = ()

    def own(self, key: str) -> Node | None:
        """Return the value that stands in this mapping under *key*."""
        return next((value for name, value in self.entries if isinstance(name, Scalar) and name.value == key), None)

    def merged(self) -> list[Node]:
        """Return the mappings that this one takes over, the one that counts first."""
        sources = self.own(MERGE)
        items = sources.items if isinstance(sources, Sequence) else (sources,)
        return [target(item) for item in items if item is not None]


@dataclass(frozen=True, slots=True, eq=False)
class Alias(Node):
    """A place where another value stands again."""

    target: Node | None = None


def target(node: Node) -> Node:
    """Return *node*, or what it stands for."""
    return node.target if isinstance(node, Alias) and node.target is not None else node


def child(node: Node, token: str) -> Node | None:
    """Return the value under one *token* of a JSON pointer, merged ones included."""
    if isinstance(node, Sequence):
        return target(node.items[int(token)]) if token.isdigit() and int(token) < len(node.items) else None
    if not isinstance(node, Mapping):
        return None
    own = node.own(token)
    if own is not None:
        return target(own)
    return next((found for source in node.merged() if (found := child(source, token)) is not None), None)


def children(node: Node) -> tuple[Node, ...]:
    """Return the keys, values or items that stand in *node*."""
    if isinstance(node, Sequence):
        return node.items
    if isinstance(node, Mapping):
        return tuple(one for entry in node.entries for one in entry)
    return ()


def walk(node: Node) -> Iterator[Node]:
    """Yield *node* and what stands in it, in order, without following aliases."""
    yield node
    for one in children(node):
        yield from walk(one)


def split(text: str) -> list[str]:
    """Return the documents of a stream that can be read, as slices that make up the whole *text* again."""
    starts = [event.start_mark.index for event in _events(text) if isinstance(event, DocumentStartEvent)]
    slices = [text[start:end] for start, end in itertools.pairwise([0, *starts[1:], len(text)])]
    for index, before in enumerate(slices[:-1]):
        # Directives stand before the line that is the start of their document.
        directives = _DIRECTIVES.search(before)
        if directives:
            slices[index] = before[: directives.start()]
            slices[index + 1] = directives[0] + slices[index + 1]
    return slices


def compose(text: str) -> Node:
    """Return the value of a *text* with one document.

    Raises:
        YAMLError: ruamel's, if it cannot be read.
    """
    events = _events(text)
    for event in events:
        if isinstance(event, DocumentStartEvent):
            return _Composer(text, events).node(next(events))
    return Scalar(0, 0, 0, 0)


def _events(text: str) -> Iterator[Any]:
    return iter(YAML(typ="safe", pure=True).parse(text))


class _Composer:
    def __init__(self, text: str, events: Iterator[Any]) -> None:
        self._text = text
        self._events = events
        self._anchors: dict[str, Node] = {}

    def node(self, event: Any) -> Node:
        """Return the value that begins with *event*."""
        if isinstance(event, AliasEvent):
            start, end = event.start_mark, event.end_mark
            if event.anchor not in self._anchors:
                raise ComposerError(problem="found undefined alias", problem_mark=start)
            return Alias(start.index, start.index, start.column, end.index, target=self._anchors[event.anchor])
        if isinstance(event, ScalarEvent):
            node: Node = self._scalar(event)
        elif isinstance(event, SequenceStartEvent):
            node = self._sequence(event)
        else:
            node = self._mapping(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _scalar(self, event: Any) -> Scalar:
        start, end = event.start_mark.index, event.end_mark.index
        if event.style in ("|", ">"):
            # Its end is where the next line begins. Blank lines behind it belong to it only if it says so.
            raw = self._text[start:end]
            raw = raw.removesuffix("\n").removesuffix("\r") if _KEEPS_BLANK_LINES.match(raw) else raw.rstrip()
            end = start + len(raw)
        return Scalar(start, start, event.start_mark.column, end, event.anchor, event.value)

    def _sequence(self, event: Any) -> Sequence:
        items: list[Node] = []
        while not isinstance(one := next(self._events), SequenceEndEvent):
            items.append(self.node(one))
        # The mark is at the first dash, or behind it in a list that is indented no more than its key.
        is_behind = self._text[event.end_mark.index : event.end_mark.index + 1] != "-"
        end = one.end_mark.index if event.flow_style else items[-1].end
        return Sequence(*self._place(event, end, back=is_behind), event.anchor, event.flow_style, tuple(items))

    def _mapping(self, event: Any) -> Mapping:
        entries: list[tuple[Node, Node]] = []
        while not isinstance(one := next(self._events), MappingEndEvent):
            key = self.node(one)
            value = self.node(next(self._events))
            if value.start == value.end:
                # Nothing stands there. Its mark may be at the next key, lines below.
                colon = _COLON.match(self._text, key.end)
                place = colon.end() if colon else key.end
                value = Scalar(place, place, value.column, place)
            entries.append((key, value))
        end = one.end_mark.index if event.flow_style else entries[-1][1].end
        return Mapping(*self._place(event, end), event.anchor, event.flow_style, tuple(entries))

    def _place(self, event: Any, end: int, *, back: bool = False) -> tuple[int, int, int, int]:
        """Return start, content, column and *end*. The end mark of a bracket's event is behind the bracket."""
        mark, step = event.end_mark, int(event.flow_style or back)
        return event.start_mark.index, mark.index - step, mark.column - step, end
