"""Text from strangers, made fit to show: annotations, names and error bodies. Pure."""

from typing import Final

SHOWN_CHARACTERS: Final = 80
"""Enough to recognise a value; a warning has 256 characters in all."""


def escaped(text: str, *, but: str = "") -> str:
    """Return *text* with what does not print, and no character of *but*, as Python would write it in a string.

    A terminal would obey an ESC in an annotation, and a second line in a log would be taken for one of ours.
    """
    return "".join(c if c.isprintable() or c in but else c.encode("unicode_escape").decode() for c in text)


def shown(text: object, limit: int = SHOWN_CHARACTERS) -> str:
    """Return *text* in double quotes, escaped, cut to *limit* characters."""
    value = text if isinstance(text, str) else repr(text)
    inside = escaped(value[:limit].replace("\\", "\\\\").replace('"', '\\"'))
    return f'"{inside}…"' if len(value) > limit else f'"{inside}"'
