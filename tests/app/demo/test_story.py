import pytest

from app.demo.program import Answer
from app.demo.story import Refusal, Report, Step, Story
from app.errors import DemoError
from tests.app.demo.objects_for_tests import Listener

REFUSED = Refusal(name="expired-token", title="an expired token", expected="Expired", code="Expired", message="it is")


def test_the_report_is_the_object_that_json_prints() -> None:
    report = Report(
        seconds=7.12345,
        steps=[Step("keygen", "Make a key", ok=True, seconds=0.12345, detail="kid x")],
        identity={"Arn": "arn:aws:sts::111122223333:assumed-role/app/s"},
        refusals=[REFUSED],
    )

    assert report.document() == {
        "ok": True,
        "seconds": 7.123,
        "steps": [{"name": "keygen", "ok": True, "seconds": 0.123, "detail": "kid x"}],
        "identity": {"Arn": "arn:aws:sts::111122223333:assumed-role/app/s"},
        "refusals": [{"name": "expired-token", "ok": True, "code": "Expired", "message": "it is"}],
    }


def test_a_refusal_for_another_reason_is_none() -> None:
    wrong = Refusal(name="n", title="t", expected="AccessDenied", code="InvalidIdentityToken", message="m")

    assert REFUSED.ok
    assert not wrong.ok


def test_steps_are_told_and_kept_with_their_times() -> None:
    listener = Listener()
    story = Story(listener)
    with story.step("keygen", "Make a key") as note:
        note.detail = "kid x"
    story.answer = Answer(identity={"Arn": "arn"}, object="o", content="c")

    report = story.report()

    assert report.ok
    assert list(report.steps) == listener.steps
    assert [(step.name, step.ok, step.detail) for step in report.steps] == [("keygen", True, "kid x")]
    assert 0 <= report.steps[0].seconds <= report.seconds
    assert report.identity == {"Arn": "arn"}


def test_a_step_that_fails_says_what_came_and_ends_the_story() -> None:
    listener = Listener()
    story = Story(listener)
    with pytest.raises(DemoError) as caught, story.step("pod", "Run the pod"):
        raise DemoError("pod: expected an answer, got nothing")

    report = story.report(caught.value)

    assert not report.ok
    assert [(step.name, step.ok, step.detail) for step in listener.steps] == [
        ("pod", False, "pod: expected an answer, got nothing")
    ]
    assert report.document()["ok"] is False
    assert report.document()["identity"] == {}


def test_a_machine_that_fails_is_one_line_too() -> None:
    story = Story(Listener())

    with pytest.raises(DemoError) as caught, story.step("render", "Render"):
        raise OSError(28, "No space left on device")

    assert str(caught.value) == "render: expected this machine to do its part, got: No space left on device"
