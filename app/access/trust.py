"""Rows and the roles' trust policies -> the rows that AWS would refuse, and those that nobody asked for. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from app.access.rows import How, Row, with_remark
from oidc.aws.trust import SERVICE_ACCOUNT, Statement, Verdict, trusted_subjects, verdict

REMARKS: Final = {Verdict.NO: "not trusted", Verdict.UNCERTAIN: "trust depends on further conditions"}
NOT_ANNOTATED: Final = "trusted, not annotated"
WILDCARD: Final = "trusted by a wildcard"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What AWS says of one role.

    Attributes:
        statements: of its trust policy, those that speak of this cluster's issuer.
        problem: why there are none to look at, in words; empty where there are.
    """

    statements: tuple[Statement, ...] = ()
    problem: str = ""


def judged(rows: Iterable[Row], trusts: Mapping[str, Trust]) -> Iterator[Row]:
    """Yield *rows* with what the trust policies say of them, and a row for each subject that is trusted besides.

    Args:
        rows: the access map, sorted.
        trusts: by role; of a role that is not there nothing is said.
    """
    asked: dict[str, set[str]] = {}
    for row in rows:
        trust = trusts.get(row.role_arn)
        if row.how is not How.INJECTED:
            asked.setdefault(row.role_arn, set()).add(subject_of(row))
        yield row if trust is None or not row.audience else _judged(row, trust)
    for role in sorted(trusts):
        for subject in trusted_subjects(trusts[role].statements):
            if subject not in asked.get(role, ()):
                yield _trusted(role, subject)


def subject_of(row: Row) -> str:
    """Return the ``sub`` of the tokens of a row's ServiceAccount."""
    return f"{SERVICE_ACCOUNT}{row.namespace}:{row.service_account}"


def _judged(row: Row, trust: Trust) -> Row:
    if trust.problem:
        return with_remark(row, trust.problem)
    found = verdict(trust.statements, subject=subject_of(row), audience=row.audience)
    return row if found is Verdict.YES else with_remark(row, REMARKS[found])


def _trusted(role: str, subject: str) -> Row:
    namespace, colon, name = subject.removeprefix(SERVICE_ACCOUNT).partition(":")
    is_account = subject.startswith(SERVICE_ACCOUNT) and bool(colon)
    is_wild = "*" in subject or "?" in subject
    return Row(
        role_arn=role,
        namespace=namespace if is_account else "",
        service_account=name if is_account else subject,
        how=How.TRUST_POLICY,
        odd=(WILDCARD if is_wild else NOT_ANNOTATED,),
    )
