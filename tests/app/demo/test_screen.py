import io

import pytest
from rich.console import Console

from app.demo.program import Answer
from app.demo.screen import Screen
from app.demo.story import Refusal, Report, Step
from app.errors import DemoError

TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln"  # noqa: S105 - made up, to be searched for
HOSTILE = "\x1b[31mred\x1b[0m [link=https://evil.example]here[/link] [bold]b[/bold]"


def printed(width: int, *, failing: bool = False) -> str:
    output = io.StringIO()
    with Screen(Console(file=output, width=width)) as screen:
        screen.began("Make a key")
        screen.ended(Step("keygen", "Make a key", ok=True, seconds=0.123, detail="kid x"))
        screen.injected(
            [{"op": "add", "path": "/spec/containers/0/env/-", "value": {"name": "A_LONG_NAME", "value": "v" * 70}}]
        )
        screen.answered(Answer(identity={"Arn": HOSTILE}, object="s3://b/k", content="hello\nworld"))
        screen.refused([Refusal(name="n", title="an expired token", expected="E", code="E", message=f"no: {TOKEN}")])
        if failing:
            screen.ended(Step("pod", "Run the pod", ok=False, seconds=1, detail="pod: expected an answer, got none"))
            screen.blamed("pod", ["line one", f"\x1b]0;title\x07 {TOKEN}"])
        error = DemoError("pod: expected an answer, got none") if failing else None
        screen.finish(Report(seconds=7.05, steps=[], identity={}, refusals=[], error=error))
    return output.getvalue()


@pytest.mark.parametrize("width", [80, 120, 200])
def test_no_line_is_wider_than_the_terminal_or_ends_in_blanks(width: int) -> None:
    lines = printed(width).splitlines()

    assert max(map(len, lines)) <= min(width, 120)
    assert [line for line in lines if line != line.rstrip()] == []


def test_a_step_is_one_line_with_its_time() -> None:
    lines = printed(80).splitlines()

    assert lines[0] == "irsa demo: a pod that only annotates its ServiceAccount assumes its IAM role"
    assert lines[2:4] == [f"✓ Make a key{' ' * 62}0.12 s", "  kid x"]
    assert lines[-1] == "The whole chain works, in 7.0 s."


def test_a_value_that_does_not_fit_goes_below_its_name_in_one_piece() -> None:
    assert f"  A_LONG_NAME\n    {'v' * 70}\n" in printed(80)
    assert f"  A_LONG_NAME  {'v' * 70}\n" in printed(120)


def test_text_of_others_is_inert_and_tokens_are_hidden() -> None:
    text = printed(120, failing=True)

    assert "\x1b" not in text
    assert "\\x1b[31mred\\x1b[0m [link=https://evil.example]here[/link] [bold]b[/bold]" in text
    assert "'hello\\nworld'" in text
    assert "eyJ" not in text
    assert "no: (token)" in text


def test_a_failure_shows_step_reason_and_the_last_lines_of_the_process() -> None:
    text = printed(80, failing=True)

    assert f"✗ Run the pod{' ' * 61}1.00 s\n  pod: expected an answer, got none\n" in text
    assert "  the last lines of pod:\n    line one\n    \\x1b]0;title\\x07 (token)\n" in text
    assert text.endswith("\nIt failed, after 7.0 s.\n")
