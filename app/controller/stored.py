"""What the two Secrets and the webhook configuration hold: JSON -> values, and values -> patches. Pure.

Whoever may write these objects may have written anything. What cannot be read is said in `problem`, never quoted: it
may be most of a private key.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from cryptography import x509

from app.cluster.decoding import UNREADABLE, octets, problem
from app.errors import ClusterError
from app.x509 import Certificates, KeyPair, has_signed, is_authority, parse_certificates, parse_pair, pem, unique

IN_BUNDLE_SINCE: Final = "irsa/in-bundle-since"
"""Annotation of the CA's Secret: since when every webhook of the configuration was seen to have this CA."""

STORED_SINCE: Final = "irsa/issued-at"
"""Annotation of the serving certificate's Secret: since when what it holds was seen there. Its name is from when that
was the time of issue, which a controller of the version before still writes and reads."""

PREVIOUS: Final = "previous-ca.crt"
"""Key in the CA's Secret: the CAs before this one, for as long as a replica may serve what they signed."""


class _Metadata(msgspec.Struct):
    resource_version: str = msgspec.field(name="resourceVersion")
    annotations: dict[str, str] | None = None


class _Secret(msgspec.Struct):
    metadata: _Metadata
    data: dict[str, str | None] | None = None


class _ClientConfig(msgspec.Struct):
    ca_bundle: str | None = msgspec.field(name="caBundle", default=None)


class _Webhook(msgspec.Struct):
    client_config: _ClientConfig = msgspec.field(name="clientConfig")


class _Configuration(msgspec.Struct):
    metadata: _Metadata
    webhooks: list[_Webhook] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAuthority:
    """The Secret of the CA.

    Attributes:
        pair: the CA that signs, None where there is none that could.
        problem: why there is none, empty where there is one.
        known: certificates of this CA and the ones before it, also where no key fits.
        previous: those before it.
        in_bundle_since: `IN_BUNDLE_SINCE`, None where it is not known.
        resource_version: of the Secret.
    """

    pair: KeyPair | None
    problem: str
    known: Certificates
    previous: Certificates
    in_bundle_since: datetime | None
    resource_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredServing:
    """The Secret of the serving certificate.

    Attributes:
        pair: what the webhook serves with, None where it cannot.
        problem: why it cannot, empty where it can.
        is_empty: whether there is not even something unreadable: the chart made the Secret a moment ago.
        issuer: the CA that stands beside it, where that one signed it; cert-manager writes one there as we do.
        stored_since: `STORED_SINCE`, None where it is not known.
        resource_version: of the Secret.
    """

    pair: KeyPair | None
    problem: str
    is_empty: bool
    issuer: Certificates
    stored_since: datetime | None
    resource_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBundles:
    """The caBundle of each webhook of the configuration, in its order; of what is no certificate nothing is kept."""

    bundles: tuple[Certificates, ...]
    resource_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """All that a decision looks at."""

    authority: StoredAuthority
    serving: StoredServing
    configuration: StoredBundles


def read_authority(body: bytes) -> StoredAuthority:
    """Return what the Secret of the CA holds.

    Raises:
        ClusterError: this is no Secret.
    """
    secret = _decoded(body, _Secret, "Secret")
    certificate, key = _value(secret, "ca.crt"), _value(secret, "ca.key")
    pair, wrong = _pair(certificate, key, names=("ca.crt", "ca.key"))
    if pair is not None and not is_authority(pair.certificate):
        pair, wrong = None, "ca.crt: expected the certificate of a CA, got another one"
    previous = parse_certificates(_value(secret, PREVIOUS))
    return StoredAuthority(
        pair=pair,
        problem=wrong,
        known=unique([*parse_certificates(certificate), *previous]),
        previous=previous,
        in_bundle_since=_time(secret, IN_BUNDLE_SINCE),
        resource_version=secret.metadata.resource_version,
    )


def read_serving(body: bytes) -> StoredServing:
    """Return what the Secret of the serving certificate holds.

    Raises:
        ClusterError: this is no Secret.
    """
    secret = _decoded(body, _Secret, "Secret")
    certificate, key = _value(secret, "tls.crt"), _value(secret, "tls.key")
    pair, wrong = _pair(certificate, key, names=("tls.crt", "tls.key"))
    beside = parse_certificates(_value(secret, "ca.crt"))
    return StoredServing(
        pair=pair,
        problem=wrong,
        is_empty=not certificate and not key,
        issuer=tuple(one for one in beside if pair is not None and has_signed(one, pair.certificate)),
        stored_since=_time(secret, STORED_SINCE),
        resource_version=secret.metadata.resource_version,
    )


