"""The smallest objects that an API server stores; a test says only what it is about."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

NEVER_SCHEDULED: Final = "irsa.test/never"
"""A gate that nobody opens. It is the admission of these pods that is tested; no kubelet shall run them."""

NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


def pod(
    name: str,
    *,
    namespace: str | None = None,
    service_account: str | None = "app",
    metadata: Mapping[str, Any] = NOTHING,
    container: Mapping[str, Any] = NOTHING,
    **spec: Any,
) -> dict[str, Any]:
    """Return a pod that is never scheduled.

    Args:
        name: its name.
        namespace: None where the request's path says it.
        service_account: None where the API server shall choose.
        metadata: more of it.
        container: more of the only one.
        spec: more of it.
    """
    where = {} if namespace is None else {"namespace": namespace}
    account = {} if service_account is None else {"serviceAccountName": service_account}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name} | where | dict(metadata),
        "spec": {
            **account,
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "schedulingGates": [{"name": NEVER_SCHEDULED}],
            "containers": [{"name": "app", "image": "example.invalid/app"} | dict(container)],
            **spec,
        },
    }
