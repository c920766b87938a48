"""Text from strangers, made fit to show: annotations, names and error bodies. Pure."""

from typing import Final

SHOWN_CHARACTERS: Final = 80
"""Enough to recognise a value; a warning has 256 characters in all."""


def shown(text: object, limit: int = SHOWN_CHARACTERS) -> str:
    """Return *text* in double quotes, control characters escaped, cut to *limit* characters.

    A terminal would obey an ESC in an annotation, and a second line in a log would be taken for one of ours.
    """
    value = text if isinstance(text, str) else repr(text)
    cut = value[:limit]
    escaped = "".join(c if c.isprintable() and c not in '"\\' else c.encode("unicode_escape").decode() for c in cut)
    escaped = escaped.replace('"', '\\"')
    return f'"{escaped}…"' if len(value) > limit else f'"{escaped}"'