def read_bundles(body: bytes) -> StoredBundles:
    """Return the caBundles of a MutatingWebhookConfiguration.

    Raises:
        ClusterError: this is none.
    """
    configuration = _decoded(body, _Configuration, "MutatingWebhookConfiguration")
    return StoredBundles(
        bundles=tuple(
            parse_certificates(octets(hook.client_config.ca_bundle)) for hook in configuration.webhooks or ()
        ),
        resource_version=configuration.metadata.resource_version,
    )


def authority_patch(stored: StoredAuthority, pair: KeyPair) -> dict[str, Any]:
    """Return the merge patch that makes *pair* the CA and keeps the certificates of those before it.

    The key of the CA before it goes: what it signed is served until replaced, and it signs nothing any more.
    """
    data = {"ca.crt": pair.certificate_pem(), "ca.key": pair.key_pem(), PREVIOUS: pem(stored.known)}
    return _secret_patch(stored.resource_version, data, {IN_BUNDLE_SINCE: None})


def in_bundle_patch(stored: StoredAuthority, since: datetime | None) -> dict[str, Any]:
    """Return the merge patch that notes since when the CA is in every caBundle; None: it is not."""
    return _secret_patch(stored.resource_version, {}, {IN_BUNDLE_SINCE: since})


def forget_previous_patch(stored: StoredAuthority) -> dict[str, Any]:
    """Return the merge patch that removes the CAs before this one."""
    return _secret_patch(stored.resource_version, {PREVIOUS: None}, {})


def serving_patch(stored: StoredServing, pair: KeyPair, *, authority: x509.Certificate) -> dict[str, Any]:
    """Return the merge patch that has the webhook serve with *pair*, which *authority* signed."""
    data = {"tls.crt": pair.certificate_pem(), "tls.key": pair.key_pem(), "ca.crt": pem([authority])}
    return _secret_patch(stored.resource_version, data, {STORED_SINCE: None})


def stored_patch(stored: StoredServing, since: datetime) -> dict[str, Any]:
    """Return the merge patch that notes since when the serving certificate is stored."""
    return _secret_patch(stored.resource_version, {}, {STORED_SINCE: since})


def bundles_patch(stored: StoredBundles, bundle: Certificates) -> list[dict[str, Any]]:
    """Return the JSON patch that gives every webhook *bundle* and touches nothing else.

    A resource version that is not the current one any more makes the API answer 409, where a ``test`` of it that fails
    would be a 422 like any other mistake. ``add`` replaces a value that is there (RFC 6902, 4.1).

    Not server-side apply: of an element of ``webhooks`` it wants all required fields, and would make us owner of them.
    """
    value = base64.b64encode(pem(bundle)).decode()
    version = {"op": "replace", "path": "/metadata/resourceVersion", "value": stored.resource_version}
    paths = (f"/webhooks/{number}/clientConfig/caBundle" for number in range(len(stored.bundles)))
    return [version, *({"op": "add", "path": path, "value": value} for path in paths)]


def _decoded(body: bytes, kind: type[Any], what: str) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except UNREADABLE as error:
        # msgspec names the field, never its content.
        raise ClusterError(f"expected a {what} as JSON, got: {problem(error, 256)}") from None


def _secret_patch(
    resource_version: str, data: Mapping[str, bytes | None], annotations: Mapping[str, datetime | None]
) -> dict[str, Any]:
    metadata: dict[str, Any] = {"resourceVersion": resource_version}
    if annotations:
        times = ((name, time and time.astimezone(UTC).isoformat()) for name, time in annotations.items())
        metadata["annotations"] = dict(times)
    encoded = {name: base64.b64encode(value).decode() if value else None for name, value in data.items()}
    return {"metadata": metadata} | ({"data": encoded} if data else {})


def _pair(certificate: bytes, key: bytes, *, names: tuple[str, str]) -> tuple[KeyPair | None, str]:
    if not certificate and not key:
        return None, f"{names[0]} and {names[1]} are empty"
    try:
        return parse_pair(certificate, key), ""
    except ValueError as error:
        return None, f"{names[0]} and {names[1]}: {error}"


def _value(secret: _Secret, name: str) -> bytes:
    return octets((secret.data or {}).get(name))


def _time(secret: _Secret, annotation: str) -> datetime | None:
    try:
        time = datetime.fromisoformat((secret.metadata.annotations or {}).get(annotation, ""))
    except ValueError:
        return None
    return time if time.tzinfo else None
