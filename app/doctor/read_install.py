"""Reads an installation, and creates pods that nobody stores. A shell."""

import asyncio
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus
from typing import Final

from app.cluster.paths import is_name
from app.doctor.backend import is_ready
from app.doctor.counts import Counts, counts
from app.doctor.probe import expected_warning, pod, was_asked
from app.doctor.reading import Api, Reader, said, unread
from app.doctor.record import (
    CA_SECRET,
    CONTROLLER,
    INJECT,
    REQUIRE,
    TLS_SECRET,
    WEBHOOK,
    Installation,
    Probe,
    Read,
    Target,
    Unread,
    dig,
    known,
)
from app.doctor.targets import Identify, Targets
from app.errors import ClusterError, RefusedError
from app.webhook.annotations import Vocabulary

CONFIGURATIONS: Final = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"

CALL_SECONDS: Final = 10.0
"""For what the API server passes on to a pod. Its own bound for connecting is longer (30 s): then it is told so."""

MAX_READY_BYTES: Final = 1024
ASKED_PODS: Final = 3

METRICS_PORT: Final = 8080


async def read(
    api: Api,
    *,
    namespace: str,
    now: datetime,
    vocabulary: Vocabulary,
    identify: Identify,
    wanted: tuple[str, str] | None,
) -> Installation:
    """Return all that is looked at to judge the installation in *namespace*.

    Args:
        api: the cluster's.
        namespace: of the chart.
        now: the time.
        vocabulary: the annotations' names.
        identify: the webhook's decision about a ServiceAccount.
        wanted: the namespace and the name of its ServiceAccount; None chooses one.

    Raises:
        ConfigurationError: there is no such ServiceAccount.
        ClusterError: it cannot be read.
    """
    reader = Reader(api)
    found = await _documents(reader, namespace, now)
    chosen = Targets(reader, found.hooks(), identify=identify)
    target = await (chosen.named(*wanted) if wanted else chosen.found())
    if isinstance(target, Unread):
        return replace(found, probe=target)
    probing = _Probing(api, image=_image(found.webhook), vocabulary=vocabulary)
    found = replace(found, probe=await probing.probe(target))
    if isinstance(found.probe, Probe) and was_asked(found.probe):
        return found
    return await _witnesses(reader, found, probing=probing, target=target, strict=await chosen.strict())


