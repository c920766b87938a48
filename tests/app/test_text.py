from app.text import shown


def test_text_is_quoted_and_control_characters_are_escaped() -> None:
    assert shown('a\x1b[31m\n"b"\\') == r'"a\x1b[31m\n\"b\"\\"'


def test_long_text_is_cut() -> None:
    assert shown("x" * 100, limit=3) == '"xxx…"'


def test_text_of_other_scripts_stays_readable() -> None:
    assert shown("grüße") == '"grüße"'


def test_what_is_no_text_is_shown_as_python_writes_it() -> None:
    assert shown(["a"]) == "\"['a']\""


def test_characters_that_turn_the_reading_direction_are_escaped() -> None:
    assert shown("a\u202eb") == r'"a\u202eb"'
