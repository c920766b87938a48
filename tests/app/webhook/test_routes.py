import asyncio
import base64
import copy
import json
from collections.abc import Iterator
from typing import Any

import jsonpatch
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import ASGIApp

from app.cluster.objects import ServiceAccount
from app.main import webhook_applications
from app.settings import InjectionSettings
from app.webhook import exchange
from app.webhook.exchange import MAX_BODY_BYTES
from tests.asgi import Reply, ask, get, post
from tests.builders import BARE, UID, annotated, body, container, pod, review
from tests.fakes import FakeServiceAccounts

SERVICE_ACCOUNTS = FakeServiceAccounts({"shop/app": annotated(), "shop/default": BARE})


@pytest.fixture(scope="module")
def application() -> ASGIApp:
    return webhook_applications(InjectionSettings(), SERVICE_ACCOUNTS).reviews


def response_of(reply: Reply) -> dict[str, Any]:
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    document: dict[str, Any] = json.loads(reply.body)
    return document["response"]  # type: ignore[no-any-return] # JSON


def test_annotated_pod_is_patched(application: ASGIApp) -> None:
    before = pod(container(livenessProbe={"grpc": {"port": 1, "newerThanUs": True}}))

    response = response_of(post(application, "/mutate", body(review(before))))

    after = jsonpatch.apply_patch(before, json.loads(base64.b64decode(response["patch"])))
    assert after["spec"]["containers"][0]["env"][1]["name"] == "AWS_ROLE_ARN"
    assert after["spec"]["containers"][0]["livenessProbe"] == {"grpc": {"port": 1, "newerThanUs": True}}


def test_pod_without_a_role_is_admitted_without_a_patch(application: ASGIApp) -> None:
    reply = post(application, "/mutate", body(review(pod(serviceAccountName="default"))))

    assert response_of(reply) == {"uid": UID, "allowed": True, "auditAnnotations": {"reason": "no_role"}}


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "Application/JSON", "application/json ;x=y"]
)
def test_parameters_of_the_content_type_are_fine(application: ASGIApp, content_type: str) -> None:
    assert post(application, "/mutate", body(review(pod())), content_type=content_type).status == 200


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "application/yaml", "application/jsonx"])
def test_other_content_type_is_415(application: ASGIApp, content_type: str | None) -> None:
    reply = post(application, "/mutate", body(review(pod())), content_type=content_type)

    assert (reply.status, reply.body) == (415, b"expected content type application/json, got another\n")


def test_declared_length_over_the_limit_is_413_before_anything_is_read(application: ASGIApp) -> None:
    reply = post(application, "/mutate", b"", headers={"content-length": str(MAX_BODY_BYTES + 1)})

    assert (reply.status, reply.body) == (413, b"expected at most 7340032 bytes, got more\n")
    assert reply.headers["connection"] == "close"


def test_endless_body_is_413_at_the_first_byte_too_many(application: ASGIApp) -> None:
    taken = 0

    def pieces() -> Iterator[bytes]:
        nonlocal taken
        for _ in range(100):
            taken += 1
            yield b" " * (MAX_BODY_BYTES // 10)

    assert post(application, "/mutate", pieces()).status == 413
    assert taken == 11


def test_body_of_the_limit_is_read(application: ASGIApp) -> None:
    data = body(review(pod()))

    assert post(application, "/mutate", [data, b" " * (MAX_BODY_BYTES - len(data))]).status == 200


def test_bodies_under_way_are_bounded_in_bytes_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "MAX_HELD_BYTES", 1000)
    monkeypatch.setattr(exchange, "BODY_SECONDS", 0.05)
    application = webhook_applications(InjectionSettings(), SERVICE_ACCOUNTS).reviews

    async def ask(*pieces: bytes, turns: int) -> int:
        """Send *pieces*, the first one after so many *turns* of the loop, and then nothing more."""
        sent: list[Any] = []
        left = list(pieces)
        for _ in range(turns):
            await asyncio.sleep(0)

        async def receive() -> Any:
            if not left:
                await asyncio.Event().wait()
            return {"type": "http.request", "body": left.pop(0), "more_body": True}

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [(b"content-type", b"application/json")]
        await application({"type": "http", "method": "POST", "path": "/mutate", "headers": headers}, receive, send)
        return int(sent[0]["status"])

    async def at_once() -> tuple[int, ...]:
        return await asyncio.gather(
            ask(b" " * 300, turns=0),
            ask(b" " * 600, turns=0),
            ask(b" " * 101, turns=5),  # one byte too many: the largest has to go
            ask(b" " * 601, turns=10),  # as here, and this is the largest
        )

    assert tuple(asyncio.run(at_once())) == (408, 503, 408, 503)
    # What was held is let go of.
    assert post(application, "/mutate", body(review(pod()))).status == 200


def test_bad_body_is_400_with_one_line(application: ASGIApp) -> None:
    reply = post(application, "/mutate", b"{}")

    assert reply.status == 400
    assert reply.body.count(b"\n") == 1


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
def test_other_method_is_405(application: ASGIApp, method: str) -> None:
    reply = ask(application, method, "/mutate")

    assert (reply.status, reply.headers["allow"]) == (405, "POST")


def test_mistake_of_ours_admits_the_pod_and_says_so() -> None:
    class Broken(FakeServiceAccounts):
        def get(self, namespace: str, name: str) -> ServiceAccount | None:
            raise LookupError(namespace, name)

    application = webhook_applications(InjectionSettings(), Broken({})).reviews

    assert response_of(post(application, "/mutate", body(review(pod())))) == {
        "uid": UID,
        "allowed": True,
        "warnings": ["report this to whoever runs the webhook, its log says more: nothing was injected"],
        "auditAnnotations": {"reason": "internal_error"},
    }


