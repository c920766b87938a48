"""The webhook's two mutating endpoints where the snapshot is too old, or an identity is required."""

import asyncio
import base64
import copy
import json
from typing import Any

import jsonpatch
import pytest

from app.cluster.objects import ServiceAccount
from app.main import webhook_applications
from app.settings import InjectionSettings
from app.webhook.assigned import Assigned
from app.webhook.exchange import MAX_BODY_BYTES
from tests.asgi import exchange, get, post
from tests.builders import BARE, ENV, MOUNT, ROLE_ARN, UID, annotated, body, pod, review
from tests.fakes import FakeServiceAccounts

OWNER = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "app-1", "uid": "u-1", "controller": True}
DENIAL = ": this pod must have an AWS identity and would get none"


def answer(source: FakeServiceAccounts, document: Any, *, path: str = "/mutate") -> dict[str, Any]:
    reply = post(webhook_applications(InjectionSettings(), source).reviews, path, body(document))
    assert reply.status == 200
    response: dict[str, Any] = json.loads(reply.body)["response"]
    return response


def owned(**spec: Any) -> dict[str, Any]:
    document = pod(**spec)
    document["metadata"]["ownerReferences"] = [OWNER]
    return document


def reason(response: dict[str, Any]) -> str:
    return str(response["auditAnnotations"]["reason"])


def test_service_account_made_a_moment_ago_is_looked_up() -> None:
    source = FakeServiceAccounts({})
    source.live["shop/app"] = annotated()

    assert reason(answer(source, review(owned()))) == "patched"
    assert source.confirmed == ["shop/app"]


def test_annotation_that_is_newer_than_the_snapshot_counts_for_a_pod_that_somebody_made() -> None:
    source = FakeServiceAccounts({"shop/app": BARE})
    source.live["shop/app"] = annotated()

    assert reason(answer(source, review(pod()))) == "patched"


def test_annotation_that_is_newer_than_a_new_service_account_counts_for_every_pod() -> None:
    source = FakeServiceAccounts({"shop/app": BARE})
    source.live["shop/app"] = annotated()
    source.recent.add("shop/app")

    assert reason(answer(source, review(owned()))) == "patched"


def test_pods_of_controllers_do_not_wait_for_a_look_up_that_would_find_nothing() -> None:
    source = FakeServiceAccounts({"shop/app": BARE})

    assert reason(answer(source, review(owned()))) == "no_role"
    assert source.confirmed == []


def test_pod_with_a_role_does_not_wait() -> None:
    source = FakeServiceAccounts({"shop/app": annotated()})
    source.recent.add("shop/app")

    assert reason(answer(source, review(pod()))) == "patched"
    assert source.confirmed == []


def test_other_reviews_are_answered_while_one_waits() -> None:
    source = FakeServiceAccounts({"shop/app": annotated()})
    source.live["shop/new"] = annotated()
    source.answering.clear()
    application = webhook_applications(InjectionSettings(), source).reviews

    async def run() -> tuple[str, str]:
        async def ask(service_account: str) -> str:
            document = body(review(pod(serviceAccountName=service_account)))
            named = {"content-type": "application/json"}
            reply = await exchange(application, "POST", "/mutate", [document], named)
            return reason(json.loads(reply.body)["response"])

        waiting = asyncio.create_task(ask("new"))
        other = await ask("app")
        assert not waiting.done()
        source.answering.set()
        return other, await waiting

    assert asyncio.run(run()) == ("patched", "patched")


@pytest.mark.parametrize(
    ("known", "document", "expected", "remedy"),
    [
        ({}, pod(), "service_account_not_found", 'create the pod again: ServiceAccount "shop/app" is not known yet'),
        ({"shop/app": BARE}, pod(), "no_role", 'annotate ServiceAccount "shop/app" with eks.amazonaws.com/role-arn'),
        ({"shop/app": annotated()}, pod(spec=1), "patched", None),
        ({"shop/app": annotated()}, pod(volumes="x"), "malformed_pod", None),
    ],
)
def test_pod_without_an_identity_is_refused_where_every_pod_must_have_one(
    known: dict[str, ServiceAccount], document: Any, expected: str, remedy: str | None
) -> None:
    response = answer(FakeServiceAccounts(known), review(document), path="/mutate-required")

    assert reason(response) == expected
    assert response["allowed"] is (expected == "patched")
    if remedy:
        assert response["status"]["message"] == remedy + DENIAL


def test_before_a_pod_is_refused_its_service_account_is_looked_up() -> None:
    source = FakeServiceAccounts({"shop/app": BARE})
    source.live["shop/app"] = annotated()

    assert answer(source, review(owned()), path="/mutate-required")["allowed"] is True


def test_mistake_of_ours_refuses_the_pod_where_every_pod_must_have_an_identity() -> None:
    class Broken(FakeServiceAccounts):
        def get(self, namespace: str, name: str) -> ServiceAccount | None:
            raise LookupError(namespace, name)

    response = answer(Broken({}), review(pod()), path="/mutate-required")

    assert (response["uid"], response["allowed"], reason(response)) == (UID, False, "internal_error")


