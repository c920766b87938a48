"""The trust policies of roles, from IAM. The only import of boto3 here; whoever comes here has asked for it."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
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

PAGE_ROLES: Final = 1000
"""The most that a page of ListRoles has (IAM API Reference, ListRoles, MaxItems)."""

REFUSED: Final = frozenset({"AccessDenied", "AccessDeniedException"})

OTHER_ACCOUNT: Final = "role is in another account, not looked at"
NO_SUCH_ROLE: Final = "no such role"
NOT_ALLOWED: Final = "trust policy not readable: iam:GetRole is refused"
NOT_LISTED: Final = "iam:ListRoles is refused, so roles that nobody asks for are not looked at"

Role = Mapping[str, Any]
"""As IAM has it: with ``Arn`` and ``AssumeRolePolicyDocument``, which boto3 decodes."""


class Pages(Protocol):
    """What boto3's paginator of ListRoles is."""

    def paginate(self, *, PaginationConfig: Mapping[str, int]) -> Iterable[Mapping[str, Any]]:  # noqa: N803 - boto3's
        """Return the pages, each with ``Roles``."""


class Iam(Protocol):
    """What we ask of IAM; boto3's client is one."""

    def get_role(self, *, RoleName: str) -> Mapping[str, Any]:  # noqa: N803 - boto3's own spelling
        """Return ``Role``."""

    def get_paginator(self, operation_name: str, /) -> Pages:
        """Return the paginator of ``list_roles``."""


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
    """Return what trust policies say of an *issuer*: of each of some roles, and of every other of the account it is in.

    Where the account's roles may not be listed, it is said on standard error, and only those are asked for.

    Args:
        role_arns: the roles that somebody asks for.
        issuer: its URL.
        iam: whom to ask.

    Raises:
        ConfigurationError: there are no credentials to ask with.
        IrsaError: IAM does not answer.
    """
    asked = sorted(role for role in role_arns if ":role/" in role)
    listed = _listed(asked, issuer, iam)
    if listed is not None:
        return listed
    print(f"irsa: {NOT_LISTED}", file=sys.stderr)
    with ThreadPoolExecutor(THREADS) as threads:
        return dict(zip(asked, threads.map(lambda role: _trust(role, issuer, iam), asked), strict=True))


def _listed(asked: Iterable[str], issuer: str, iam: Iam) -> dict[str, Trust] | None:
    """Return the trusts by one call for many roles, None where IAM refuses it."""
    accounts, found = set(), {}
    with _in_our_words("list roles"):
        try:
            for role in _roles(iam):
                accounts.add(_account(role["Arn"]))
                found[role["Arn"]] = statements(role.get("AssumeRolePolicyDocument") or {}, issuer)
        except ClientError as error:
            if _code(error) in REFUSED:
                return None
            raise
    absent = {role: Trust(problem=_absent(role, accounts)) for role in asked if role not in found}
    wanted = frozenset(asked)
    return absent | {role: Trust(statements=said) for role, said in found.items() if said or role in wanted}


def _roles(iam: Iam) -> Iterator[Role]:
    for page in iam.get_paginator("list_roles").paginate(PaginationConfig={"PageSize": PAGE_ROLES}):
        yield from page["Roles"]


def _trust(role_arn: str, issuer: str, iam: Iam) -> Trust:
    with _in_our_words(f"return role {shown(role_arn)}"):
        try:
            role: Role = iam.get_role(RoleName=role_arn.rpartition("/")[2])["Role"]
        except ClientError as error:
            if _code(error) == "NoSuchEntity":
                return Trust(problem=NO_SUCH_ROLE)
            if _code(error) in REFUSED:
                return Trust(problem=NOT_ALLOWED)
            raise
    # IAM knows roles of our own account only, and by name: one of the same name says nothing of the other account's.
    if role["Arn"] != role_arn:
        return Trust(problem=_absent(role_arn, {_account(role["Arn"])}))
    return Trust(statements=statements(role["AssumeRolePolicyDocument"], issuer))


def _absent(role_arn: str, accounts: set[str]) -> str:
    """Return why none of the roles of *accounts* is the one of *role_arn*."""
    return NO_SUCH_ROLE if _account(role_arn) in accounts else OTHER_ACCOUNT


def _account(role_arn: str) -> str:
    """Return partition and account, as the ARN begins; no two accounts begin alike."""
    return role_arn.partition(":role/")[0]


@contextmanager
def _in_our_words(what: str) -> Iterator[None]:
    """Raise an error of ours for each of boto3's.

    Args:
        what: what IAM was expected to do.
    """
    try:
        yield
    except ClientError as error:
        raise IrsaError(f"expected IAM to {what}, got {shown(_code(error))}") from error
    except (NoCredentialsError, NoRegionError) as error:
        raise _unusable(error) from error
    except BotoCoreError as error:
        raise IrsaError(f"expected IAM to answer, got {shown(str(error), 256)}") from error


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code"))


def _unusable(error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"expected AWS credentials with iam:ListRoles in the environment, for --aws, got: {shown(str(error), 256)}"
    )
