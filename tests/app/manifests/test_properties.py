import json
from typing import Any

import jsonpatch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from app.cluster.manifests import read_documents, service_accounts_in
from app.manifests import positions
from app.manifests.documents import read
from app.policy import policy
from app.settings import InjectionSettings
from app.webhook import review as reviews
from app.webhook.annotations import Vocabulary
from app.webhook.decision import Decision, decide
from tests.app.manifests.injecting import SERVICE_ACCOUNT, injected
from tests.app.manifests.layouts import templates, yaml_of

thorough = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def deployment(template: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {"template": template}}


def contents(text: str, *, source: str = "in.yaml") -> list[Any]:
    return [document.content for document in read(text.encode(), source=source).documents]


def content(text: str) -> Any:
    (one,) = contents(text)
    return one


def of_the_webhook(template: dict[str, Any]) -> Decision:
    """Return what the webhook decides on a pod that a controller made of *template*."""
    rules = policy(InjectionSettings())
    pod = {"apiVersion": "v1", "kind": "Pod", **template}
    request = {"uid": "1", "namespace": "default", "operation": "CREATE", "object": pod}
    review = reviews.parse(json.dumps({"apiVersion": reviews.V1, "request": request}).encode())
    subject = reviews.subject_of(review)
    assert not isinstance(subject, Decision)
    known = service_accounts_in(read_documents(SERVICE_ACCOUNT.encode(), source="test"), keep=Vocabulary())
    service_account = known.get(subject.namespace, subject.service_account)
    return decide(subject, service_account, pod=lambda: reviews.pod_of(review), policy=rules)


@given(st.data())
@thorough
def test_template_becomes_what_the_webhook_makes_of_its_pod(data: st.DataObject) -> None:
    text = data.draw(yaml_of(deployment(data.draw(templates())), flow=True))
    before = content(text)["spec"]["template"]
    decision = of_the_webhook(before)

    result = injected(SERVICE_ACCOUNT + text)

    after = content(result.text.removeprefix(SERVICE_ACCOUNT))
    assert after == deployment(jsonpatch.apply_patch(before, list(decision.operations)))
    assert result.notices == tuple(f"Deployment/d (default): {warning}" for warning in decision.warnings)


@given(st.data())
@thorough
def test_injecting_twice_is_injecting_once(data: st.DataObject) -> None:
    text = data.draw(yaml_of(deployment(data.draw(templates())), flow=True, shared=True))

    once = injected(SERVICE_ACCOUNT + text).text

    assert injected(once).text == once


@given(st.data())
@thorough
def test_every_line_stays_in_its_order(data: st.DataObject) -> None:
    template = data.draw(templates().filter(lambda template: not any(holds_nothing(template))))
    text = SERVICE_ACCOUNT + data.draw(yaml_of(deployment(template)))

    lines = iter(injected(text).text.splitlines())

    assert all(line in lines for line in text.splitlines())


def holds_nothing(value: Any) -> list[bool]:
    """Return a truth for each null and empty list in *value*: these give way to lines."""
    if isinstance(value, dict):
        return [truth for one in value.values() for truth in holds_nothing(one)]
    if isinstance(value, list):
        return [not value, *(truth for one in value for truth in holds_nothing(one))]
    return [value is None]


@given(st.data())
@thorough
def test_what_aliases_share_is_injected_as_if_each_had_its_own(data: st.DataObject) -> None:
    # Three workloads of two ServiceAccounts, in which whatever is equal is written once. In JSON nothing is shared.
    template = data.draw(templates())
    other = json.loads(json.dumps(template).replace('"serviceAccountName": "app"', '"serviceAccountName": "other"'))
    items = [deployment(template), deployment(other), deployment(template)]
    text = data.draw(yaml_of({"apiVersion": "v1", "kind": "List", "items": items}, shared=True))
    manifests = SERVICE_ACCOUNT + SERVICE_ACCOUNT.replace("app", "other") + text
    as_json = "\n".join(json.dumps(document) for document in contents(manifests))

    result = injected(manifests)
    expected = injected(as_json, source="in.json")
    # A copied text that keeps the blank lines behind it would keep those of its new place too. It is left alone.
    assume("|+" not in text or result.notices == expected.notices)

    assert contents(result.text) == contents(expected.text, source="in.json")
    assert result.notices == expected.notices


@given(st.data())
@thorough
def test_slices_are_the_documents(data: st.DataObject) -> None:
    documents = data.draw(st.lists(yaml_of({"a": ["b", {"c": None}]}) | st.sampled_from(["", "# comment\n"])))
    text = "".join(f"---\n{document}\n" for document in documents)

    slices = positions.split(text)

    assert "".join(slices) == text
    assert [one for each in slices for one in contents(each)] == contents(text)
