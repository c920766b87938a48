"""``irsa inject``."""

import difflib
import io
import itertools
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from app.cli.assignments import read_identities, read_mappings
from app.cluster.manifest_files import manifest_files, read_file
from app.cluster.manifests import DEFAULT_NAMESPACE
from app.imds import resolved
from app.manifests import documents, injection
from app.manifests.documents import Manifest
from app.policy import policy
from app.settings import InjectionSettings

STDIN: Final = Path("-")


def inject(
    *,
    file: Annotated[list[Path], Parameter(name=("--file", "-f"), negative=(), allow_leading_hyphen=True)],
    service_accounts: Path | None = None,
    mappings: Path | None = None,
    container_credentials: Path | None = None,
    namespace: Annotated[str, Parameter(name=("--namespace", "-n"))] = DEFAULT_NAMESPACE,
    diff: Annotated[bool, Parameter(negative=())] = False,
    settings: Annotated[InjectionSettings, Parameter(name="*")] | None = None,
) -> int:
    """Print manifests with what the webhook would add to the pods and pod templates in them; change no file.

    Whatever else they hold is printed as it is. What was left alone, and why, is said on standard error. The exit
    status is 1 where the webhook would have added something and the text could not be edited.

    Args:
        file: File of YAML or JSON manifests, - for standard input. Repeat it for each file.
        service_accounts: Folder of manifests to take further ServiceAccounts from; those in the input come first.
        mappings: File with the ConfigMap of the webhook's --mappings, or with its text.
        container_credentials: The same for the webhook's --container-credentials.
        namespace: Namespace of objects that name none.
        diff: Print a unified diff instead, and nothing where nothing changes.
        settings: The webhook's flags that decide about the result.
    """
    rules = policy(resolved(settings or InjectionSettings()))
    manifests = [_read(path) for path in file]
    further = [_read(path) for path in manifest_files(service_accounts)] if service_accounts else []
    known = injection.service_accounts([*further, *manifests], policy=rules, namespace=namespace)
    apply = partial(
        injection.inject,
        policy=rules,
        namespace=namespace,
        mappings=read_mappings(mappings, account=rules.defaults.account),
        container_credentials=read_identities(container_credentials),
    )
    results = [apply(manifest, known) for manifest in manifests]
    for notice in (notice for result in results for notice in result.notices):
        print(notice, file=sys.stderr)
    texts = [result.text for result in results]
    _write(_diffs(manifests, texts) if diff else manifests[0].encode(_stream(manifests, texts)))
    return 0 if all(result.complete for result in results) else 1


def _read(path: Path) -> Manifest:
    data = sys.stdin.buffer.read() if path == STDIN else read_file(path)
    return documents.read(data, source="stdin" if path == STDIN else str(path))


def _stream(manifests: list[Manifest], texts: list[str]) -> str:
    """Return *texts* behind each other as one stream of documents."""
    stream = texts[0]
    for (before, after), text in zip(itertools.pairwise(manifests), texts[1:], strict=True):
        if not stream.endswith("\n"):
            stream += "\n"
        if not (before.json and after.json) and not text.startswith(("---", "%")):
            stream += "---\n"
        stream += text
    return stream


def _diffs(manifests: list[Manifest], texts: list[str]) -> bytes:
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
        for manifest, text in zip(manifests, texts, strict=True)
        for line in difflib.unified_diff(_lines(manifest.text), _lines(text), manifest.source, manifest.source)
    ).encode("utf-8", "backslashreplace")


def _lines(text: str) -> list[str]:
    return list(io.StringIO(text, newline="\n"))


def _write(output: bytes) -> None:
    sys.stdout.buffer.write(output)
    sys.stdout.buffer.flush()
