"""What the command-line library says of bad input -> one line in our words. Pure."""

from cyclopts import CycloptsError
from pydantic import ValidationError


def one_line(error: CycloptsError) -> str:
    """Return one line for *error*: the flag, what was expected and what came."""
    cause = error.__cause__
    if isinstance(cause, ValidationError):
        return "; ".join(_field(detail["loc"], detail["msg"], detail["input"]) for detail in cause.errors())
    return " ".join(str(error).split()).rstrip(".")


def _field(location: tuple[int | str, ...], message: str, value: object) -> str:
    flag = "--" + str(location[0]).replace("_", "-") if location else "settings"
    return f"{flag}: {message.removeprefix('Value error, ')}, got {value!r}"
