"""Containers as the webhook patches them: real SDKs take their profiles to an STS that remembers what it is asked."""

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import jsonpatch
import pytest

from app.webhook.decision import Policy, Subject, decide
from app.webhook.inject import Injection
from tests.builders import ROLE_ARN, annotated, container, pod
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
SESSION_NAME = "shop-0"
POD_NAME = "shop-7d4b9"
"""Of a pod that had a generateName when it was patched."""
MOUNTED = "/var/run/secrets/irsa/aws"
"""Where the kubelet shows a pod its config file."""


@dataclass(frozen=True)
class Pod:
    """A process with the environment and the files of a container that the webhook has patched."""

    sdk: str
    command: list[str]
    sts: RecordingSts
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def inject(self, profiles: str, **metadata: str) -> None:
        """Be a container of a pod with this *metadata*, whose ServiceAccount has this annotation *profiles*."""
        metadata = metadata or {"name": SESSION_NAME}
        before = pod(container()) | {"metadata": metadata}
        decision = decide(
            Subject(namespace="shop", service_account="app"),
            annotated(profiles=profiles, session_name="true", region="eu-central-1"),
            pod=lambda: before,
            policy=Policy(injection=Injection(token_mount_path=str(self.folder))),
        )
        after = jsonpatch.apply_patch(before, list(decision.operations))
        (self.folder / "token").write_text(TOKEN)
        (self.folder / "config").write_text(after["metadata"]["annotations"]["irsa/aws-config"])
        self.environment.clear()
        for variable in after["spec"]["containers"][0]["env"]:
            # As the kubelet does, but for the folder: what has no value names the pod.
            value = variable.get("value", POD_NAME)
            self.environment[variable["name"]] = value.replace(MOUNTED, str(self.folder))

    def callers(self, *profiles: str, **environment: str) -> list[str]:
        """Return who the program is for AWS as each of *profiles*, or as its environment says."""
        around = {"HOME": str(self.folder), "AWS_ENDPOINT_URL_STS": self.sts.url, "AWS_EC2_METADATA_DISABLED": "true"}
        output = subprocess.check_output(  # noqa: S603 - ours
            [*self.command, *profiles], env=around | self.environment | environment, text=True, timeout=60
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
def patched(program: tuple[str, list[str]], sts: RecordingSts, tmp_path: Path) -> Pod:
    made = Pod(*program, sts, tmp_path)
    made.inject(PROFILES)
    sts.calls()
    return made


def by_token(role_arn: str) -> Call:
    return Call("AssumeRoleWithWebIdentity", role_arn, TOKEN, SESSION_NAME)


def by_role(role_arn: str, source: str) -> Call:
    return Call("AssumeRole", role_arn, None, SESSION_NAME, signed_by=source)


def caller(role_arn: str) -> Call:
    return Call("GetCallerIdentity", signed_by=role_arn)


OF_DEFAULT = [by_token(ROLE_ARN), caller(ROLE_ARN)]
OF_AUDIT = [by_token(AUDIT), caller(AUDIT)]
OF_DEPLOY = [by_token(AUDIT), by_role(DEPLOY, AUDIT), caller(DEPLOY)]
OF_BACKUP = [by_token(ROLE_ARN), by_role(BACKUP, ROLE_ARN), caller(BACKUP)]


@pytest.mark.parametrize(
    ("environment", "calls"),
    [
        pytest.param({}, OF_DEFAULT, id="no profile"),
        pytest.param({"AWS_PROFILE": "default"}, OF_DEFAULT, id="default"),
        pytest.param({"AWS_PROFILE": "audit"}, OF_AUDIT, id="direct"),
        pytest.param({"AWS_PROFILE": "deploy"}, OF_DEPLOY, id="chained"),
        pytest.param({"AWS_PROFILE": "backup"}, OF_BACKUP, id="chained to the own role"),
    ],
)
def test_profile_of_the_environment_is_assumed(patched: Pod, environment: dict[str, str], calls: list[Call]) -> None:
    assert patched.callers(**environment) == [calls[-1].signed_by]
    assert patched.sts.calls() == calls


def test_profiles_that_a_program_names_are_assumed(patched: Pod) -> None:
    assert patched.callers("default", "audit", "deploy", "backup") == [ROLE_ARN, AUDIT, DEPLOY, BACKUP]
    assert patched.sts.calls() == OF_DEFAULT + OF_AUDIT + OF_DEPLOY + OF_BACKUP


NAMES = (
    *("A.b_c-d", "audit", "AUDIT", "Default", "DEFAULT", "1", "x" * 64, "a.", "a-"),
    *("profile", "sso-session", "services", "preview", "plugins", "none", "prototype"),
)
"""What some parser could take for something else."""


def test_every_name_is_a_name_and_every_arn_an_arn(patched: Pod) -> None:
    role_arns = [f"arn:aws-us-gov:iam::111122223333:role/a_b/x,y=z@w+{number}.-/" for number in range(len(NAMES))]
    patched.inject(";".join(f"{name}={role_arn}" for name, role_arn in zip(NAMES, role_arns, strict=True)))

    assert patched.callers(*NAMES) == role_arns


def test_session_of_a_pod_whose_name_comes_later_is_named_by_the_environment_except_in_go(patched: Pod) -> None:
    patched.inject(PROFILES, generateName="shop-")
    patched.callers(AWS_PROFILE="audit")

    assert (patched.sts.calls()[0].session_name == POD_NAME) is (patched.sdk != "go")


def test_variables_would_hide_profiles_so_the_file_carries_the_own_role_too(patched: Pod) -> None:
    variables = {"AWS_ROLE_ARN": ROLE_ARN, "AWS_WEB_IDENTITY_TOKEN_FILE": str(patched.folder / "token")}

    assert patched.callers(AWS_PROFILE="audit", **variables) == [AUDIT if patched.sdk == "javascript" else ROLE_ARN]
