"""The config file of the webhook as real SDKs read it, against an STS that remembers what it was asked."""

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.webhook.identity import Identity
from app.webhook.profiles import config_text, parse
from tests.builders import ROLE_ARN
from tests.interop import sdks
from tests.interop.sts import Call, RecordingSts, recording_sts

AUDIT = "arn:aws:iam::444455556666:role/audit"
DEPLOY = "arn:aws:iam::777788889999:role/teams/deploy"
BACKUP = "arn:aws:iam::777788889999:role/backup"
PROFILES = f"""\
audit = {AUDIT}
deploy = {DEPLOY} source_profile=audit
backup = {BACKUP} source_profile=default
"""
TOKEN = "header.claims.signature"  # noqa: S105 - nobody looks into it
SESSION_NAME = "shop-7d4b9"


@dataclass(frozen=True)
class Pod:
    """A process with the environment and the files that the webhook gives a container."""

    sdk: str
    command: list[str]
    sts: RecordingSts
    folder: Path

    def config(self, profiles: str, *, session_name: str | None = SESSION_NAME) -> None:
        """Write the config file that the annotation *profiles* asks for."""
        identity = Identity(
            role_arn=ROLE_ARN,
            audience="sts.amazonaws.com",
            token_expiration=86_400,
            regional_sts=True,
            profiles=parse(profiles),
        )
        token_file = self.folder / "token"
        token_file.write_text(TOKEN)
        text = config_text(identity, token_file=str(token_file), region="eu-central-1", session_name=session_name)
        (self.folder / "config").write_text(text)

    def callers(self, *profiles: str, **environment: str) -> list[str]:
        """Return who the program is for AWS as each of *profiles*, or as its environment says."""
        given = {
            "HOME": str(self.folder),
            "AWS_CONFIG_FILE": str(self.folder / "config"),
            "AWS_ENDPOINT_URL_STS": self.sts.url,
            "AWS_STS_REGIONAL_ENDPOINTS": "regional",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        output = subprocess.check_output(  # noqa: S603 - ours
            [*self.command, *profiles], env=given | environment, text=True, timeout=60
        )
        return output.splitlines()


@pytest.fixture(scope="module")
def sts() -> Iterator[RecordingSts]:
    with recording_sts() as sts:
        yield sts


@pytest.fixture(scope="module", params=[sdks.botocore, sdks.javascript, sdks.go], ids=lambda sdk: sdk.__name__)
def program(request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> tuple[str, list[str]]:
    """The SDK's name, and the command that runs the program with it."""
    build: Callable[[Path], list[str]] = request.param
    return build.__name__, build(pytestconfig.cache.mkdir("interop"))


@pytest.fixture
def pod(program: tuple[str, list[str]], sts: RecordingSts, tmp_path: Path) -> Pod:
    pod = Pod(*program, sts, tmp_path)
    pod.config(PROFILES)
    sts.calls()
    return pod


def by_token(role_arn: str) -> Call:
    return Call("AssumeRoleWithWebIdentity", role_arn, TOKEN, SESSION_NAME)


def by_role(role_arn: str, source: str) -> Call:
    return Call("AssumeRole", role_arn, None, SESSION_NAME, signed_by=source)


def caller(role_arn: str) -> Call:
    return Call("GetCallerIdentity", signed_by=role_arn)


CALLS = [
    pytest.param(None, [by_token(ROLE_ARN), caller(ROLE_ARN)], id="no profile"),
    pytest.param("default", [by_token(ROLE_ARN), caller(ROLE_ARN)], id="default"),
    pytest.param("audit", [by_token(AUDIT), caller(AUDIT)], id="direct"),
    pytest.param("deploy", [by_token(AUDIT), by_role(DEPLOY, AUDIT), caller(DEPLOY)], id="chained"),
    pytest.param("backup", [by_token(ROLE_ARN), by_role(BACKUP, ROLE_ARN), caller(BACKUP)], id="chained to own role"),
]


@pytest.mark.parametrize(("profile", "calls"), CALLS)
def test_profile_of_the_environment_is_assumed(pod: Pod, profile: str | None, calls: list[Call]) -> None:
    assert pod.callers(**({"AWS_PROFILE": profile} if profile else {})) == [calls[-1].signed_by]
    assert pod.sts.calls() == calls


@pytest.mark.parametrize(("profile", "calls"), CALLS[1:])
def test_profile_that_a_program_names_is_assumed(pod: Pod, profile: str, calls: list[Call]) -> None:
    assert pod.callers(profile) == [calls[-1].signed_by]
    assert pod.sts.calls() == calls


NAMES = (
    *("A.b_c-d", "audit", "AUDIT", "Default", "DEFAULT", "1", "x" * 64, "a.", "a-"),
    *("profile", "sso-session", "services", "preview", "plugins", "none", "prototype"),
)
"""What some parser could take for something else."""


def test_every_name_is_a_name_and_every_arn_an_arn(pod: Pod) -> None:
    role_arns = [f"arn:aws-us-gov:iam::111122223333:role/a_b/x,y=z@w+{number}.-/" for number in range(len(NAMES))]
    pod.config(";".join(f"{name}={role_arn}" for name, role_arn in zip(NAMES, role_arns, strict=True)))

    assert pod.callers(*NAMES) == role_arns


def test_session_is_named_by_the_environment_where_the_file_does_not_except_in_go(pod: Pod) -> None:
    pod.config(PROFILES, session_name=None)
    pod.callers(AWS_PROFILE="audit", AWS_ROLE_SESSION_NAME="from-environment")

    assert (pod.sts.calls()[0].session_name == "from-environment") is (pod.sdk != "go")


def test_variables_would_hide_profiles_so_the_file_carries_the_own_role_too(pod: Pod) -> None:
    variables = {"AWS_ROLE_ARN": ROLE_ARN, "AWS_WEB_IDENTITY_TOKEN_FILE": str(pod.folder / "token")}

    assert pod.callers(AWS_PROFILE="audit", **variables) == [AUDIT if pod.sdk == "javascript" else ROLE_ARN]
