"""The account and region of the EC2 instance that we run on, asked once at the start.

IMDSv2: first a session token, then the instance identity document,
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-identity-documents.html.
"""

import json
import re
from http import HTTPStatus
from typing import Final, TypeVar

from app.errors import ConfigurationError
from app.settings import IMDS, InjectionSettings
from app.webhook.accounts import ACCOUNT, partition_of

HOST: Final = "169.254.169.254"

TIMEOUT_SECONDS: Final = 0.5
"""For each of four steps: two requests, each a connection and an answer."""

MAX_ANSWER_BYTES: Final = 64 * 1024
"""The document has half a kilobyte."""

TOKEN_PATH: Final = "/latest/api/token"  # noqa: S105 - a path
DOCUMENT_PATH: Final = "/latest/dynamic/instance-identity/document"

S = TypeVar("S", bound=InjectionSettings)


def resolved(settings: S, *, host: str = HOST, port: int = 80) -> S:
    """Return *settings* with the account, and the partition if there is none, that EC2 says where they ask for it.

    Args:
        settings: they are returned as they are where ``aws_account`` is not ``imds``.
        host: where IMDS is.
        port: on which port.

    Raises:
        ConfigurationError: IMDS does not answer, or with something else.
    """
    if settings.aws_account != IMDS:
        return settings
    account, region = _identity(host, port)
    partition = settings.aws_partition or partition_of(region)
    return settings.model_copy(update={"aws_account": account, "aws_partition": partition})


def _identity(host: str, port: int) -> tuple[str, str]:
    """Return the account's id and the region."""
    from http.client import HTTPException  # noqa: PLC0415 - most start without asking, and in less memory

    try:
        token = _answer(host, port, "PUT", TOKEN_PATH, {"X-aws-ec2-metadata-token-ttl-seconds": "60"})
        document = _answer(host, port, "GET", DOCUMENT_PATH, {"X-aws-ec2-metadata-token": token.decode("latin-1")})
    except (OSError, HTTPException) as error:
        raise ConfigurationError(
            f"aws_account: expected an answer from EC2's metadata service at {host}, got {type(error).__name__};"
            " set twelve digits, or an instance metadata hop limit of 2 for pods"
        ) from error
    try:
        values = json.loads(document)
        account, region = values["accountId"], values["region"]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise _no_identity() from error
    if not isinstance(account, str) or not re.fullmatch(ACCOUNT, account) or not isinstance(region, str):
        raise _no_identity()
    return account, region


def _answer(host: str, port: int, method: str, path: str, headers: dict[str, str]) -> bytes:
    from http.client import HTTPConnection  # noqa: PLC0415 - as above

    connection = HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        if response.status != HTTPStatus.OK:
            raise ConfigurationError(
                f"aws_account: expected 200 from EC2's metadata service for {path}, got {response.status};"
                " set twelve digits instead of imds"
            )
        return response.read(MAX_ANSWER_BYTES)
    finally:
        connection.close()


def _no_identity() -> ConfigurationError:
    return ConfigurationError(
        "aws_account: expected an identity document with accountId and region from EC2's metadata service,"
        " got something else; set twelve digits instead of imds"
    )
