"""What the two commands print of one small cluster with a bit of everything, compared whole."""

import asyncio
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from app.access import trust
from app.access.drifted import as_object as drifted_object
from app.access.output import HEADER, as_object, cells, csv_text, json_text
from app.access.rows import Row, Wanted
from app.cli import access, drift
from app.cli.aws_roles import trusts
from app.cli.reading import ReadingSettings, checked_namespace, issuer
from app.errors import ClusterError, ConfigurationError, IrsaError
from tests.app.access.clusters import owned, put_pod, put_service_account
from tests.app.access.running import injected, with_role
from tests.app.cluster.fake_cluster import FakeCluster, refused
from tests.builders import ROLE_ARN, container, pod

OTHER = "arn:aws:iam::444455556666:role/other"
HOSTILE = '=HYPERLINK("x")\x1b[31m[link=https://evil]\t'
SETTINGS = ReadingSettings()


def shop() -> FakeCluster:
    cluster = FakeCluster()
    put_service_account(cluster, "app", role_arn=ROLE_ARN)
    put_service_account(cluster, "idle", role_arn=OTHER)
    put_service_account(cluster, "typo", role_arn=HOSTILE)
    put_service_account(cluster, "mapped")
    put_service_account(cluster, "bare")
    cluster.put(
        "/api/v1/namespaces/irsa-system/configmaps/irsa-mappings",
        {"data": {"config": json.dumps({"shop/mapped": {"RoleARN": OTHER}, "no-slash": {"RoleARN": OTHER}})}},
    )
    api = owned("ReplicaSet", "api-7d4b", pod_template_hash="7d4b")
    put_pod(cluster, injected(), "api-1", account="app", **api)
    put_pod(cluster, with_role(injected(), OTHER), "api-2", account="app", **api)
    put_pod(cluster, pod(), "report-1", account="app", **owned("Job", "report-29401230", api_version="batch/v1"))
    put_pod(cluster, pod(volumes=[{"name": "v"}]), "db-0", account="mapped", **owned("StatefulSet", "db"))
    own = pod(container(env=[{"name": "AWS_ROLE_ARN", "value": HOSTILE}]))
    put_pod(cluster, own, "own", account="bare")
    put_pod(cluster, pod(annotations={"iam.amazonaws.com/role": "kiam-role"}), "old", account="bare")
    put_pod(cluster, injected(), "left", account="bare")
    return cluster


def rows(cluster: FakeCluster, namespace: str = "") -> list[Row]:
    return asyncio.run(access.find(cluster, SETTINGS, namespace=namespace))


def table(found: list[Row]) -> list[str]:
    stream = io.StringIO()
    access.show(found, stream)
    return [" ".join(line.split()) for line in stream.getvalue().splitlines()]


def test_access_map_is_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    shown = '=HYPERLINK("x")\\x1b[31m[link=https://evil]\\t'
    assert table(rows(shop())) == [
        "ROLE NAMESPACE SERVICE ACCOUNT HOW PODS OWNERS ODD",
        f"{shown} shop bare own variable 1 Pod/own",
        f"{shown} shop typo annotation 0 not usable, no pods",
        f"{ROLE_ARN} shop app annotation 3 CronJob/report, Deployment/api 1 pod drifted, 1 pod unpatched",
        f"{ROLE_ARN} shop bare injected earlier 1 Pod/left 1 pod drifted",
        f"{OTHER} shop app injected earlier 1 Deployment/api 1 pod drifted",
        f"{OTHER} shop idle annotation 0 no pods",
        f"{OTHER} shop mapped mapping 1 StatefulSet/db 1 pod unpatched",
        "kiam-role shop bare legacy annotation 1 Pod/old",
    ]
    assert capsys.readouterr().err.startswith("irsa: irsa-system/irsa-mappings: ")


def test_access_map_for_a_spreadsheet_is_inert() -> None:
    found = csv_text(HEADER, map(cells, rows(shop())))

    assert found.splitlines()[:3] == [
        "role,namespace,service_account,how,pods,owners,odd",
        '"\'=HYPERLINK(""x"")\\x1b[31m[link=https://evil]\\t",shop,bare,own variable,1,Pod/own,',
        '"\'=HYPERLINK(""x"")\\x1b[31m[link=https://evil]\\t",shop,typo,annotation,0,,"not usable, no pods"',
    ]
    assert "\x1b" not in found


def test_access_map_for_a_program_is_as_it_came() -> None:
    found = json_text(map(as_object, rows(shop())))

    assert "\x1b" not in found
    assert json.loads(found)[0] == {
        "role": HOSTILE,
        "namespace": "shop",
        "service_account": "bare",
        "how": "own variable",
        "pods": 1,
        "owners": ["Pod/own"],
        "odd": [],
    }
    assert json_text([]) == "[]\n"


