"""Reads what a cluster has for us. A shell; of the token that it asks for it keeps nothing."""

import asyncio
from datetime import datetime
from typing import Any, Final

from app.doctor.cluster import ASKED_SECONDS, AUDIENCE, Cluster, Token
from app.doctor.read_install import CONFIGURATIONS
from app.doctor.reading import Api, Reader, unread
from app.doctor.record import Unread, dig
from app.errors import ClusterError, RefusedError

GROUP: Final = "admissionregistration.k8s.io"
DISCOVERY: Final = "/.well-known/openid-configuration"
KEYS: Final = "/openid/v1/jwks"
TOKEN: Final = "/api/v1/namespaces/default/serviceaccounts/default/token"  # noqa: S105 - a path
REVIEWS: Final = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

PLUGIN: Final = 'apiserver_admission_controller_admission_duration_seconds_count{name="MutatingAdmissionWebhook"'

INSTALLED: Final = (
    ("", "serviceaccounts"),
    ("", "secrets"),
    ("apps", "deployments"),
    ("rbac.authorization.k8s.io", "clusterroles"),
    ("rbac.authorization.k8s.io", "clusterrolebindings"),
    (GROUP, "mutatingwebhookconfigurations"),
    (GROUP, "validatingadmissionpolicies"),
)
"""What the chart has, as far as some people have no right to it."""


async def read(api: Api, *, namespace: str, now: datetime) -> Cluster:
    """Return all that is looked at to judge a cluster in which the chart is to be installed in *namespace*."""
    reader = Reader(api)
    documents = await asyncio.gather(
        reader.one("/version"),
        reader.one(f"/apis/{GROUP}/v1"),
        reader.one(f"/openapi/v3/apis/{GROUP}/v1"),
        reader.one(DISCOVERY),
        reader.one(KEYS),
    )
    lists = await asyncio.gather(
        reader.several(CONFIGURATIONS),
        reader.several("/apis/apps/v1/daemonsets"),
        reader.several("/apis/apps/v1/deployments"),
    )
    token = await _token(api, now)
    metrics = await reader.metrics()  # after a write, of which every admission plugin was asked
    return Cluster(
        version=documents[0],
        resources=documents[1],
        schema=documents[2],
        admits_by_hooks=metrics if isinstance(metrics, Unread) else PLUGIN in metrics,
        token=token,
        discovery=documents[3],
        keys=documents[4],
        configurations=lists[0],
        daemon_sets=lists[1],
        deployments=lists[2],
        refused=await _refused(api, namespace),
    )


async def _token(api: Api, now: datetime) -> Token | Unread | None:
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"audiences": [AUDIENCE], "expirationSeconds": ASKED_SECONDS},
    }
    try:
        answer = await api.create(TOKEN, request, dry_run=True)
    except RefusedError as error:
        return None if error.is_not_found else unread(error)
    except ClusterError as error:
        return unread(error)
    try:
        expires = datetime.fromisoformat(str(dig(answer.document, "status", "expirationTimestamp")))
    except ValueError:
        return Unread("the API server does not say until when a token is good")
    audiences = tuple(map(str, dig(answer.document, "spec", "audiences") or ()))
    return Token(audiences=audiences, expires=expires, asked=now)


async def _refused(api: Api, namespace: str) -> tuple[str, ...] | Unread:
    """Return what of `INSTALLED` the caller must not create."""
    try:
        allowed = await asyncio.gather(*(_may_create(api, group, one, namespace=namespace) for group, one in INSTALLED))
    except ClusterError as error:
        return unread(error)
    return tuple(resource for (_, resource), is_allowed in zip(INSTALLED, allowed, strict=True) if not is_allowed)


async def _may_create(api: Api, group: str, resource: str, *, namespace: str) -> bool:
    attributes = {"group": group, "resource": resource, "verb": "create", "namespace": namespace}
    review: dict[str, Any] = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    answer = await api.create(REVIEWS, review)
    return dig(answer.document, "status", "allowed") is True
