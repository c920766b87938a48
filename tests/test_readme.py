"""The README says what the code does: its tables are made from the code, and compared."""

import re
from collections.abc import Collection
from pathlib import Path

from app.settings import AssignmentSettings, ControllerSettings, InjectionSettings, WebhookSettings
from app.webhook.annotations import ANNOTATIONS, Vocabulary
from app.webhook.decision import Reason

README = Path(__file__).parent.parent.joinpath("README.md").read_text()


def settings_table(model: type[InjectionSettings], *, beyond: Collection[str] = ()) -> str:
    """The settings of *model* without those *beyond* which it goes."""
    rows = ["| flag | default | what it does |", "|---|---|---|"]
    for name, field in model.model_fields.items():
        if name in beyond:
            continue
        default = str(field.default)
        if field.default is None or field.default == ():
            default = ""
        elif isinstance(field.default, bool):
            default = f"on; off with --no-{name.replace('_', '-')}" if field.default else "off"
        text = " ".join((field.description or "").split()).replace("|", "\\|")
        rows.append(f"| `--{name.replace('_', '-')}` | {f'`{default}`' if default else ''} | {text} |")
    return "\n".join(rows)


def annotations_table() -> str:
    rows = ["| annotation | on | what it says | default |", "|---|---|---|---|"]
    for annotation in ANNOTATIONS:
        key = Vocabulary(annotation.prefix or Vocabulary().prefix).key(annotation.name)
        rows.append(f"| `{key}` | {', '.join(annotation.on)} | {annotation.meaning} | {annotation.default} |")
    return "\n".join(rows)


def test_annotation_reference_is_that_of_the_code() -> None:
    assert f"### Annotations\n\n{annotations_table()}\n" in README


def test_defaults_of_annotations_are_settings_that_there_are() -> None:
    named = {flag for annotation in ANNOTATIONS for flag in re.findall(r"--[a-z-]+", str(annotation))}

    assert named
    assert {flag.removeprefix("--").replace("-", "_") for flag in named} <= InjectionSettings.model_fields.keys()


def test_settings_table_is_that_of_the_code() -> None:
    assert settings_table(WebhookSettings) in README


def test_settings_of_the_controller_are_those_it_shares_and_a_table() -> None:
    shared = AssignmentSettings.model_fields

    assert f"to `--{list(shared)[-1].replace('_', '-')}`" in README
    assert settings_table(ControllerSettings, beyond=shared) in README


def test_every_reason_is_explained() -> None:
    assert [reason.value for reason in Reason if f"| `{reason.value}` |" not in README] == []