@pytest.mark.parametrize("beginning", ["=", "+", "-", "@", "\t", "\r"])
def test_cell_that_begins_a_formula_gets_an_apostrophe(beginning: str) -> None:
    cell = csv_text(["a"], [[f"{beginning}1"]]).splitlines()[1].strip('"')

    assert cell.startswith("'")


@pytest.mark.parametrize(
    ("wanted", "accounts"),
    [
        (Wanted(role="*:role/other"), ["app", "idle", "mapped"]),
        (Wanted(account="111122223333"), ["app", "bare"]),
        (Wanted(namespace="other"), []),
        (Wanted(role="*shop", namespace="shop", account="111122223333"), ["app", "bare"]),
    ],
)
def test_rows_are_filtered(wanted: Wanted, accounts: list[str]) -> None:
    assert [row.service_account for row in rows(shop()) if wanted.has(row)] == accounts


def test_one_namespace_is_asked_for_alone() -> None:
    cluster = shop()

    rows(cluster, "shop")

    assert {path for verb, path in cluster.requests if verb == "list"} == {
        "/api/v1/namespaces/shop/serviceaccounts",
        "/api/v1/namespaces/shop/pods",
    }


def test_drift_names_what_to_restart() -> None:
    found = asyncio.run(drift.find(shop(), SETTINGS))

    assert drift.text(found) == (
        f"shop CronJob/report (1 pod, unpatched) role_arn: has nothing, would get {ROLE_ARN}\n"
        "  wait for the next Job of CronJob/report (shop), or delete the one that runs\n"
        f"shop Deployment/api (1 pod, role) role_arn: has {OTHER}, would get {ROLE_ARN}\n"
        "  kubectl rollout restart deployment/api -n shop\n"
        f"shop Pod/left (1 pod, withdrawn) role_arn: has {ROLE_ARN}, would get nothing\n"
        "  delete Pod/left (shop) and create it again: nothing controls it\n"
        f"shop StatefulSet/db (1 pod, unpatched) role_arn: has nothing, would get {OTHER}\n"
        "  kubectl rollout restart statefulset/db -n shop\n"
    )
    assert json.loads(json_text(map(drifted_object, found)))[1] == {
        "namespace": "shop",
        "owner": {"kind": "Deployment", "name": "api"},
        "service_account": "app",
        "pods": ["api-2"],
        "kind": "role",
        "field": "role_arn",
        "has": OTHER,
        "would_get": ROLE_ARN,
        "remedy": "kubectl rollout restart deployment/api -n shop",
    }


def test_no_drift_is_said() -> None:
    assert drift.text([]) == "Every running pod has the AWS identity that it would get today.\n"


def test_mappings_that_may_not_be_read_count_as_empty(capsys: pytest.CaptureFixture[str]) -> None:
    cluster = shop()
    path = "/api/v1/namespaces/irsa-system/configmaps/irsa-mappings"
    cluster.failures["get", path] = refused("get", path, 403, "Forbidden")

    assert "mapped" not in [row.service_account for row in rows(cluster)]
    assert capsys.readouterr().err.startswith("irsa: irsa-system/irsa-mappings counts as empty: expected to get")


def test_namespace_that_cannot_be_is_refused() -> None:
    assert checked_namespace(None) == ""
    with pytest.raises(ConfigurationError, match=r"^--namespace: expected the name of a namespace, got"):
        checked_namespace("../secrets")


class FakeIam:
    """IAM with some roles."""

    def __init__(self, *roles: tuple[str, Any]) -> None:
        self.roles = {arn.rpartition("/")[2]: {"Arn": arn, "AssumeRolePolicyDocument": policy} for arn, policy in roles}
        self.failure: Exception | None = None
        self.may_list = True

    def get_paginator(self, operation_name: str, /) -> "FakeIam":
        assert operation_name == "list_roles"
        return self

    def paginate(self, *, PaginationConfig: Mapping[str, int]) -> Iterator[Mapping[str, Any]]:  # noqa: N803 - boto3's
        assert PaginationConfig == {"PageSize": 1000}
        if self.failure or not self.may_list:
            raise self.failure or ClientError({"Error": {"Code": "AccessDenied"}}, "ListRoles")
        for role in self.roles.values():  # a page each
            yield {"Roles": [role]}

    def get_role(self, *, RoleName: str) -> Mapping[str, Any]:  # noqa: N803 - boto3's own spelling
        if self.failure:
            raise self.failure
        if RoleName not in self.roles:
            raise ClientError({"Error": {"Code": "NoSuchEntity"}}, "GetRole")
        return {"Role": self.roles[RoleName]}


ISSUER = "https://oidc.example/a"


def policy_for(*subjects: str, operator: str = "StringEquals") -> dict[str, Any]:
    return {
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/oidc.example/a"},
                "Condition": {operator: {"oidc.example/a:sub": list(subjects)}},
            }
        ]
    }


