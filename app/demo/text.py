"""What others wrote, made fit for a terminal. Pure."""

import re
from typing import Final

from app.text import escaped

_TOKEN: Final = re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*")
"""A signed token, as logs and error messages would quote one."""


def plain(text: str) -> str:
    """Return *text* with control characters escaped, new lines kept, and tokens hidden."""
    return _TOKEN.sub("(token)", escaped(text, but="\n"))
