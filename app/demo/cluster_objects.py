"""The examples' manifests -> what is applied in a cluster, and what its pods came to. Pure."""

import copy
import re
from dataclasses import dataclass
from typing import Any, Final

from app.demo.examples import Examples
from app.errors import ConfigurationError
from app.text import shown

Object = dict[str, Any]

STRANGER: Final = "stranger"
"""A ServiceAccount that asks for the role and is not the one that the role trusts."""

IMAGE: Final = re.compile(
    r"(?:(?P<registry>localhost|[^/@]+[.:][^/@]*)/)?(?P<repository>[^:@]+)(?::(?P<tag>[^/@]+))?(?:@(?P<digest>[^@]+))?"
)
"""Registry, repository, tag and digest of an image: distribution's reference grammar, as far as it matters here."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A Job of the examples under one ServiceAccount, and the error that it must end with; "" is none."""

    name: str
    title: str
    service_account: str
    expected: str


def attempts(application: Examples) -> tuple[Attempt, ...]:
    """Return who must get the role, and who must not."""
    return (
        Attempt("app", "the ServiceAccount with the role", application.service_account, ""),
        Attempt("no-role", "a ServiceAccount without a role", application.without_role, "NoCredentialsError"),
        Attempt(STRANGER, "a ServiceAccount that the role does not trust", STRANGER, "AccessDenied"),
    )


def image_values(image: str) -> list[str]:
    """Return the chart's values for an *image*, as flags of helm.

    Raises:
        ConfigurationError: *image* names none.
    """
    found = IMAGE.fullmatch(image)
    if found is None:
        raise ConfigurationError(f"expected --image REGISTRY/REPOSITORY:TAG, got {shown(image)}")
    # An empty registry is none; what the chart would put in its place is not what was asked for.
    values = {name: found[name] or "" for name in ("registry", "repository", "tag", "digest")}
    return [flag for name, value in values.items() for flag in ("--set-string", f"image.{name}={value}")]


def objects(documents: list[Object], application: Examples, *, image: str, python: str) -> list[Object]:
    """Return the examples without their workloads, one more ServiceAccount, and a Job for each of `attempts`.

    Args:
        documents: all of the examples' manifests.
        application: what they are about.
        image: of the Jobs' container; has boto3.
        python: the interpreter in it.
    """
    kept = [document for document in documents if document["kind"] not in {"Deployment", "Job"}]
    named = {document["metadata"]["name"]: document for document in kept if document["kind"] == "ServiceAccount"}
    stranger = copy.deepcopy(named[application.service_account])
    stranger["metadata"]["name"] = STRANGER
    job = next(document for document in documents if document["kind"] == "Job")
    return [*kept, stranger, *(_job(job, attempt, image=image, python=python) for attempt in attempts(application))]


def _job(job: Object, attempt: Attempt, *, image: str, python: str) -> Object:
    job = copy.deepcopy(job)
    job["metadata"]["name"] = attempt.name
    spec = job["spec"]["template"]["spec"]
    spec["serviceAccountName"] = attempt.service_account
    container = spec["containers"][0]
    container["image"] = image
    container["imagePullPolicy"] = "IfNotPresent"
    container["command"] = [python, *container["command"][1:]]
    return job


def injected(pod: Object) -> list[tuple[str, str]]:
    """Return what the webhook's variables are in the first container of a *pod*, for people."""
    variables = pod["spec"]["containers"][0].get("env", [])
    return [(each["name"], each.get("value", "")) for each in variables if each["name"].startswith("AWS_")]
