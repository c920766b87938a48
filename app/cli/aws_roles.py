"""The trust policies of roles, from IAM. The only import of boto3 here; whoever comes here has asked for it."""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Protocol

import boto3.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from app.access.trust import Trust
from app.errors import ConfigurationError, IrsaError
from app.text import shown
from oidc.aws.trust import statements

THREADS: Final = 8
TIMEOUT_SECONDS: Final = 10

OTHER_ACCOUNT: Final = "role is in another account, not looked at"
NO_SUCH_ROLE: Final = "no such role"
NOT_ALLOWED: Final = "trust policy not readable: iam:GetRole is refused"


class Iam(Protocol):
    """What we ask of IAM; boto3's client is one."""

    def get_role(self, *, RoleName: str) -> Mapping[str, Any]:  # noqa: N803 - boto3's own spelling
        """Return ``Role``, with ``Arn`` and the decoded ``AssumeRolePolicyDocument``."""


def iam() -> Iam:
    """Return IAM with the credentials of the environment, as every AWS tool finds them.

    Raises:
        ConfigurationError: they cannot be used.
    """
    config = Config(
        connect_timeout=TIMEOUT_SECONDS, read_timeout=TIMEOUT_SECONDS, retries={"mode": "standard", "max_attempts": 5}
    )
    try:
        client: Iam = boto3.session.Session().client("iam", config=config)
    except (BotoCoreError, ValueError) as error:
        raise _unusable(error) from error
    return client


def trusts(role_arns: Iterable[str], *, issuer: str, iam: Iam) -> dict[str, Trust]:
    """Return what the trust policy of each role says of an *issuer*.

    Raises:
        ConfigurationError: there are no credentials to ask with.
        IrsaError: IAM does not answer.
    """
    roles = sorted(role for role in role_arns if ":role/" in role)
    with ThreadPoolExecutor(THREADS) as threads:
        return dict(zip(roles, threads.map(lambda role: _trust(role, issuer, iam), roles), strict=True))


def _trust(role_arn: str, issuer: str, iam: Iam) -> Trust:
    try:
        role = iam.get_role(RoleName=role_arn.rpartition("/")[2])["Role"]
    except ClientError as error:
        match error.response.get("Error", {}).get("Code"):
            case "NoSuchEntity":
                return Trust(problem=NO_SUCH_ROLE)
            case "AccessDenied" | "AccessDeniedException":
                return Trust(problem=NOT_ALLOWED)
            case code:
                raise IrsaError(f"expected IAM to return role {shown(role_arn)}, got {shown(str(code))}") from error
    except (NoCredentialsError, NoRegionError) as error:
        raise _unusable(error) from error
    except BotoCoreError as error:
        raise IrsaError(f"expected IAM to answer, got {shown(str(error), 256)}") from error
    # IAM knows roles of our own account only, and by name: one of the same name says nothing of the other account's.
    if role["Arn"] != role_arn:
        return Trust(problem=OTHER_ACCOUNT)
    return Trust(statements=statements(role["AssumeRolePolicyDocument"], issuer))


def _unusable(error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"expected AWS credentials with iam:GetRole in the environment, for --aws, got: {shown(str(error), 256)}"
    )
