"""What the tests of the offline mutation share: one file in, what comes out."""

from app.manifests import documents, injection
from app.manifests.injection import Injected
from app.policy import policy
from app.settings import InjectionSettings

ROLE = "arn:aws:iam::111122223333:role/app"

SERVICE_ACCOUNT = f"""\
apiVersion: v1
kind: ServiceAccount
metadata:
  name: app
  annotations:
    eks.amazonaws.com/role-arn: {ROLE}
---
"""

POD = """\
apiVersion: v1
kind: Pod
metadata:
  name: p
spec:
  serviceAccountName: app
"""


def injected(
    text: str | bytes, *, source: str = "in.yaml", namespace: str = "default", settings: InjectionSettings | None = None
) -> Injected:
    """Return what becomes of a file that has its own ServiceAccounts."""
    rules = policy(settings or InjectionSettings())
    manifest = documents.read(text.encode() if isinstance(text, str) else text, source=source)
    known = injection.service_accounts([manifest], policy=rules, namespace=namespace)
    return injection.inject(manifest, known, policy=rules, namespace=namespace)
