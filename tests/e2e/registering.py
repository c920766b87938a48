"""Our webhook as a process of this machine that a real kube-apiserver asks about one namespace."""

import base64
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import trustme

from tests.e2e.kubectl import Kubectl
from tests.processes import Process, irsa

PODS: Final = ({"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]},)


def address_as_the_apiserver_sees_us(kubectl: Kubectl) -> str:
    """Return our address on the way to the API server, which is on the way back too: loopback, a veth, a bridge."""
    server = urlsplit(kubectl("config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}").stdout)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((server.hostname, server.port))  # of a datagram socket: nothing is sent
        return str(probe.getsockname()[0])


@contextmanager
def registered(
    kubectl: Kubectl,
    namespace: str,
    folder: Path,
    *,
    path: str = "/mutate",
    rules: Sequence[dict[str, Any]] = PODS,
    version: str = "v1",
    flags: Sequence[str] = (),
) -> Iterator[Process]:
    """Run the webhook and have the API server ask it about what *rules* say of *namespace*.

    *flags* are further ones of the webhook.
    """
    host = address_as_the_apiserver_sees_us(kubectl)
    authority = trustme.CA()
    issued = authority.issue_cert(host)
    certificate, key = folder / "tls.crt", folder / "tls.key"
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    files = ["--tls-cert", str(certificate), "--tls-key", str(key), "--kubeconfig", str(kubectl.kubeconfig)]
    with irsa("webhook", "--host", host, "--port", "0", "--metrics-port", "0", *files, *flags) as process:
        port = process.wait_for("listening")["port"]
        process.wait_for("service_accounts_listed")
        webhook = {
            "name": "hook.irsa.test",
            "admissionReviewVersions": [version],
            "sideEffects": "None",
            "failurePolicy": "Fail",
            "timeoutSeconds": 10,
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "rules": list(rules),
            "clientConfig": {
                "url": f"https://{host}:{port}{path}",
                "caBundle": base64.b64encode(authority.cert_pem.bytes()).decode(),
            },
        }
        kubectl.create(
            {
                "apiVersion": "admissionregistration.k8s.io/v1",
                "kind": "MutatingWebhookConfiguration",
                "metadata": {"name": namespace},
                "webhooks": [webhook],
            }
        )
        try:
            yield process
        finally:
            kubectl("delete", "mutatingwebhookconfiguration", namespace)
