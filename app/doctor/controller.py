"""The controller, and whether all of us are of one version. Pure."""

from datetime import datetime, timedelta
from typing import Final

from app.doctor.findings import Finding, broken, ok, unknown, warning
from app.doctor.record import CA_SECRET, CONTROLLER, WEBHOOK, Document, Installation, Unread, dig, known, listed
from app.text import shown
from app.x509 import parse_certificates

CONTROL: Final = "controller"
AUTHORITY: Final = "certificate authority"
VERSIONS: Final = "versions"

CLOCK_SKEW: Final = timedelta(seconds=60)
"""Between this machine and the controller's."""

VERSION: Final = "app.kubernetes.io/version"


def controller(found: Installation) -> Finding:
    """Return whether a controller is at work: it holds its Lease, and has renewed it lately."""
    logs = f"kubectl logs -n {found.namespace} deployment/{CONTROLLER}"
    if isinstance(found.controller, Unread):
        return unknown(CONTROL, found.controller)
    if found.controller is None:
        return ok(CONTROL, "not installed: certificates come from elsewhere, and no Events are written")
    if dig(found.controller, "spec", "replicas") == 0:
        return broken(
            CONTROL,
            "the Deployment has 0 replicas",
            meaning="certificates are not renewed, and no Events are written",
            remedy=f"kubectl scale -n {found.namespace} deployment/{CONTROLLER} --replicas=1",
        )
    if isinstance(found.lease, Unread):
        return unknown(CONTROL, found.lease)
    problem = _idle(found.lease, found.now)
    if problem:
        return broken(CONTROL, problem, meaning="certificates are not renewed, and no Events are written", remedy=logs)
    return ok(CONTROL, f"{shown(dig(known(found.lease), 'spec', 'holderIdentity'))} holds the Lease")


def _idle(lease: Document | None, now: datetime) -> str:
    """Return why nobody is at work, empty where somebody is."""
    if lease is None:
        return f"no Lease {CONTROLLER}"
    spec = lease.get("spec") or {}
    if not spec.get("holderIdentity"):
        return f"nobody holds Lease {CONTROLLER}"
    lasts = timedelta(seconds=spec.get("leaseDurationSeconds") or 0) + CLOCK_SKEW
    try:
        since = now - datetime.fromisoformat(spec.get("renewTime") or "")
    except ValueError:
        return f"Lease {CONTROLLER} has no time of renewal"
    return f"Lease {CONTROLLER} was not renewed for {since.total_seconds():.0f} s" if since > lasts else ""


def authority(found: Installation) -> Finding:
    """Return whether the controller's CA is there; where certificates come from elsewhere it has none."""
    secret = found.authority
    if isinstance(secret, Unread):
        return unknown(AUTHORITY, secret)
    if secret is None:
        return ok(AUTHORITY, f"no Secret {CA_SECRET}: certificates come from elsewhere")
    logs = f"kubectl logs -n {found.namespace} deployment/{CONTROLLER}"
    missing = sorted({"ca.crt", "ca.key"} - secret.filled)
    if missing:
        return broken(
            AUTHORITY,
            f"Secret {CA_SECRET} has no {listed(missing)}",
            meaning="the controller has not made its CA yet",
            remedy=logs,
        )
    certificates = parse_certificates(secret.certificates.get("ca.crt", b""))
    if not certificates or certificates[0].not_valid_after_utc <= found.now:
        seen = "has expired" if certificates else "is no PEM certificate"
        return broken(
            AUTHORITY, f"ca.crt of Secret {CA_SECRET} {seen}", meaning="nobody believes what it signs", remedy=logs
        )
    return ok(AUTHORITY, f"valid until {certificates[0].not_valid_after_utc:%Y-%m-%d %H:%M} UTC")


def versions(found: Installation) -> Finding:
    """Return whether webhook, controller and chart are of one version; the one before it works with them too."""
    unread = next((one for one in (found.webhook, found.controller) if isinstance(one, Unread)), None)
    if unread is not None:
        return unknown(VERSIONS, unread)
    images = {name: _image(known(read)) for name, read in ((WEBHOOK, found.webhook), (CONTROLLER, found.controller))}
    images = {name: image for name, image in images.items() if image}
    if not images:
        return unknown(VERSIONS, Unread("there is no Deployment to tell them"))
    labels = {dig(known(read), "metadata", "labels", VERSION) for read in (found.webhook, found.controller) if read}
    tags = {_tag(image) for image in images.values()} - {""}
    if len(set(images.values())) > 1 or len(labels) > 1 or (tags and tags != labels):
        return warning(
            VERSIONS,
            f"{shown(listed([f'{name}: {image}' for name, image in images.items()]), 200)}; chart "
            f"{shown(listed(sorted(filter(None, labels))))}",
            meaning="webhook, controller and chart are of different versions, which is right during an upgrade only",
            remedy=f"kubectl rollout status -n {found.namespace} deployment; if none is under way, helm upgrade",
        )
    return ok(VERSIONS, f"{shown(next(iter(images.values())))} in {len(images)} Deployments")


def _image(deployment: Document) -> str:
    containers = dig(deployment, "spec", "template", "spec", "containers")
    return str(containers[0]["image"]) if containers else ""


def _tag(image: str) -> str:
    """Return the tag of *image*, empty where it has none or a digest, which says no version."""
    name, _, tag = image.rpartition("/")[2].partition(":")
    return "" if "@" in name or "@" in tag else tag
