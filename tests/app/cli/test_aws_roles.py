"""The real boto3 client against an IAM on loopback with two roles on two pages, in IAM's own XML."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote

import pytest

from app.access.trust import Trust
from app.cli.aws_roles import iam, trusts
from app.errors import ConfigurationError
from oidc.aws.trust import statements
from tests.builders import ROLE_ARN

ISSUER = "https://oidc.example/a"
POLICY = {
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/oidc.example/a"},
            "Condition": {"StringEquals": {"oidc.example/a:sub": "system:serviceaccount:shop:app"}},
        }
    ]
}
XMLNS = 'xmlns="https://iam.amazonaws.com/doc/2010-05-08/"'
BESIDES = "arn:aws:iam::111122223333:role/team/besides"


def role(arn: str) -> str:
    path, _, name = arn.partition(":role")[2].rpartition("/")
    return f"""<Path>{path}/</Path><RoleName>{name}</RoleName><RoleId>AROAEXAMPLE</RoleId><Arn>{arn}</Arn>
<CreateDate>2026-01-01T00:00:00Z</CreateDate>
<AssumeRolePolicyDocument>{quote(json.dumps(POLICY))}</AssumeRolePolicyDocument>"""


def page(arn: str, more: str) -> str:
    return f"""<ListRolesResponse {XMLNS}><ListRolesResult><Roles><member>{role(arn)}</member></Roles>
{more}</ListRolesResult></ListRolesResponse>"""


def error(code: str) -> str:
    return f"<ErrorResponse {XMLNS}><Error><Type>Sender</Type><Code>{code}</Code></Error></ErrorResponse>"


def answer(form: dict[str, list[str]], *, may_list: bool) -> tuple[int, str]:
    match form:
        case {"Action": ["ListRoles"]} if not may_list:
            return 403, error("AccessDenied")
        case {"Action": ["ListRoles"], "Marker": ["second"]}:
            return 200, page(BESIDES, "<IsTruncated>false</IsTruncated>")
        case {"Action": ["ListRoles"]}:
            return 200, page(ROLE_ARN, "<IsTruncated>true</IsTruncated><Marker>second</Marker>")
        case {"Action": ["GetRole"], "RoleName": ["shop"]}:
            found = f"<GetRoleResult><Role>{role(ROLE_ARN)}</Role></GetRoleResult>"
            return 200, f"<GetRoleResponse {XMLNS}>{found}</GetRoleResponse>"
        case _:
            return 404, error("NoSuchEntity")


class Answering(BaseHTTPRequestHandler):
    may_list = True

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        status, text = answer(form, may_list=self.may_list)
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: what is on standard error belongs to the test."""


class NotListing(Answering):
    may_list = False


@contextmanager
def serving(handler: type[Answering]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")


@pytest.mark.usefixtures("no_credentials")
@pytest.mark.parametrize(
    ("handler", "besides"),
    [
        pytest.param(Answering, {BESIDES: Trust(statements=statements(POLICY, ISSUER))}, id="all"),
        pytest.param(NotListing, {}, id="asked-for-only"),
    ],
)
def test_trust_policies_come_from_iam(
    monkeypatch: pytest.MonkeyPatch, handler: type[Answering], besides: dict[str, Trust]
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    other, elsewhere = ROLE_ARN.replace("shop", "other"), ROLE_ARN.replace("111122223333", "444455556666")
    with serving(handler) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_IAM", url)

        found = trusts([ROLE_ARN, other, elsewhere, "arn:aws:iam::111122223333:user/x"], issuer=ISSUER, iam=iam())

    assert found == {
        ROLE_ARN: Trust(statements=statements(POLICY, ISSUER)),
        other: Trust(problem="no such role"),
        elsewhere: Trust(problem="role is in another account, not looked at"),
        **besides,
    }
    assert found[ROLE_ARN].statements[0].subjects == ("system:serviceaccount:shop:app",)


@pytest.mark.usefixtures("no_credentials")
def test_without_credentials_the_user_is_told() -> None:
    with pytest.raises(ConfigurationError, match=r"^expected AWS credentials with iam:ListRoles in the environment"):
        trusts([ROLE_ARN], issuer=ISSUER, iam=iam())
