"""What the command-line library says of bad input -> one line in our words. Pure."""

from cyclopts import CycloptsError
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from app.text import shown


def one_line(error: CycloptsError) -> str:
    """Return one line for *error*: the flag, what was expected and what came."""
    cause = error.__cause__
    if isinstance(cause, ValidationError):
        return invalid(cause)
    return " ".join(str(error).split()).rstrip(".")


def invalid(error: ValidationError) -> str:
    """Return one line for values that are none of our settings."""
    return "; ".join(_field(detail) for detail in error.errors())


def _field(detail: ErrorDetails) -> str:
    location = detail["loc"]
    flag = "--" + str(location[0]).replace("_", "-") if location else "settings"
    if detail["type"] == "value_error":
        # Our own validators say what came, or leave it out because it may be a secret.
        return f"{flag}: {detail['msg'].removeprefix('Value error, ')}"
    message = detail["msg"]
    return f"{flag}: {message[:1].lower()}{message[1:]}, got {shown(detail['input'])}"
