"""A whole installation in which everything is as it should be: the chart's own objects, and what others add to them."""

import base64
import copy
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from app.doctor.counts import Counts
from app.doctor.probe import expected_warning, pod
from app.doctor.record import Installation, Probe, Secret, Target
from app.webhook.annotations import Vocabulary
from app.x509 import KeyPair, issue, make_authority
from tests.builders import ENV, MOUNT, ROLE_ARN, VOLUME
from tests.manifests.chart import base, named

NAMESPACE: Final = "irsa-system"
NOW: Final = datetime(2026, 11, 25, 12, tzinfo=UTC)
SERVED: Final = "irsa-webhook.irsa-system.svc"
AUTHORITY: Final = make_authority("irsa", now=NOW, lifetime=timedelta(days=365))
OTHER_AUTHORITY: Final = make_authority("other", now=NOW, lifetime=timedelta(days=365))
WARNING: Final = expected_warning(Vocabulary())
LABELS: Final = {"kubernetes.io/metadata.name": "shop"}
TARGET: Final = Target(namespace="shop", service_account="app", labels=LABELS, role_arn=ROLE_ARN)

Document = dict[str, Any]


def certificate(*names: str, authority: KeyPair = AUTHORITY, made: datetime = NOW, days: int = 90) -> bytes:
    """A serving certificate."""
    pair = issue(authority, names or (SERVED,), common_name="irsa", now=made, lifetime=timedelta(days=days))
    return pair.certificate_pem()


def chart(kind: str, name: str) -> Document:
    return copy.deepcopy(named(base(), kind, name))


def bundled(pem: bytes, *, of: Document | None = None) -> Document:
    """The webhook configuration with *pem* as every caBundle."""
    configuration = of or chart("MutatingWebhookConfiguration", "irsa-webhook")
    for hook in configuration["webhooks"]:
        hook["clientConfig"]["caBundle"] = base64.b64encode(pem).decode()
    return configuration


def webhook_pod(name: str = "irsa-webhook-1", *, ready: bool = True, **status: Any) -> Document:
    template = chart("Deployment", "irsa-webhook")["spec"]["template"]
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    return {
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": template["metadata"]["labels"]},
        "spec": template["spec"],
        "status": {"phase": "Running", "conditions": conditions} | status,
    }


def waiting(reason: str, *, message: str = "", last_exit: int | None = None) -> Document:
    """The status of a pod whose container waits."""
    container: Document = {"name": "webhook", "state": {"waiting": {"reason": reason, "message": message}}}
    if last_exit is not None:
        container["lastState"] = {"terminated": {"reason": "Error", "exitCode": last_exit}}
    return {"phase": "Pending", "containerStatuses": [container]}


def slices(*ready: bool) -> tuple[Document, ...]:
    found = [{"addresses": [f"10.244.1.{number}"], "conditions": {"ready": one}} for number, one in enumerate(ready)]
    return ({"metadata": {"name": "irsa-webhook-x"}, "endpoints": found},)


def lease(**spec: Any) -> Document:
    usual = {"holderIdentity": "irsa-controller-1", "leaseDurationSeconds": 15, "renewTime": "2026-11-25T11:59:58.0Z"}
    return {"metadata": {"name": "irsa-controller"}, "spec": usual | spec}


def answer(*, role_arn: str | None = ROLE_ARN) -> Document:
    """The dry-run pod as the API server returns it."""
    document = pod(TARGET, image="irsa:0.1.0", vocabulary=Vocabulary())
    if role_arn is not None:
        variables = [{**one, "value": role_arn} if one["name"] == "AWS_ROLE_ARN" else one for one in ENV]
        document["spec"]["containers"][0] |= {"env": variables, "volumeMounts": [MOUNT]}
        document["spec"]["volumes"] = [VOLUME]
    return document


def probe(*, target: Target = TARGET, role_arn: str | None = ROLE_ARN, warnings: tuple[str, ...] = (WARNING,)) -> Probe:
    return Probe(target=target, expected=WARNING, answer=answer(role_arn=role_arn), warnings=warnings)


def refused(words: str, *, target: Target = TARGET, is_forbidden: bool = False) -> Probe:
    return Probe(target=target, expected=WARNING, refusal=words, is_forbidden=is_forbidden)


def healthy(**fields: Any) -> Installation:
    """An installation in which nothing is broken, but for *fields*."""
    serving = certificate()
    installation = Installation(
        namespace=NAMESPACE,
        now=NOW,
        configuration=bundled(AUTHORITY.certificate_pem()),
        service=chart("Service", "irsa-webhook"),
        slices=slices(True, True),
        pods=(webhook_pod("irsa-webhook-1"), webhook_pod("irsa-webhook-2")),
        webhook=chart("Deployment", "irsa-webhook"),
        controller=chart("Deployment", "irsa-controller"),
        policies=(),
        probe=probe(),
        serving=Secret(certificates={"tls.crt": serving}, filled=frozenset({"tls.crt", "tls.key", "ca.crt"})),
        authority=Secret(certificates={"ca.crt": AUTHORITY.certificate_pem()}, filled=frozenset({"ca.crt", "ca.key"})),
        lease=lease(),
    )
    return replace(installation, **fields)


def unanswered(**fields: Any) -> Installation:
    """An installation in which everything looks good, and the webhook does not answer all the same."""
    silent = probe(role_arn=None, warnings=())
    return healthy(**({"probe": silent, "counts": Counts(), "proxied": None} | fields))


def changed(document: Document, change: Callable[[Document], object]) -> Document:
    """*document* after *change*."""
    change(document)
    return document