def trusted_by(iam: FakeIam) -> list[tuple[str, str, str, str, tuple[str, ...]]]:
    found = [row for row in rows(shop()) if row.how.value in {"annotation", "mapping"} and row.audience]
    trusted = trusts({row.role_arn for row in found}, issuer=ISSUER, iam=iam)
    return [
        (row.role_arn.rpartition("/")[2], row.namespace, row.service_account, row.how.value, row.odd)
        for row in trust.judged(found, trusted)
    ]


OF_THE_SHOP = policy_for("system:serviceaccount:shop:other", "system:serviceaccount:team-*:*", operator="StringLike")
JUDGED = [
    ("shop", "shop", "app", "annotation", ("1 pod drifted", "1 pod unpatched", "not trusted")),
    ("other", "shop", "idle", "annotation", ("no pods", "role is in another account, not looked at")),
    ("other", "shop", "mapped", "mapping", ("1 pod unpatched", "role is in another account, not looked at")),
]
TRUSTED_BESIDES = [
    ("shop", "shop", "other", "trust policy", ("trusted, not annotated",)),
    ("shop", "team-*", "*", "trust policy", ("trusted by a wildcard",)),
]


def test_trust_policies_say_who_is_refused_and_who_is_trusted_besides(capsys: pytest.CaptureFixture[str]) -> None:
    forgotten = "arn:aws:iam::111122223333:role/team/forgotten"
    iam = FakeIam(
        (ROLE_ARN, OF_THE_SHOP),
        (forgotten, policy_for("system:serviceaccount:shop:app", "system:serviceaccount:gone:gone")),
        ("arn:aws:iam::111122223333:role/node", {"Statement": {"Principal": {"Service": "ec2.amazonaws.com"}}}),
        ("arn:aws:iam::111122223333:role/unset", None),
    )

    assert trusted_by(iam) == [
        *JUDGED,
        *TRUSTED_BESIDES,
        ("forgotten", "shop", "app", "trust policy", ("trusted, not annotated",)),
        ("forgotten", "gone", "gone", "trust policy", ("trusted, not annotated",)),
    ]
    assert "ListRoles" not in capsys.readouterr().err


def test_where_roles_may_not_be_listed_those_that_are_asked_for_are_looked_at(
    capsys: pytest.CaptureFixture[str],
) -> None:
    of_the_same_name = OTHER.replace("444455556666", "111122223333")
    iam = FakeIam((ROLE_ARN, OF_THE_SHOP), (of_the_same_name, policy_for("system:serviceaccount:shop:idle")))
    iam.may_list = False

    assert trusted_by(iam) == [*JUDGED, *TRUSTED_BESIDES]
    assert capsys.readouterr().err.splitlines()[-1] == (
        "irsa: iam:ListRoles is refused, so roles that nobody asks for are not looked at"
    )


@pytest.mark.parametrize("may_list", [True, False])
def test_role_that_is_not_there_is_said(*, may_list: bool) -> None:
    iam = FakeIam(("arn:aws:iam::111122223333:role/team/shop", {}))
    iam.may_list = may_list
    gone = ROLE_ARN.replace("shop", "gone")

    found = trusts([ROLE_ARN, gone, "no-arn"], issuer=ISSUER, iam=iam)

    assert {role: one.problem for role, one in found.items()} == {ROLE_ARN: "no such role", gone: "no such role"}


def test_refused_and_missing_credentials_are_told_apart() -> None:
    iam = FakeIam()
    iam.failure = ClientError({"Error": {"Code": "AccessDenied"}}, "GetRole")
    assert trusts([ROLE_ARN], issuer=ISSUER, iam=iam)[ROLE_ARN].problem == (
        "trust policy not readable: iam:GetRole is refused"
    )
    iam.failure = NoCredentialsError()
    with pytest.raises(ConfigurationError, match=r"^expected AWS credentials with iam:ListRoles in the environment"):
        trusts([ROLE_ARN], issuer=ISSUER, iam=iam)
    iam.failure = ClientError({"Error": {"Code": "Throttling"}}, "ListRoles")
    with pytest.raises(IrsaError, match=r'^expected IAM to list roles, got "Throttling"$'):
        trusts([ROLE_ARN], issuer=ISSUER, iam=iam)


def test_issuer_is_what_the_api_server_says() -> None:
    cluster = FakeCluster()
    cluster.objects["/.well-known/openid-configuration"] = {"issuer": ISSUER, "metadata": {}}

    assert asyncio.run(issuer(cluster)) == ISSUER
    cluster.objects["/.well-known/openid-configuration"] = {"metadata": {}}
    with pytest.raises(ClusterError, match=r"name it with --issuer$"):
        asyncio.run(issuer(cluster))
