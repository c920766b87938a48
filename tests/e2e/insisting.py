"""A client that does not give up: as a controller, it tries again what failed or was refused."""

import http.client
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from tests.apiserver import Answer, Api

BOUND_SECONDS: Final = 60.0
PAUSE_SECONDS: Final = 0.1


@dataclass(frozen=True)
class Made:
    """An object, in the end.

    Attributes:
        body: as the API server stored it.
        failures: what came before: refusals, and connections that broke.
    """

    body: bytes
    failures: tuple[str, ...]


def insist(api: Api, connection: http.client.HTTPSConnection, collection: str, body: bytes, *, name: str) -> Made:
    """Create an object, whatever it takes."""
    failures: list[str] = []
    end = time.monotonic() + BOUND_SECONDS
    while True:
        try:
            answer = api.ask(connection, "POST", collection, body)
            if answer.status == HTTPStatus.CONFLICT:
                # It was made by a request whose answer never came.
                answer = api.ask(connection, "GET", f"{collection}/{name}")
            if answer.is_success:
                return Made(answer.body, tuple(failures))
            failures.append(said(answer))
        except (OSError, http.client.HTTPException) as error:
            connection.close()  # the next request opens it anew
            failures.append(repr(error))
        assert time.monotonic() < end, f"no {name} within {BOUND_SECONDS:g} s: {failures[-1]}"
        time.sleep(PAUSE_SECONDS)


def said(answer: Answer) -> str:
    """Return what an error says."""
    return f"{answer.status}: {answer.body[:300].decode(errors='replace')}"
