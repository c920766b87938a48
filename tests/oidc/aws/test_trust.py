from typing import Any

import pytest

from oidc.aws.trust import Verdict, like, statements, trusted_subjects, verdict

ISSUER = "https://oidc.example/cluster-a"
PROVIDER = "arn:aws:iam::111122223333:oidc-provider/oidc.example/cluster-a"
SUBJECT = "system:serviceaccount:shop:app"
AUDIENCE = "sts.amazonaws.com"


def policy(*conditions: dict[str, Any], provider: Any = PROVIDER, **fields: Any) -> dict[str, Any]:
    one = {"Effect": "Allow", "Principal": {"Federated": provider}, "Action": "sts:AssumeRoleWithWebIdentity"} | fields
    return {"Version": "2012-10-17", "Statement": [{**one, "Condition": each} for each in conditions or ({},)]}


def exactly(subject: str, audience: str = AUDIENCE, operator: str = "StringEquals") -> dict[str, Any]:
    return {operator: {"oidc.example/cluster-a:sub": subject, "oidc.example/cluster-a:aud": audience}}


@pytest.mark.parametrize(
    ("document", "answer"),
    [
        pytest.param(policy(exactly(SUBJECT)), Verdict.YES, id="exactly it"),
        pytest.param(policy(exactly("system:serviceaccount:shop:other")), Verdict.NO, id="another"),
        pytest.param(policy(exactly(SUBJECT, "other")), Verdict.NO, id="another audience"),
        pytest.param(policy(exactly("system:serviceaccount:shop:*")), Verdict.NO, id="wildcard under StringEquals"),
        pytest.param(policy(exactly("system:serviceaccount:*:app", operator="StringLike")), Verdict.YES, id="like"),
        pytest.param(policy(exactly("system:serviceaccount:s?op:app", operator="StringLike")), Verdict.YES, id="one"),
        pytest.param(
            policy(exactly("SYSTEM:serviceaccount:shop:app", operator="StringEqualsIgnoreCase")), Verdict.YES, id="case"
        ),
        pytest.param(policy(exactly(SUBJECT, operator="StringNotEquals")), Verdict.NO, id="all but it"),
        pytest.param(
            policy(exactly(SUBJECT, operator="ForAnyValue:StringEqualsIfExists")), Verdict.YES, id="qualified"
        ),
        pytest.param(policy({}), Verdict.YES, id="no condition at all"),
        pytest.param(policy(exactly("x"), exactly(SUBJECT)), Verdict.YES, id="second statement"),
        pytest.param(
            policy({"StringEquals": {"oidc.example/cluster-a:sub": ["x", SUBJECT]}}), Verdict.YES, id="alternatives"
        ),
        pytest.param(
            policy({**exactly(SUBJECT), "IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}), Verdict.UNCERTAIN, id="source"
        ),
        pytest.param(
            policy({**exactly("x"), "IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}), Verdict.NO, id="another and source"
        ),
        pytest.param(policy(exactly("${aws:username}", operator="StringLike")), Verdict.UNCERTAIN, id="variable"),
        pytest.param(
            policy(exactly(SUBJECT), provider="arn:aws:iam::111122223333:oidc-provider/b"), Verdict.NO, id="b"
        ),
        pytest.param(policy(exactly(SUBJECT), Action=["sts:TagSession", "sts:*"]), Verdict.YES, id="actions"),
        pytest.param(policy(exactly(SUBJECT), Action="sts:AssumeRole"), Verdict.NO, id="another action"),
        pytest.param(policy(exactly(SUBJECT), Principal="*"), Verdict.YES, id="everybody"),
        pytest.param({"Statement": "x"}, Verdict.NO, id="no policy"),
        pytest.param({}, Verdict.NO, id="nothing"),
        pytest.param(
            {"Statement": [*policy({})["Statement"], *policy(exactly(SUBJECT), Effect="Deny")["Statement"]]},
            Verdict.NO,
            id="denied",
        ),
        pytest.param(
            {"Statement": [*policy({})["Statement"], *policy(exactly("x"), Effect="Deny")["Statement"]]},
            Verdict.YES,
            id="somebody else is denied",
        ),
    ],
)
def test_trust_policy_lets_a_subject_in_or_not(document: dict[str, Any], answer: Verdict) -> None:
    assert verdict(statements(document, ISSUER), subject=SUBJECT, audience=AUDIENCE) is answer


def test_subjects_are_listed_as_they_stand_in_the_policy() -> None:
    document = policy(
        exactly(SUBJECT), exactly("system:serviceaccount:team-*:*", operator="StringLike"), exactly(SUBJECT)
    )

    assert trusted_subjects(statements(document, ISSUER)) == (SUBJECT, "system:serviceaccount:team-*:*")


def test_policy_without_a_subject_trusts_all() -> None:
    assert trusted_subjects(statements(policy({}), ISSUER)) == ("*",)


def test_subject_of_a_namespace_that_begins_alike_is_not_let_in() -> None:
    found = statements(policy(exactly("system:serviceaccount:team-x:*", operator="StringLike")), ISSUER)

    assert verdict(found, subject="system:serviceaccount:team-x-evil:app", audience=AUDIENCE) is Verdict.NO


def test_pattern_takes_signs_for_themselves() -> None:
    assert like("a.b[c]*").fullmatch("a.b[c]\nx")
    assert not like("a.b").fullmatch("axb")
