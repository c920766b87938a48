"""What others wrote, made fit for a terminal. Pure."""

import re
from typing import Final

_TOKEN: Final = re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*")
"""A signed token, as logs and error messages would quote one."""


def plain(text: str) -> str:
    """Return *text* with control characters escaped, new lines kept, and tokens hidden."""
    visible = "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)
    return _TOKEN.sub("(token)", visible)