async def _documents(reader: Reader, namespace: str, now: datetime) -> Installation:
    core, apps = f"/api/v1/namespaces/{namespace}", f"/apis/apps/v1/namespaces/{namespace}"
    webhook, controller = await asyncio.gather(
        reader.one(f"{apps}/deployments/{WEBHOOK}"), reader.one(f"{apps}/deployments/{CONTROLLER}")
    )
    serving_name = _serving_name(webhook)
    documents = await asyncio.gather(
        reader.one(f"{CONFIGURATIONS}/{WEBHOOK}"),
        reader.one(f"{core}/services/{WEBHOOK}"),
        reader.one(f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{CONTROLLER}"),
    )
    lists = await asyncio.gather(
        reader.several(
            f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices",
            label_selector=f"kubernetes.io/service-name={WEBHOOK}",
        ),
        reader.several(f"{core}/pods"),
        reader.several(f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies"),
    )
    serving, authority = await asyncio.gather(
        reader.secret(f"{core}/secrets/{serving_name}"), reader.secret(f"{core}/secrets/{CA_SECRET}")
    )
    return Installation(
        namespace=namespace,
        now=now,
        configuration=documents[0],
        service=documents[1],
        slices=lists[0],
        pods=lists[1],
        webhook=webhook,
        controller=controller,
        policies=lists[2],
        probe=Unread("nobody has tried"),
        serving=serving,
        serving_name=serving_name,
        authority=authority,
        lease=documents[2],
    )


async def _witnesses(
    reader: Reader, found: Installation, *, probing: "_Probing", target: Target, strict: Target | None
) -> Installation:
    """Return *found* with what tells why the webhook has not answered."""
    before = await _counts(reader)
    again = await probing.probe(target)
    counted = _risen(before, await _counts(reader))
    harder = await probing.probe(strict) if strict is not None else None
    found = replace(found, probe=again, counts=counted, strict=None if isinstance(harder, Unread) else harder)
    if found.has_url():
        return found
    return replace(
        found, proxied=await _proxied(reader.api, found.namespace), readiness=await _readiness(reader, found)
    )


class _Probing:
    def __init__(self, api: Api, *, image: str, vocabulary: Vocabulary) -> None:
        self._api = api
        self._image = image
        self._vocabulary = vocabulary
        self._expected = expected_warning(vocabulary)

    async def probe(self, target: Target) -> Probe | Unread:
        """Return what the API server answers to a pod of *target* that it shall not store."""
        document = pod(target, image=self._image, vocabulary=self._vocabulary)
        try:
            answer = await self._api.create(f"/api/v1/namespaces/{target.namespace}/pods", document, dry_run=True)
        except RefusedError as error:
            words = said(error)
            is_forbidden = error.status == HTTPStatus.FORBIDDEN and 'cannot create resource "pods"' in words
            return Probe(target=target, expected=self._expected, refusal=words, is_forbidden=is_forbidden)
        except ClusterError as error:
            return unread(error)
        return Probe(target=target, expected=self._expected, answer=answer.document, warnings=answer.warnings)


async def _counts(reader: Reader) -> Counts | Unread:
    text = await reader.metrics()
    return text if isinstance(text, Unread) else counts(text, {INJECT, REQUIRE})


def _risen(before: Counts | Unread, after: Counts | Unread) -> Counts | Unread:
    if isinstance(before, Unread):
        return before
    return after if isinstance(after, Unread) else after.since(before)


async def _proxied(api: Api, namespace: str) -> str | Unread | None:
    """Return how the API server fares when it passes a request on to the Service: empty where somebody answers."""
    path = f"/api/v1/namespaces/{namespace}/services/https:{WEBHOOK}:443/proxy/"
    try:
        async with asyncio.timeout(CALL_SECONDS):
            await api.get(path, timeout_seconds=2 * CALL_SECONDS)
    except TimeoutError:
        return f"timed out: no answer to a call of Service {WEBHOOK} in {CALL_SECONDS:.0f} s"
    except RefusedError as error:
        if not error.reason:  # the webhook's own answer, which knows no such page
            return ""
        if error.is_not_found:  # no endpoints, of which another finding tells
            return None
        return unread(error) if error.reason == "Forbidden" else said(error)
    except ClusterError as error:
        return unread(error)
    return ""


async def _readiness(reader: Reader, found: Installation) -> dict[str, str]:
    """Return what pods say at ``/readyz`` that run and are not ready."""
    running = [one for one in found.webhook_pods() if dig(one, "status", "phase") == "Running" and not is_ready(one)]
    texts = {}
    for one in running[:ASKED_PODS]:
        name = one["metadata"]["name"]
        path = f"/api/v1/namespaces/{found.namespace}/pods/http:{name}:{_metrics_port(one)}/proxy/readyz"
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await reader.api.get(path, timeout_seconds=2 * CALL_SECONDS)
        except RefusedError as error:
            if not error.reason:
                texts[name] = error.body[:MAX_READY_BYTES].decode(errors="replace").strip()
        except (ClusterError, TimeoutError):
            continue
    return texts


def _metrics_port(pod_document: object) -> int:
    containers = dig(pod_document, "spec", "containers") if isinstance(pod_document, dict) else ()
    named = [port for one in containers or () for port in one.get("ports") or () if port.get("name") == "http"]
    return int(named[0]["containerPort"]) if named else METRICS_PORT


def _image(webhook: Read) -> str:
    """Return an image that policies of the cluster admit, as far as we can know: the webhook's own."""
    containers = dig(known(webhook), "spec", "template", "spec", "containers")
    return str(containers[0]["image"]) if containers else "irsa"


def _serving_name(webhook: Read) -> str:
    """Return the name of the Secret that the webhook's pods mount."""
    for volume in dig(known(webhook), "spec", "template", "spec", "volumes") or ():
        name = dig(volume, "secret", "secretName")
        if volume["name"] == "tls" and isinstance(name, str) and is_name(name):
            return name
    return TLS_SECRET
