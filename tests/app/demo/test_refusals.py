import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.demo import refusals
from app.demo.kubelet import TokenRequest
from app.demo.processes import Processes
from app.demo.refusals import EXPIRED_SECONDS, Attempt
from app.demo.signals import Signals
from app.demo.story import Refusal
from app.demo.tokens import TokenApi
from app.errors import DemoError
from oidc.issuer import Issuer
from oidc.keys import generate
from oidc.tokens import Token
from tests.app.demo.objects_for_tests import patched_pod

API = TokenApi(issuer=Issuer.parse("https://issuer.example/clusters/demo"), key=generate("p-256"))
REQUEST = TokenRequest("sts.amazonaws.com", 86_400)
ANSWER = json.dumps({"identity": {"Arn": "arn"}, "object": "s3://b/k", "content": "c"})


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    with Processes(tmp_path / "processes", Signals()) as processes:
        yield processes


def without_role() -> dict[str, Any]:
    pod = patched_pod()
    pod["spec"]["serviceAccountName"] = "no-role"
    return pod


def parts(token: Token) -> list[dict[str, Any]]:
    return [json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.reveal().split(".")[:2]]


def test_each_attempt_has_one_thing_wrong_with_its_token() -> None:
    pod = patched_pod()
    attempts = {attempt.name: attempt for attempt in refusals.attempts(pod, without_role(), api=API)}
    now = int(time.time())

    header, claims = parts(API.mint(pod)(REQUEST))
    tokens = {name: parts(attempt.mint(REQUEST)) for name, attempt in attempts.items()}

    assert (header["kid"], claims["sub"]) == (API.key.kid, "system:serviceaccount:irsa-demo:app")
    assert claims["exp"] > now
    other_header, other_claims = tokens["other-subject"]
    assert (other_header, other_claims["sub"]) == (header, "system:serviceaccount:irsa-demo:no-role")
    assert other_claims["exp"] > now
    stranger_header, stranger_claims = tokens["unpublished-key"]
    assert stranger_header["kid"] != API.key.kid
    assert stranger_claims["sub"] == claims["sub"]
    assert stranger_claims["exp"] > now
    expired_header, expired_claims = tokens["expired-token"]
    assert (expired_header, expired_claims["sub"]) == (header, claims["sub"])
    assert now - EXPIRED_SECONDS <= expired_claims["exp"] <= time.time() - EXPIRED_SECONDS
    assert [attempts[name].pod == pod for name in ("other-subject", "unpublished-key", "expired-token")] == [True] * 3


@pytest.mark.parametrize(
    ("program", "code", "message"),
    [
        pytest.param("raise PermissionError('no')", "PermissionError", "no", id="refused"),
        pytest.param(f"import time; print({ANSWER!r}, flush=True); time.sleep(600)", "", "the role", id="not-refused"),
        pytest.param("", "", "its end with status 0 and no error message", id="silent"),
    ],
)
def test_what_a_pod_was_told_is_what_its_program_ended_with(
    tmp_path: Path, processes: Processes, program: str, code: str, message: str
) -> None:
    attempt = Attempt(name="n", title="t", expected="E", pod=patched_pod(), mint=lambda _request: Token("a.b.c"))
    results = refusals.run_all([attempt], processes, folder=tmp_path, config_maps={"app": {"main.py": program}})

    assert results == [Refusal(name="n", title="t", expected="E", code=code, message=message)]


@pytest.mark.parametrize(
    ("code", "message", "problem"),
    [
        pytest.param("", "the role", "n: expected AccessDenied, got the role", id="not-refused"),
        pytest.param("Timeout", "too slow", "n: expected AccessDenied, got Timeout: too slow", id="another-reason"),
    ],
)
def test_a_pod_that_is_not_refused_for_the_right_reason_fails_the_demo(code: str, message: str, problem: str) -> None:
    good = Refusal(name="g", title="t", expected="AccessDenied", code="AccessDenied", message="denied")
    bad = Refusal(name="n", title="t", expected="AccessDenied", code=code, message=message)

    refusals.check([good])
    with pytest.raises(DemoError) as caught:
        refusals.check([good, bad])

    assert str(caught.value) == problem
