from pathlib import Path

import pytest

from app.cluster.manifests import read_documents
from app.demo import examples
from app.errors import ManifestError

SERVICE_ACCOUNTS = """
kind: ServiceAccount
apiVersion: v1
metadata:
  name: app
  namespace: team
  annotations:
    eks.amazonaws.com/role-arn: arn:aws:iam::111122223333:role/team
---
kind: ServiceAccount
apiVersion: v1
metadata: {name: other, namespace: team}
---
"""
DEPLOYMENT = """
kind: Deployment
metadata: {name: app, namespace: team}
spec:
  template:
    spec:
      serviceAccountName: app
      containers: [{env: [{name: BUCKET, value: team-bucket}]}]
---
"""


def parse(text: str) -> examples.Examples:
    return examples.parse(read_documents(text.encode(), source="examples.yaml"))


def test_the_shipped_manifests_are_an_application_with_a_role() -> None:
    application = examples.read()

    assert (application.namespace, application.service_account, application.without_role, application.bucket) == (
        "irsa-demo",
        "app",
        "no-role",
        "irsa-demo",
    )
    assert application.identity.role_arn == "arn:aws:iam::111122223333:role/irsa-demo"
    assert application.identity.audience == "sts.amazonaws.com"
    assert set(application.config_maps["app"]) == {"main.py"}


def test_the_shipped_program_compiles_and_knows_nothing_of_roles_and_tokens() -> None:
    program = examples.read().config_maps["app"]["main.py"]

    compile(program, "main.py", "exec")
    assert "role" not in program.lower()
    assert "token" not in program.lower()
    assert "endpoint" not in program.lower()


def test_what_is_needed_is_taken_from_the_manifests() -> None:
    application = parse(SERVICE_ACCOUNTS + DEPLOYMENT)

    assert (application.namespace, application.bucket) == ("team", "team-bucket")
    assert application.identity.role_arn == "arn:aws:iam::111122223333:role/team"
    assert application.without_role == "other"
    assert application.deployment["metadata"] == {"name": "app", "namespace": "team"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(SERVICE_ACCOUNTS, "expected one Deployment in the examples, got 0", id="no-deployment"),
        pytest.param(
            SERVICE_ACCOUNTS + DEPLOYMENT.replace("BUCKET", "OTHER"),
            "examples.yaml:15: expected the variable BUCKET in the first container, got none",
            id="no-bucket",
        ),
        pytest.param(
            SERVICE_ACCOUNTS + DEPLOYMENT.replace("serviceAccountName: app", "serviceAccountName: other"),
            "examples.yaml:15: expected serviceAccountName to be a ServiceAccount with a role, got another",
            id="no-role",
        ),
        pytest.param(
            SERVICE_ACCOUNTS.replace("name: other", "name: app") + DEPLOYMENT,
            "examples.yaml:15: expected serviceAccountName to be a ServiceAccount with a role, got another",
            id="role-taken-away",
        ),
        pytest.param(
            SERVICE_ACCOUNTS.replace("namespace: team}", "namespace: elsewhere}") + DEPLOYMENT,
            "expected a ServiceAccount without a role in namespace team, got none",
            id="nobody-without-role",
        ),
        pytest.param(
            SERVICE_ACCOUNTS + DEPLOYMENT.replace("serviceAccountName: app", ""),
            "examples.yaml:15: spec.template.spec.serviceAccountName: field required",
            id="no-service-account",
        ),
    ],
)
def test_manifests_that_show_nothing_are_refused_by_name(text: str, message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parse(text)

    assert str(caught.value) == message


def test_a_folder_without_manifests_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="expected one Deployment in the examples, got 0"):
        examples.read(tmp_path)
