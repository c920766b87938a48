"""What the program in the examples wrote -> its answer, or the error that it ended with. Pure."""

import json
import re
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

_EXCEPTION: Final = re.compile(r"(?:\w+\.)*(?P<name>\w+)(?:: (?P<message>.*))?")
"""The last line of a traceback."""

_SERVICE_ERROR: Final = re.compile(
    r"An error occurred \((?P<code>\w+)\) when calling the \w+ operation(?: \([^)]*\))?: (?P<message>.*)"
)
"""The message of botocore's ClientError."""


class Answer(BaseModel):
    """One line of the program: who it was, and what it wrote and read.

    Attributes:
        identity: UserId, Account and Arn of the caller identity.
        object: URL of the object in S3.
        content: what was read from it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    identity: dict[str, str]
    object: str
    content: str


@dataclass(frozen=True, slots=True)
class Failure:
    """What a program without error handling ends with: the service's error code, else the exception's name."""

    code: str
    message: str


def answer(stdout: str) -> Answer | None:
    """Return the first whole line of *stdout* as an answer; None where there is none, or none that we understand."""
    line, newline, _ = stdout.partition("\n")
    if not newline:
        return None
    try:
        return Answer.model_validate(json.loads(line))
    except (ValueError, ValidationError):
        return None


def failure(stderr: str) -> Failure | None:
    """Return the error of the traceback at the end of *stderr*, or None where there is no traceback."""
    lines = stderr.rstrip().splitlines()
    exception = _EXCEPTION.fullmatch(lines[-1]) if lines else None
    if exception is None:
        return None
    message = exception["message"] or ""
    if error := _SERVICE_ERROR.fullmatch(message):
        return Failure(error["code"], error["message"])
    return Failure(exception["name"], message)
