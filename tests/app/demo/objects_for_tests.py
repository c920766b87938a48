"""The pod of the examples, before and after the webhook, and somebody to tell."""

from collections.abc import Sequence
from typing import Any

from app.demo.program import Answer
from app.demo.story import Refusal, Report, Step

Object = dict[str, Any]

TOKEN_FOLDER = "/var/run/secrets/eks.amazonaws.com/serviceaccount"  # noqa: S105 - a path
TOKEN_REQUEST = {"audience": "sts.amazonaws.com", "expirationSeconds": 86400, "path": "token"}


def deployment(**spec: object) -> Object:
    """Return the smallest Deployment whose pod runs a program from a ConfigMap."""
    pod = {
        "serviceAccountName": "app",
        "containers": [
            {
                "name": "app",
                "image": "python-boto3",
                "command": ["python", "/app/main.py"],
                "env": [{"name": "BUCKET", "value": "irsa-demo"}],
                "volumeMounts": [{"name": "program", "mountPath": "/app"}],
            }
        ],
        "volumes": [{"name": "program", "configMap": {"name": "app"}}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "app", "namespace": "irsa-demo"},
        "spec": {"template": {"metadata": {"labels": {"app": "app"}}, "spec": {**pod, **spec}}},
    }


def patched_pod() -> Object:
    """Return the pod of `deployment` as the webhook leaves it, with a name."""
    spec = deployment()["spec"]["template"]["spec"]
    spec["volumes"].insert(
        0, {"name": "aws-iam-token", "projected": {"sources": [{"serviceAccountToken": TOKEN_REQUEST}]}}
    )
    container = spec["containers"][0]
    container["env"] += [
        {"name": "AWS_ROLE_ARN", "value": "arn:aws:iam::111122223333:role/irsa-demo"},
        {"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": f"{TOKEN_FOLDER}/token"},
    ]
    container["volumeMounts"].append({"name": "aws-iam-token", "readOnly": True, "mountPath": TOKEN_FOLDER})
    metadata = {"name": "app-5d8c7f9b64-x2x2x", "namespace": "irsa-demo", "uid": "0f2d"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


class Listener:
    """A `Host` that remembers the steps, and whose fault it was."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.blame: dict[str, Sequence[str]] = {}

    def began(self, title: str) -> None:
        """Forget it."""

    def ended(self, step: Step) -> None:
        """Remember it."""
        self.steps.append(step)

    def injected(self, operations: Sequence[Object]) -> None:
        """Forget it."""

    def rows(self, rows: Sequence[tuple[str, str]]) -> None:
        """Forget it."""

    def answered(self, answer: Answer) -> None:
        """Forget it."""

    def refused(self, refusals: Sequence[Refusal]) -> None:
        """Forget it."""

    def blamed(self, process: str, lines: Sequence[str]) -> None:
        """Remember it."""
        self.blame[process] = lines

    def kept(self, instructions: str, report: Report) -> None:
        """Forget it."""
