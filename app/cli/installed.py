"""The settings of the webhook that is installed, for commands that say what it does.

The chart writes them into a ConfigMap, as a file of ``--config``. What somebody gives to the command itself wins.
"""

import sys
from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from app.access.output import inert
from app.assignments import is_file
from app.cli import reading, settings_errors
from app.cli.reading import ReadingSettings
from app.cluster.api import ReadingApi
from app.cluster.manifests import read_documents
from app.errors import ManifestError
from app.settings import IMDS, AssignmentSettings

FILE: Final = "settings.yaml"
"""The key of the ConfigMap's data that holds them."""

COMMAND: Final = "webhook"


async def as_installed(api: ReadingApi, settings: ReadingSettings, *, namespace: str | None = None) -> ReadingSettings:
    """Return *settings* with what the installed webhook has of those that nobody gave.

    What cannot be used is said on standard error, and counts as not given.

    Args:
        api: of the cluster.
        settings: those of the command.
        namespace: where the ConfigMap is; None where *settings* say it.
    """
    place = settings.settings
    if namespace is not None and "settings" not in settings.model_fields_set:
        place = f"{namespace}/{place.partition('/')[2]}"
    text = (await reading.config_map_data(api, place)).get(FILE, "")
    try:
        found, problems = completed(settings, _section(text))
    except ManifestError as error:
        found, problems = settings, [f"it counts as empty: {error}"]
    except ValidationError as error:
        found, problems = settings, [f"it counts as empty: {settings_errors.invalid(error)}"]
    for problem in problems:
        print(f"irsa: {place}: {inert(problem)}", file=sys.stderr)
    return found


def _section(text: str) -> object:
    """Return what *text* has for the webhook, None where it has nothing."""
    documents = read_documents(text.encode(), source=FILE)
    content = documents[0].content if documents else None
    return content.get(COMMAND) if isinstance(content, dict) else None


def completed(settings: ReadingSettings, section: object) -> tuple[ReadingSettings, list[str]]:
    """Return *settings* with what the *section* of the webhook has besides, and what of it nobody can use here.

    Raises:
        ValidationError: it is none with which a webhook would start.
    """
    if not isinstance(section, Mapping):
        return settings, []
    # What is not said there is off, whatever a command would look for by itself.
    found: dict[str, Any] = {"mappings": None}
    problems = []
    for key, value in section.items():
        name = str(key).replace("-", "_")
        if name not in AssignmentSettings.model_fields or name in settings.model_fields_set:
            continue
        if name == "aws_account" and value == IMDS:
            problems.append("the webhook asks EC2 for the account of its roles: give it as --aws-account")
        elif name == "container_credentials" and isinstance(value, str) and is_file(value):
            problems.append(f"{value} is in the webhook's pods: give a copy as --container-credentials")
        else:
            found[name] = (value,) if name == "env" and isinstance(value, str) else value
    return ReadingSettings.model_validate(found | settings.model_dump(exclude_unset=True)), problems
