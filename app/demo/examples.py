"""The manifests of ``manifests/examples`` -> what the demo needs of them. Pure, but for `read`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, Field, ValidationError

import app
from app.cluster.manifests import Document, read_documents, service_accounts_in
from app.errors import ManifestError
from app.webhook.annotations import Vocabulary
from app.webhook.identity import Defaults, Identity, identify

FOLDER: Final = Path(app.__file__).parent.parent / "manifests" / "examples"

BUCKET_VARIABLE: Final = "BUCKET"

Object = dict[str, Any]
Model = TypeVar("Model", bound=BaseModel)


class _Variable(BaseModel):
    name: str
    value: str = ""


class _Container(BaseModel):
    env: list[_Variable] = []


class _PodSpec(BaseModel):
    service_account_name: str = Field(alias="serviceAccountName")
    containers: list[_Container] = Field(min_length=1)


class _Template(BaseModel):
    spec: _PodSpec


class _DeploymentSpec(BaseModel):
    template: _Template


class _Metadata(BaseModel):
    name: str
    namespace: str


class _Deployment(BaseModel):
    metadata: _Metadata
    spec: _DeploymentSpec


class _ConfigMap(BaseModel):
    metadata: _Metadata
    data: dict[str, str] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """One application, and what surrounds it.

    Attributes:
        namespace: of all of it.
        deployment: its Deployment, as it stands in the file.
        config_maps: name -> key -> value.
        service_account: the Deployment's.
        identity: what the annotations of that ask for.
        without_role: a ServiceAccount of the namespace that asks for nothing.
        bucket: where the application writes to.
    """

    namespace: str
    deployment: Object
    config_maps: Mapping[str, Mapping[str, str]]
    service_account: str
    identity: Identity
    without_role: str
    bucket: str


def read(folder: Path = FOLDER) -> Examples:
    """Read the manifests in *folder*.

    Raises:
        ManifestError: they are missing, unreadable, or not what the demo is about.
    """
    try:
        files = [(path, path.read_bytes()) for path in sorted(folder.glob("*.yaml"))]
    except OSError as error:
        raise ManifestError(f"{folder}: expected readable manifests, got: {error.strerror}") from error
    return parse(document for path, data in files for document in read_documents(data, source=path.name))


def parse(documents: Iterable[Document]) -> Examples:
    """Return the application in *documents*.

    Raises:
        ManifestError: no Deployment, or one without a bucket, or without a ServiceAccount that has a role.
    """
    documents = list(documents)
    deployments = _of_kind(documents, "Deployment")
    if len(deployments) != 1:
        raise ManifestError(f"expected one Deployment in the examples, got {len(deployments)}")
    deployment = _parsed(_Deployment, deployments[0])
    pod = deployment.spec.template.spec
    variables = {variable.name: variable.value for variable in pod.containers[0].env}
    if not variables.get(BUCKET_VARIABLE):
        raise deployments[0].problem(f"expected the variable {BUCKET_VARIABLE} in the first container, got none")
    namespace = deployment.metadata.namespace
    identities = _identities(documents, namespace)
    identity = identities.get(pod.service_account_name)
    if identity is None:
        raise deployments[0].problem("expected serviceAccountName to be a ServiceAccount with a role, got another")
    without_role = next((name for name, other in identities.items() if other is None), None)
    if without_role is None:
        raise ManifestError(f"expected a ServiceAccount without a role in namespace {namespace}, got none")
    config_maps = [_parsed(_ConfigMap, document) for document in _of_kind(documents, "ConfigMap")]
    return Examples(
        namespace=namespace,
        deployment=_object(deployments[0]),
        config_maps={each.metadata.name: each.data for each in config_maps if each.metadata.namespace == namespace},
        service_account=pod.service_account_name,
        identity=identity,
        without_role=without_role,
        bucket=variables[BUCKET_VARIABLE],
    )


def _identities(documents: Iterable[Document], namespace: str) -> dict[str, Identity | None]:
    """Return what each ServiceAccount of *namespace* asks for, in the webhook's own reading."""
    vocabulary = Vocabulary()
    snapshot = service_accounts_in(documents, keep=vocabulary)
    return {
        name: identify(service_account.annotations, {}, vocabulary=vocabulary, defaults=Defaults()).identity
        for where, name, service_account in snapshot
        if where == namespace
    }


def _of_kind(documents: Iterable[Document], kind: str) -> list[Document]:
    return [document for document in documents if _object(document).get("kind") == kind]


def _object(document: Document) -> Object:
    return document.content if isinstance(document.content, dict) else {}


def _parsed(model: type[Model], document: Document) -> Model:
    try:
        return model.model_validate(document.content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise document.problem(f"{where}: {first['msg'].lower()}") from None