def test_service_account_can_ask_for_strictness_itself() -> None:
    strict = ServiceAccount({"irsa/require-identity": "true"})

    response = answer(FakeServiceAccounts({"shop/app": strict}), review(pod()))

    assert (response["allowed"], reason(response)) == (False, "no_role")


def test_denials_are_counted() -> None:
    webhook = webhook_applications(InjectionSettings(), FakeServiceAccounts({}), lookups=lambda: {"found": 3})
    post(webhook.reviews, "/mutate-required", body(review(pod())))
    post(webhook.reviews, "/mutate", body(review(pod())))

    exposition = get(webhook.operations, "/metrics").body.decode()

    assert 'irsa_webhook_reviews_total{allowed="false",reason="service_account_not_found"} 1.0' in exposition
    assert 'irsa_webhook_reviews_total{allowed="true",reason="service_account_not_found"} 1.0' in exposition
    assert 'irsa_webhook_lookups_total{outcome="found"} 3.0' in exposition


def test_assignments_of_the_operator_count_where_the_service_account_says_nothing() -> None:
    assigned = Assigned()
    assigned.read_mappings({"config": json.dumps({"shop/a*": {"RoleARN": ROLE_ARN}})})
    assigned.read_container_credentials(
        {"config": '{"identities": [{"namespace": "shop", "serviceAccount": "local"}]}'}
    )
    source = FakeServiceAccounts({"shop/app": BARE, "shop/local": BARE, "shop/other": BARE})
    application = webhook_applications(InjectionSettings(), source, assigned=assigned).reviews

    def of(name: str) -> str:
        reply = post(application, "/mutate", body(review(owned(serviceAccountName=name))))
        return reason(json.loads(reply.body)["response"])

    assert (of("app"), of("local"), of("other")) == ("patched", "patched", "no_role")


def test_new_ephemeral_container_gets_what_the_pod_has() -> None:
    application = webhook_applications(InjectionSettings(), FakeServiceAccounts({"shop/app": annotated()})).reviews
    created = json.loads(post(application, "/mutate", body(review(pod()))).body)["response"]
    before = jsonpatch.apply_patch(pod(), json.loads(base64.b64decode(created["patch"])))
    after = copy.deepcopy(before)
    after["spec"]["ephemeralContainers"] = [{"name": "debugger", "image": "example/debug"}]
    update = review(after, oldObject=before, operation="UPDATE", subResource="ephemeralcontainers")

    reply = json.loads(post(application, "/mutate-ephemeral", body(update)).body)["response"]

    patched = jsonpatch.apply_patch(after, json.loads(base64.b64decode(reply["patch"])))
    debugger = patched["spec"]["ephemeralContainers"][0]
    assert reason(reply) == "patched"
    assert (debugger["env"], debugger["volumeMounts"]) == (ENV, [MOUNT])


@pytest.mark.parametrize("document", [review(pod()), review(None, operation="UPDATE"), review(pod(), oldObject=[])])
def test_what_is_no_change_to_ephemeral_containers_is_admitted_as_it_is(document: Any) -> None:
    response = answer(FakeServiceAccounts({"shop/app": annotated()}), document, path="/mutate-ephemeral")

    assert response == {"uid": UID, "allowed": True, "auditAnnotations": {"reason": "not_a_creation"}}


def test_deployment_whose_pods_get_nothing_is_warned_of() -> None:
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "app", "namespace": "shop"},
        "spec": {
            "template": {
                "metadata": {"annotations": {"eks.amazonaws.com/role-arn": ROLE_ARN}},
                "spec": pod()["spec"],
            }
        },
    }
    kind = {"group": "apps", "version": "v1", "kind": "Deployment"}

    response = answer(FakeServiceAccounts({"shop/app": BARE}), review(deployment, kind=kind), path="/warn")

    assert response["allowed"] is True
    assert "patch" not in response
    assert response["warnings"] == [
        'move eks.amazonaws.com/role-arn to the ServiceAccount: on the pod it is ignored (ServiceAccount "shop/app")'
    ]


def test_bodies_are_held_until_they_are_answered() -> None:
    source = FakeServiceAccounts({})
    source.answering.clear()
    application = webhook_applications(InjectionSettings(), source).reviews
    large = body(review(pod(nodeName="x" * (MAX_BODY_BYTES - 1000))))
    named = {"content-type": "application/json"}

    async def run() -> list[int]:
        asked = [asyncio.create_task(exchange(application, "POST", "/mutate", [large], named)) for _ in range(12)]
        done, _ = await asyncio.wait(asked, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        assert {task.result().status for task in done} == {503}
        source.answering.set()
        return sorted(reply.status for reply in await asyncio.gather(*asked))

    assert asyncio.run(run()) == [200] * 9 + [503] * 3
