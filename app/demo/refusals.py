"""Pods that must not get the role: the same program, run in the same way, with one thing wrong."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from app.demo import kubelet, program
from app.demo.kubelet import ConfigMaps, Mint
from app.demo.processes import Process, Processes, wait
from app.demo.story import Refusal
from app.demo.tokens import TokenApi
from app.errors import DemoError
from oidc.keys import generate

Object = dict[str, Any]

EXPIRED_SECONDS: Final = 600
"""AWS takes a token for five more minutes, because clocks differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A pod that must not get the role.

    Attributes:
        name: for programs.
        title: for people.
        expected: the error code that it must get.
        pod: as the webhook left it.
        mint: where its token comes from.
    """

    name: str
    title: str
    expected: str
    pod: Object
    mint: Mint


def attempts(pod: Object, without_role: Object, *, api: TokenApi) -> Iterator[Attempt]:
    """Yield what must be refused.

    Args:
        pod: the pod that got the role; three attempts are it, with nothing but the token file different.
        without_role: the same, under a ServiceAccount that has no role.
        api: mints good tokens.
    """
    yield Attempt(
        name="no-role",
        title="a ServiceAccount without a role",
        expected="NoCredentialsError",
        pod=without_role,
        mint=api.mint(without_role),
    )
    yield Attempt(
        name="other-subject",
        title="a token of another ServiceAccount",
        expected="AccessDenied",
        pod=pod,
        mint=api.mint(pod, service_account=without_role["spec"]["serviceAccountName"]),
    )
    stranger = TokenApi(issuer=api.issuer, key=generate("rsa-2048"))
    yield Attempt(
        name="unpublished-key",
        title="a token signed by an unpublished key",
        expected="AccessDenied",
        pod=pod,
        mint=stranger.mint(pod),
    )
    yield Attempt(
        name="expired-token",
        title="an expired token",
        expected="ExpiredTokenException",
        pod=pod,
        mint=api.mint(pod, expired_seconds=EXPIRED_SECONDS),
    )


def run_all(
    attempts: Sequence[Attempt], processes: Processes, *, folder: Path, config_maps: ConfigMaps
) -> list[Refusal]:
    """Run all of them at once below *folder*, and return what each was told."""
    children = []
    for attempt in attempts:
        root = folder / attempt.name
        planned = kubelet.plan(attempt.pod, config_maps=config_maps, root=root)
        children.append(kubelet.run(planned, processes, name=attempt.name, root=root, mint=attempt.mint))
    return [_refusal(attempt, child) for attempt, child in zip(attempts, children, strict=True)]


def check(results: Sequence[Refusal]) -> None:
    """Pass if every pod was refused, and for the reason that it should be refused for.

    Raises:
        DemoError: one was not; it says which, and what came.
    """
    for each in results:
        if not each.ok:
            got = f"{each.code}: {each.message}" if each.code else each.message
            raise DemoError(f"{each.name}: expected {each.expected}, got {got}")


def _refusal(attempt: Attempt, process: Process) -> Refusal:
    # A program that was not refused prints its answer and goes on for ever.
    wait(process, lambda: process.status() is not None or "\n" in process.stdout(), what="be refused")
    failure = program.failure(process.stderr())
    if program.answer(process.stdout()) is not None:
        code, message = "", "the role"
    elif failure is None:
        code, message = "", f"its end with status {process.status()} and no error message"
    else:
        code, message = failure.code, failure.message
    return Refusal(name=attempt.name, title=attempt.title, expected=attempt.expected, code=code, message=message)
