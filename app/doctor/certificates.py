"""``caBundle`` and the serving certificate: whether the API server can believe the webhook. Pure."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from cryptography import x509

from app.cluster.decoding import octets
from app.doctor.findings import Finding, broken, ok, unknown
from app.doctor.record import CONTROLLER, WEBHOOK, Document, Installation, Unread, listed
from app.text import shown
from app.x509 import Certificates, has_signed, names_of, parse_certificates

CA_BUNDLE: Final = "caBundle"
CERTIFICATE: Final = "serving certificate"


def ca_bundle(found: Installation) -> Finding:
    """Return whether every hook has certificates of a CA, one of them not expired."""
    remedy = f"kubectl logs -n {found.namespace} deployment/{CONTROLLER}; it writes caBundle, or whoever you chose does"
    bundles = {}
    for name, hook in found.hooks().items():
        problem, certificates = _bundle(hook, found)
        if problem:
            return broken(
                CA_BUNDLE,
                f"{name}: {problem}",
                meaning="the API server believes no certificate of the webhook, and skips it in silence",
                remedy=remedy,
            )
        bundles[name] = certificates
    ends = [max(one.not_valid_after_utc for one in certificates) for certificates in bundles.values() if certificates]
    if not ends:
        return ok(CA_BUNDLE, "none: the API server trusts what its machine trusts")
    return ok(CA_BUNDLE, f"in {len(bundles)} hooks, valid until {_date(min(ends))}")


def _bundle(hook: Document, found: Installation) -> tuple[str, Certificates]:
    text = hook["clientConfig"].get("caBundle")
    if not text:
        # At a URL a public CA may have signed.
        return ("", ()) if "url" in hook["clientConfig"] else ("it is empty", ())
    certificates = parse_certificates(octets(text))
    if not certificates:
        return "it holds no PEM certificate", ()
    until = max(one.not_valid_after_utc for one in certificates)
    if until <= found.now:
        return f"it expired at {_date(until)}", ()
    if min(one.not_valid_before_utc for one in certificates) > found.now:
        return "it is not valid yet", ()
    return "", certificates


def serving(found: Installation) -> Finding:
    """Return whether the serving certificate is there, valid, for our name, and of the hooks' CA."""
    secret, name = found.serving, found.serving_name
    remedy = f"kubectl logs -n {found.namespace} deployment/{CONTROLLER}; it writes Secret {name}, or whoever you chose"
    if isinstance(secret, Unread):
        return unknown(CERTIFICATE, secret)
    problem, meaning = "", "the webhook's pods cannot serve"
    certificates = parse_certificates(secret.certificates.get("tls.crt", b"")) if secret else ()
    if secret is None:
        problem = f"no Secret {name} in namespace {found.namespace}"
    elif not {"tls.crt", "tls.key"} <= secret.filled:
        problem = f"Secret {name} has no {listed(sorted({'tls.crt', 'tls.key'} - secret.filled))}"
    elif not certificates:
        problem = f"tls.crt of Secret {name} is no PEM certificate"
    else:
        problem, meaning = _mistrusted(certificates, found), "the API server does not believe the webhook, and skips it"
    if problem:
        return broken(CERTIFICATE, problem, meaning=meaning, remedy=remedy)
    return ok(CERTIFICATE, f"valid until {_date(certificates[0].not_valid_after_utc)}, signed by the CA of caBundle")


def _mistrusted(certificates: Certificates, found: Installation) -> str:
    """Return why an API server would not believe the first of *certificates*, empty where it would."""
    leaf, *between = certificates
    if leaf.not_valid_after_utc <= found.now:
        return f"it expired at {_date(leaf.not_valid_after_utc)}"
    if leaf.not_valid_before_utc > found.now:
        return f"it is valid from {_date(leaf.not_valid_before_utc)} on"
    wanted, names = f"{WEBHOOK}.{found.namespace}.svc", names_of(leaf)
    if not found.has_url() and wanted not in names:
        return f"it is for {shown(listed(sorted(names)))}, not for {wanted}"
    for name, hook in found.hooks().items():
        _, bundle = _bundle(hook, found)
        if bundle and not _leads_to(leaf, between, bundle):
            return f"caBundle of {name} is of another CA than the one that signed it"
    return ""


def _leads_to(leaf: x509.Certificate, between: Iterable[x509.Certificate], bundle: Certificates) -> bool:
    """Return whether *leaf* is signed by one of *bundle*, or by what one of it has signed."""
    if leaf in bundle or any(has_signed(one, leaf) for one in bundle):
        return True
    rest = list(between)
    return any(has_signed(one, leaf) and _leads_to(one, [x for x in rest if x is not one], bundle) for one in rest)


def _date(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"
