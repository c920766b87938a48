import json

import pytest

from app.demo.program import Answer, Failure, answer, failure

IDENTITY = {"UserId": "u", "Account": "111122223333", "Arn": "arn:aws:sts::111122223333:assumed-role/app/s"}
LINE = {"identity": IDENTITY, "object": "s3://bucket/key", "content": "hello"}


def test_the_first_line_is_the_answer() -> None:
    stdout = f"{json.dumps(LINE)}\nwhatever comes later"

    assert answer(stdout) == Answer(identity=IDENTITY, object="s3://bucket/key", content="hello")


@pytest.mark.parametrize(
    "stdout",
    [
        pytest.param("", id="nothing"),
        pytest.param(json.dumps(LINE), id="a-part-of-a-line"),
        pytest.param("hello\n", id="not-json"),
        pytest.param("{}\n", id="without-identity"),
        pytest.param(f"{json.dumps({**LINE, 'token': 'x'})}\n", id="with-more"),
    ],
)
def test_anything_else_is_no_answer(stdout: str) -> None:
    assert answer(stdout) is None


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        pytest.param(
            "botocore.exceptions.ClientError: An error occurred (AccessDenied) when calling the "
            "AssumeRoleWithWebIdentity operation: trust policy validation failed: denied",
            Failure("AccessDenied", "trust policy validation failed: denied"),
            id="error-of-the-service",
        ),
        pytest.param(
            "botocore.errorfactory.ExpiredTokenException: An error occurred (ExpiredTokenException) when calling the "
            "AssumeRoleWithWebIdentity operation (reached max retries: 4): token: expired",
            Failure("ExpiredTokenException", "token: expired"),
            id="after-retries",
        ),
        pytest.param(
            "botocore.exceptions.NoCredentialsError: Unable to locate credentials",
            Failure("NoCredentialsError", "Unable to locate credentials"),
            id="error-of-the-sdk",
        ),
        pytest.param("KeyboardInterrupt", Failure("KeyboardInterrupt", ""), id="without-a-message"),
        pytest.param("  File whatever, line 1", None, id="no-exception"),
    ],
)
def test_the_last_line_of_a_traceback_says_what_went_wrong(last: str, expected: Failure | None) -> None:
    assert failure(f"Traceback (most recent call last):\n  File x: y\n{last}\n") == expected


def test_silence_is_no_failure() -> None:
    assert failure("") is None
