"""A CA for one run of the demo, and the one serving certificate that it signs."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from app import x509
from app.demo.files import write_private

LIFETIME: Final = timedelta(days=7)
"""As long as anybody leaves `--keep` running."""

NAMES: Final = ("localhost", "127.0.0.1")


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM files: whom to trust, and what to serve with."""

    ca: Path
    certificate: Path
    key: Path


def make(folder: Path, *, now: datetime) -> Certificates:
    """Make a CA and a certificate for 127.0.0.1 and localhost in *folder*. The CA's key is never written anywhere."""
    authority = x509.make_authority("irsa demo CA", now=now, lifetime=LIFETIME)
    serving = x509.issue(authority, NAMES, common_name="irsa demo", now=now, lifetime=LIFETIME)
    files = Certificates(folder / "ca.crt", folder / "tls.crt", folder / "tls.key")
    files.ca.write_bytes(authority.certificate_pem())
    files.certificate.write_bytes(serving.certificate_pem())
    write_private(files.key, serving.key_pem())
    return files
