"""A real API server, for the rows that want one: IRSA_TEST_KUBECONFIG. What is made there is removed again."""

import os
from pathlib import Path
from typing import Any, Final

GROUP: Final = "a real API server"
KUBECONFIG: Final = "IRSA_TEST_KUBECONFIG"


def kubeconfig() -> Path | None:
    """Return the file that names it, or None where there is none: then nothing is measured with one."""
    file = os.environ.get(KUBECONFIG)
    return Path(file) if file else None


def service_account(name: str, *, role_arn: str | None) -> dict[str, Any]:
    """Return the document of a ServiceAccount, annotated or not."""
    annotations = {"eks.amazonaws.com/role-arn": role_arn} if role_arn else {}
    return {"metadata": {"name": name, "annotations": annotations}}