def test_every_outcome_is_counted_by_its_reason() -> None:
    webhook = webhook_applications(InjectionSettings(), SERVICE_ACCOUNTS)
    post(webhook.reviews, "/mutate", body(review(pod())))
    post(webhook.reviews, "/mutate", b"{}")

    exposition = get(webhook.operations, "/metrics").body.decode()

    assert 'irsa_webhook_reviews_total{allowed="true",reason="patched"} 1.0' in exposition
    assert 'irsa_webhook_bad_requests_total{status="400"} 1.0' in exposition
    assert "irsa_webhook_review_seconds_count 1.0" in exposition


def test_strangers_cannot_make_series() -> None:
    many = {f"shop/app-{n}": annotated(role_arn=f"arn:aws:iam::111122223333:role/bogus-{n}") for n in range(500)}
    webhook = webhook_applications(InjectionSettings(), FakeServiceAccounts(many))

    def series() -> set[str]:
        lines = get(webhook.operations, "/metrics").body.decode().splitlines()
        return {line.rpartition(" ")[0] for line in lines if line.startswith("irsa_")}

    before = series()
    for name in many:
        post(webhook.reviews, "/mutate", body(review(pod(serviceAccountName=name.removeprefix("shop/")), uid=name)))

    assert series() == before


def test_ready_is_that_the_snapshot_is_complete_and_fresh() -> None:
    source = FakeServiceAccounts({})
    problem: str | None = None
    application = webhook_applications(InjectionSettings(), source, ready={"certificate": lambda: problem}).operations

    def ready() -> tuple[int, bytes]:
        reply = get(application, "/readyz")
        return reply.status, reply.body

    assert ready() == (200, b"ok\n")
    source.age_seconds = float("inf")
    assert ready() == (503, b"service_accounts: ServiceAccounts not listed yet\n")
    source.age_seconds = 181
    assert ready() == (503, b"service_accounts: ServiceAccounts not heard of for 181 s\n")
    problem = "expired"
    assert ready() == (503, b"certificate: expired\nservice_accounts: ServiceAccounts not heard of for 181 s\n")
    assert get(application, "/healthz").status == 200


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/redoc", "/", "/mutate/"])
def test_nothing_else_is_served(path: str) -> None:
    webhook = webhook_applications(InjectionSettings(), SERVICE_ACCOUNTS)

    assert (get(webhook.reviews, path).status, get(webhook.operations, path).status) == (404, 404)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_our_state_is_not_told_where_reviews_are_answered(application: ASGIApp, path: str) -> None:
    assert get(application, path).status == 404


def test_reviews_are_not_answered_where_our_state_is_told() -> None:
    operations = webhook_applications(InjectionSettings(), SERVICE_ACCOUNTS).operations

    assert post(operations, "/mutate", body(review(pod()))).status == 404


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=6,
)
WHOLE = review(
    pod(
        container(env=[{"name": "A", "value": "1"}], volumeMounts=[{"name": "v", "mountPath": "/v"}]),
        annotations={"eks.amazonaws.com/skip-containers": "x", "eks.amazonaws.com/token-expiration": "900"},
        volumes=[{"name": "v", "emptyDir": {}}],
        initContainers=[container("init", env=[])],
        nodeSelector={"kubernetes.io/os": "linux"},
        os={"name": "linux"},
    )
)


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    children = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in children:
        yield (*path, key)
        yield from places(value, (*path, key))


@given(st.lists(st.tuples(st.sampled_from(list(places(WHOLE))), st.one_of(st.just(...), JSON)), min_size=1, max_size=3))
@settings(deadline=None, max_examples=400)
def test_mutated_review_is_answered_whenever_it_has_a_uid(
    application: ASGIApp, mutations: list[tuple[tuple[Any, ...], Any]]
) -> None:
    document = copy.deepcopy(WHOLE)
    for (*parents, last), value in mutations:
        try:
            target = document
            for key in parents:
                target = target[key]
            if value is ...:
                del target[last]
            else:
                target[last] = value
        except (KeyError, IndexError, TypeError, ValueError):
            continue  # an earlier mutation took the place away
    data = json.dumps(document, ensure_ascii=True).encode()

    reply = post(application, "/mutate", data)

    request = document.get("request")
    uid = request.get("uid") if isinstance(request, dict) else None
    if reply.status == 200:
        response = json.loads(reply.body)["response"]
        assert (response["uid"], response["allowed"]) == (uid, True)
        if "patch" in response:
            jsonpatch.apply_patch(document["request"]["object"], json.loads(base64.b64decode(response["patch"])))
    else:
        assert reply.status == 400
        assert not isinstance(uid, str) or not uid or has_lone_surrogate(document)


def has_lone_surrogate(document: Any) -> bool:
    """JSON may escape half of a surrogate pair; it is no text, Go never writes it, and we call it no JSON."""
    return any("\ud800" <= character <= "\udfff" for character in json.dumps(document, ensure_ascii=False))


@given(st.data())
@settings(deadline=None)
def test_damaged_bytes_are_refused_or_answered_and_nothing_else(application: ASGIApp, data: st.DataObject) -> None:
    whole = bytearray(body(WHOLE))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))

    assert post(application, "/mutate", bytes(whole[: data.draw(st.integers(0, len(whole)))])).status in {200, 400}
