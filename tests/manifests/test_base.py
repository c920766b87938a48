"""`kubectl apply -k manifests/base` and `helm install` are one way to install, not two."""

import shutil
import subprocess

import pytest

from tests.manifests.chart import BASE, NAMESPACE, VERSION, base, documents, kinds, named, render, template

HEADER = "# Made by scripts/manifests from manifests/chart: change that, and run it.\n"


def test_base_is_what_scripts_manifests_makes_of_the_chart() -> None:
    assert BASE.joinpath("irsa.yaml").read_text() == HEADER + template()


def test_kustomize_gives_the_objects_of_helm_and_their_namespace() -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl on PATH")
    command = ["kubectl", "kustomize", str(BASE)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)  # noqa: S603 - our own words
    made = documents(done.stdout)

    namespace = named(made, "Namespace", NAMESPACE)
    made.remove(namespace)
    rendered = render()
    assert kinds(made) == kinds(rendered)
    for one in rendered:
        assert one in made
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_image_of_the_base_is_that_of_this_version() -> None:
    deployments = [one for one in base() if one["kind"] == "Deployment"]
    images = {one["spec"]["template"]["spec"]["containers"][0]["image"] for one in deployments}

    assert images == {f"irsa:{VERSION}"}
