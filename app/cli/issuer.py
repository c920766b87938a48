"""``irsa issuer keygen | render | serve``."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from app.errors import ConfigurationError
from app.settings import Format, Level
from oidc import key_files
from oidc.documents import documents
from oidc.issuer import Issuer
from oidc.keys import KeyType, generate
from oidc.targets import folder

PublicKeys = Annotated[list[Path], Parameter(name="--public-key", negative=(), consume_multiple=True)]


def keygen(
    *, key: Path, public_key: Path | None = None, key_type: Annotated[KeyType, Parameter("--type")] = "rsa-2048"
) -> None:
    """Make a signing key for the cluster's service account tokens, and never overwrite one.

    Args:
        key: File to make for the private key, with mode 0600.
        public_key: File to make for the public key. Default: the private key's name with the suffix .pub.
        key_type: Every API server and verifier takes rsa-2048.
    """
    if not key.name:
        raise ConfigurationError(f"expected a file to make as --key, got the folder {str(key)!r}")
    public = public_key or key.with_suffix(".pub")
    if public.absolute() == key.absolute():
        raise ConfigurationError(f"expected different files for --key and --public-key, got {str(key)!r} for both")
    signing_key = generate(key_type)
    key_files.write_pair(signing_key, key, public)
    print(
        f"kid: {signing_key.kid}\n"
        "kube-apiserver flags:\n"
        f"  --service-account-signing-key-file={key.absolute()}\n"
        f"  --service-account-key-file={public.absolute()}"
    )


def render(*, issuer: str, public_key: PublicKeys, output: Path) -> None:
    """Write discovery document and JWKS to a folder that a web server or bucket serves at the issuer URL.

    Args:
        issuer: The URL in --service-account-issuer, byte for byte.
        public_key: PEM file with RSA or EC keys, as for --service-account-key-file. Repeat it, or name several.
        output: Folder to write to, made where it is missing. It stands for the issuer URL, path and all.
    """
    rendered = documents(Issuer.parse(issuer), key_files.read_public_keys(*public_key))
    written = folder.render(rendered, output)
    for path in written:
        print(f"wrote {path}")
    if not written:
        print(f"unchanged {output}")


def serve(
    *,
    issuer: str,
    public_key: PublicKeys,
    tls_cert: Path,
    tls_key: Path,
    host: str = "0.0.0.0",
    port: Annotated[int, Parameter(validator=Number(gte=0, lte=65_535))] = 8443,
    max_age: Annotated[int, Parameter(validator=Number(gte=0, lte=3_600))] = 300,
    log_format: Format = "json",
    log_level: Level = "info",
) -> None:
    """Serve discovery document and JWKS over HTTPS, and follow edits of the key files.

    Args:
        issuer: The URL in --service-account-issuer, byte for byte. Its path is where the documents are served.
        public_key: PEM file with RSA or EC keys, as for --service-account-key-file. Repeat it, or name several.
        tls_cert: PEM file of the serving certificate, with the chain behind it. Read anew when it changes, as its key.
        tls_key: PEM file of its private key.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one, which the log names.
        max_age: Seconds that verifiers may keep a document. A new key must be published for longer before it signs.
        log_format: json for machines, console for a terminal.
        log_level: Lowest level that is logged.
    """
    # A server's imports are a second that keygen and render have no use for.
    from app import logs, server  # noqa: PLC0415 - see above
    from app.listener import Port  # noqa: PLC0415 - see above
    from app.loops import BackgroundLoops  # noqa: PLC0415 - see above
    from app.serving_certificate import ServingCertificate  # noqa: PLC0415 - see above
    from app.tls import ServerTls  # noqa: PLC0415 - see above
    from oidc.targets.live import LiveDocuments  # noqa: PLC0415 - see above
    from oidc.targets.server import create_app  # noqa: PLC0415 - see above

    logs.configure(log_format=log_format, level=log_level)
    parsed = Issuer.parse(issuer)
    live = LiveDocuments(parsed, public_key)
    certificate = ServingCertificate.open(ServerTls(certificate=tls_cert, key=tls_key))
    loops = BackgroundLoops({"key_files": live.run, "certificate": certificate.run})
    application = create_app(parsed, live.current, max_age=max_age)
    server.serve([Port(application=application, number=port, certificate=certificate)], host=host, loops=loops)
