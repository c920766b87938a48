"""What to tell who keeps the demo running: how to be the pod, and how to ask the servers. Pure."""

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.demo.certificates import Certificates
from app.demo.servers import Addresses

IDENTITY: str = 'import boto3; print(boto3.client("sts").get_caller_identity()["Arn"])'


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What there is to talk to after all steps.

    Attributes:
        addresses: of the servers.
        certificates: whom to trust.
        environment: the pod's variables, on this machine's paths.
        review: file with the AdmissionReview that the pod came in.
    """

    addresses: Addresses
    certificates: Certificates
    environment: Mapping[str, str]
    review: Path


def instructions(running: Running, folder: Path) -> str:
    """Return commands for another shell. The token is named by its file and never shown."""
    ca = shlex.quote(str(running.certificates.ca))
    exports = "\n".join(f"  export {name}={shlex.quote(value)}" for name, value in running.environment.items())
    issuer, webhook = running.addresses.issuer, running.addresses.webhook
    documents = f"{issuer.url}{issuer.discovery_path.removeprefix(issuer.path)}"
    return (
        "Everything keeps running until Ctrl-C, which removes it all. Be the pod, in another shell:\n"
        f"{exports}\n"
        f"  {shlex.quote(sys.executable)} -c {shlex.quote(IDENTITY)}\n"
        "Ask the issuer and the webhook:\n"
        f"  curl --cacert {ca} {documents}\n"
        f"  curl --cacert {ca} -H 'content-type: application/json' -d @{shlex.quote(str(running.review))} "
        f"{webhook}/mutate\n"
        f"Logs: {shlex.quote(str(folder / 'processes'))}"
    )
