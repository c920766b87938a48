"""What the shells read of a cluster in memory, and how they ask."""

import asyncio
import base64
import io
import json
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import pytest

from app.cli.doctor import examine_installation, show
from app.cli.reading import ReadingSettings
from app.doctor import read_cluster
from app.doctor.cluster import Token
from app.doctor.findings import Finding, State, verdict
from app.doctor.reading import Reader
from app.doctor.record import Unread
from app.errors import ConfigurationError, RefusedError
from tests.app.access.clusters import put_service_account
from tests.app.cluster.fake_cluster import FakeCluster, refused
from tests.app.doctor.installations import (
    AUTHORITY,
    NAMESPACE,
    NOW,
    WARNING,
    answer,
    bundled,
    certificate,
    chart,
    lease,
    slices,
    webhook_pod,
)
from tests.builders import ROLE_ARN

KEY = "-----BEGIN PRIVATE KEY-----marker"
CORE = f"/api/v1/namespaces/{NAMESPACE}"
PROXY = f"{CORE}/services/https:irsa-webhook:443/proxy/"
SERVING = f"{CORE}/secrets/irsa-webhook-tls"
METRICS = "/metrics"


class Doctored(FakeCluster):
    """A cluster whose webhook answers, until `silent` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.silent = False
        self.targets: list[tuple[str, str]] = []

    async def create(self, path: str, document: Mapping[str, Any], *, dry_run: bool = False) -> Any:
        made = await super().create(path, document, dry_run=dry_run)
        if path.endswith("/pods"):
            assert dry_run, "a doctor makes nothing"
            self.targets.append((path.split("/")[4], document["spec"]["serviceAccountName"]))
            if not self.silent:
                return type(made)(answer(), (WARNING,))
        return made


def encoded(**values: str) -> dict[str, Any]:
    return {"data": {key.replace("_", "."): base64.b64encode(value.encode()).decode() for key, value in values.items()}}


def installed() -> Doctored:
    cluster = Doctored()
    put = cluster.put
    put("/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/irsa-webhook",
        bundled(AUTHORITY.certificate_pem()))  # fmt: skip
    for name in ("irsa-webhook", "irsa-controller"):
        put(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{name}", chart("Deployment", name))
    put(f"{CORE}/services/irsa-webhook", chart("Service", "irsa-webhook"))
    slice_of = slices(True)[0] | {"metadata": {"labels": {"kubernetes.io/service-name": "irsa-webhook"}}}
    put(f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices/irsa-webhook-x", slice_of)
    put(f"{CORE}/pods/irsa-webhook-1", webhook_pod())
    put(f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/irsa-controller", lease())
    put(SERVING, encoded(tls_crt=certificate().decode(), tls_key=KEY))
    put(f"{CORE}/secrets/irsa-webhook-ca", encoded(ca_crt=AUTHORITY.certificate_pem().decode(), ca_key=KEY))
    for namespace in ("default", "kube-system", "shop", "strict"):
        labels = {"irsa/require-identity": "true"} if namespace == "strict" else {}
        put(
            f"/api/v1/namespaces/{namespace}",
            {"metadata": {"labels": {"kubernetes.io/metadata.name": namespace} | labels}},
        )
    put_service_account(cluster, "app", namespace="kube-system", role_arn=ROLE_ARN)
    put_service_account(cluster, "app", namespace="default")
    put_service_account(cluster, "app", namespace="strict", role_arn=ROLE_ARN)
    put_service_account(cluster, "app", role_arn=ROLE_ARN)
    return cluster


def examined(cluster: FakeCluster, **fields: Any) -> dict[str, Finding]:
    found = asyncio.run(examine_installation(cluster, ReadingSettings(), namespace=NAMESPACE, now=NOW, **fields))
    return {finding.link: finding for finding in found}


def test_service_account_with_a_role_in_a_namespace_of_the_hook_is_chosen() -> None:
    cluster = installed()

    found = examined(cluster)

    assert cluster.targets == [("shop", "app")]
    assert found["dry-run pod"].state is State.OK
    assert {one.state for one in found.values()} == {State.OK}


def test_service_account_that_was_named_is_asked_for() -> None:
    cluster = installed()

    examined(cluster, wanted=("default", "app"))
    assert cluster.targets == [("default", "app")]
    with pytest.raises(ConfigurationError, match=r"^--service-account: expected one that exists, got default/nobody;"):
        examined(cluster, wanted=("default", "nobody"))


def test_mapping_counts_as_a_role() -> None:
    cluster = installed()
    mapping = {"config": json.dumps({"default/app": {"RoleARN": ROLE_ARN}})}
    cluster.put("/api/v1/namespaces/irsa-system/configmaps/irsa-mappings", {"data": mapping})

    assert examined(cluster)["dry-run pod"].state is State.OK
    assert cluster.targets == [("default", "app")]


def test_nothing_is_made_or_changed_and_no_key_is_kept() -> None:
    cluster = installed()
    before = json.dumps(cluster.objects)

    found = examined(cluster)

    assert json.dumps(cluster.objects) == before
    assert "marker" not in repr(found)
    secret = asyncio.run(Reader(cluster).secret(SERVING))
    assert "marker" not in repr(secret)
    assert {verb for verb, _ in cluster.requests} == {"get", "list", "create"}


def test_webhook_that_is_silent_is_asked_of_other_witnesses() -> None:
    cluster = installed()
    cluster.silent = True
    cluster.failures["get", METRICS] = refused("get", METRICS, 403, "Forbidden")
    cluster.failures["get", PROXY] = RefusedError(
        "expected to get", status=503, reason="ServiceUnavailable",
        body=b'{"kind":"Status","message":"error trying to reach service: dial tcp 10.0.0.1:8443: i/o timeout"}',
    )  # fmt: skip

    found = examined(cluster)

    assert cluster.targets == [("shop", "app"), ("shop", "app"), ("strict", "app")]
    assert found["api server to webhook"].seen == (
        '"error trying to reach service: dial tcp 10.0.0.1:8443: i/o timeout"'
    )


@pytest.mark.parametrize(
    ("failure", "seen"),
    [
        (
            RefusedError("x", status=404, reason="", body=b"Not Found"),
            "the API server gets through to Service irsa-webhook; whether it believes the certificate shows nowhere",
        ),
        (refused("get", PROXY, 404, "NotFound"), "the hooks ignore failures, and no other witness was there"),
        (
            refused("get", PROXY, 403, "Forbidden"),
            f"the hooks ignore failures, and no other witness was there: {refused('get', PROXY, 403, 'Forbidden')}",
        ),
    ],
)
def test_service_that_the_api_server_calls_for_us_is_a_witness(failure: RefusedError, seen: str) -> None:
    cluster = installed()
    cluster.silent = True
    cluster.put(METRICS)
    cluster.failures["get", PROXY] = failure

    found = examined(cluster)

    assert (found["api server to webhook"].state, found["api server to webhook"].seen) == (State.UNKNOWN, seen)
    assert found["dry-run pod"].state is State.BROKEN


def test_pod_that_is_not_ready_says_why_itself() -> None:
    cluster = installed()
    cluster.silent = True
    cluster.put(f"{CORE}/pods/irsa-webhook-1", webhook_pod(ready=False))
    readyz = f"{CORE}/pods/http:irsa-webhook-1:8080/proxy/readyz"
    cluster.failures["get", readyz] = RefusedError(
        "x", status=HTTPStatus.SERVICE_UNAVAILABLE, reason="", body=b"certificate: not there yet\n"
    )

    assert examined(cluster)["pods"].seen == (
        '0 of 1 ready; irsa-webhook-1: not ready, /readyz says "certificate: not there yet"'
    )


def test_rights_that_are_missing_are_told_of() -> None:
    cluster = installed()
    cluster.failures["get", SERVING] = refused("get", SERVING, 403, "Forbidden")
    cluster.failures["list", f"{CORE}/pods"] = refused("list", f"{CORE}/pods", 403, "Forbidden")

    found = examined(cluster)

    assert [found[link].state for link in ("serving certificate", "pods")] == [State.UNKNOWN] * 2
    assert found["pods"].remedy == "run this with a user who has that right"


def test_service_accounts_that_may_not_be_listed_leave_no_target() -> None:
    cluster = installed()
    path = "/api/v1/serviceaccounts"
    cluster.failures["list", path] = refused("list", path, 403, "Forbidden")

    assert examined(cluster)["dry-run pod"].state is State.UNKNOWN


def test_answer_that_takes_too_long_is_told_of() -> None:
    async def read() -> Any:
        cluster = FakeCluster()
        cluster.answering.clear()
        reader = Reader(cluster, seconds=0)
        return await reader.one("/version"), await reader.several("/api/v1/pods")

    assert asyncio.run(read()) == (Unread("no answer in time"), Unread("no answer in time"))


def test_cluster_is_read_and_its_token_is_not_kept() -> None:
    class Minting(FakeCluster):
        async def create(self, path: str, document: Mapping[str, Any], *, dry_run: bool = False) -> Any:
            made = await super().create(path, {"metadata": {"name": "x"}, **document}, dry_run=True)
            status = {"token": "eyJ.marker", "expirationTimestamp": "2026-11-26T12:00:00Z"}
            is_review = path.endswith("selfsubjectaccessreviews")
            resource = document["spec"].get("resourceAttributes", {}).get("resource")
            made.document["status"] = {"allowed": resource != "secrets"} if is_review else status
            assert dry_run != is_review
            return made

    cluster = Minting()
    cluster.objects["/version"] = {"major": "1", "minor": "36", "metadata": {}}
    now = AUTHORITY.certificate.not_valid_before_utc + timedelta(minutes=5)

    found = asyncio.run(read_cluster.read(cluster, namespace=NAMESPACE, now=now))

    assert found.token == Token(audiences=("sts.amazonaws.com",), expires=now + timedelta(days=1), asked=now)
    assert found.refused == ("secrets",)
    assert found.version == cluster.objects["/version"]
    assert "marker" not in repr(found)


def test_cluster_that_refuses_everything_is_read_all_the_same() -> None:
    cluster = FakeCluster()
    for verb in ("get", "list", "create"):
        cluster.failures[verb, "*"] = refused(verb, "x", 403, "Forbidden")

    found = asyncio.run(read_cluster.read(cluster, namespace=NAMESPACE, now=AUTHORITY.certificate.not_valid_before_utc))

    assert all(isinstance(one, Unread) for one in (found.version, found.token, found.refused, found.daemon_sets))


def finding(state: State, link: str = "pods", **texts: str) -> Finding:
    return Finding(link=link, state=state, **({"seen": "\x1b[31m[red]x", "meaning": "m", "remedy": "r"} | texts))


def test_table_ends_with_what_to_do_first() -> None:
    stream = io.StringIO()
    findings = [finding(State.OK, "a"), finding(State.UNKNOWN, "b"), finding(State.WARNING, "c", meaning="w\x1b")]

    show([*findings, finding(State.BROKEN, "d"), finding(State.BROKEN, "e")], stream)

    assert [line.rstrip() for line in stream.getvalue().splitlines()] == [
        "LINK  STATE    SEEN",
        "a     ok       \\x1b[31m[red]x",
        "b     unknown  \\x1b[31m[red]x",
        "c     warning  \\x1b[31m[red]x",
        "d     broken   \\x1b[31m[red]x",
        "e     broken   \\x1b[31m[red]x",
        "",
        "broken: d: m",
        "  r",
        "",
        "warning: c: w\\x1b",
        "  r",
        "",
        "not looked at: b",
    ]
    assert verdict(findings) is None


def test_table_without_a_fault_says_so() -> None:
    stream = io.StringIO()

    show([finding(State.OK, "a")], stream)

    assert stream.getvalue().splitlines()[-1] == "Nothing is broken."


def test_namespace_that_is_being_deleted_is_no_place_to_try() -> None:
    cluster = installed()
    cluster.silent = True
    for namespace in ("shop", "strict"):
        path = f"/api/v1/namespaces/{namespace}"
        metadata = {**cluster.objects[path]["metadata"], "deletionTimestamp": "2026-11-25T12:00:00Z"}
        cluster.put(path, {"metadata": metadata})

    examined(cluster)

    assert cluster.targets == [("default", "app")] * 2


def test_secret_that_the_pods_mount_is_looked_at() -> None:
    cluster = installed()
    deployment = chart("Deployment", "irsa-webhook")
    (volume,) = (one for one in deployment["spec"]["template"]["spec"]["volumes"] if one["name"] == "tls")
    volume["secret"]["secretName"] = "given"
    cluster.put(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/irsa-webhook", deployment)

    assert examined(cluster)["serving certificate"].seen == f"no Secret given in namespace {NAMESPACE}"
    volume["secret"]["secretName"] = "../configmaps/other"
    cluster.put(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/irsa-webhook", deployment)
    assert examined(cluster)["serving certificate"].state is State.OK, "a name that none can have is no path"


def test_namespaces_that_may_not_be_seen_have_the_label_that_all_have() -> None:
    cluster = installed()
    cluster.failures["list", "/api/v1/namespaces"] = refused("list", "/api/v1/namespaces", 403, "Forbidden")

    found = examined(cluster)

    assert cluster.targets == [("shop", "app")]
    assert found["selectors"].seen == 'inject.webhook.irsa is for namespace "shop"'


def test_container_has_a_name_that_the_annotations_let_have_something() -> None:
    cluster = installed()
    put_service_account(cluster, "app", role_arn=ROLE_ARN, include_containers="web,api", skip_containers="api")
    names: list[str] = []

    def admitted(_path: str, document: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
        names.extend(container["name"] for container in document["spec"]["containers"])
        return document, ()

    cluster.admission = admitted

    examined(cluster, wanted=("shop", "app"))

    assert names == ["web"]
