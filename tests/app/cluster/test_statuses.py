import pytest

from app.cluster.statuses import retry_after_seconds, status, warnings


@pytest.mark.parametrize(
    ("headers", "texts"),
    [
        pytest.param([], (), id="none"),
        pytest.param(['299 - "text"'], ("text",), id="one"),
        pytest.param(['299 - "one"', '299 - "two"'], ("one", "two"), id="two-headers"),
        pytest.param(['299 - "one, two", 299 - "three"'], ("one, two", "three"), id="two-in-one-header"),
        pytest.param([r'299 - "a \"b\" \\ c"'], (r'a "b" \ c',), id="quoted-pairs"),
        pytest.param(['299 webhook:443 "text" "Wed, 25 Nov 2026 09:00:00 GMT"'], ("text",), id="agent-and-date"),
        pytest.param(['199 - "text"', '110 - "stale"'], (), id="other-codes"),
        pytest.param(['299 - ""'], ("",), id="empty"),
        pytest.param(['299 - "gr\u00fcn"'], ("grün",), id="utf-8"),
        pytest.param(['299 - "a\udcffb"'], ("a\ufffdb",), id="bytes-that-are-no-utf-8"),
        pytest.param(["299 - text", '299 "text"', '299 - "text', "", '"'], (), id="no-warning-headers"),
    ],
)
def test_warning_headers(headers: list[str], texts: tuple[str, ...]) -> None:
    assert warnings(headers) == texts


@pytest.mark.parametrize("text", ["\\" * 100_000, '299 - "' * 20_000, '299 - "' + "\\a" * 50_000, "2" * 100_000])
def test_header_of_any_length_is_read_in_time(text: str) -> None:
    """A pattern that goes back and forth would need hours for these."""
    assert len(warnings([text])) < 20_000


@pytest.mark.parametrize(
    ("header", "seconds"), [("", 0), ("1", 1), ("7", 7), ("86400", 60), ("-1", 0), ("Wed, 25 Nov 2026 09:00:00 GMT", 0)]
)
def test_retry_after(header: str, seconds: float) -> None:
    assert retry_after_seconds(header) == seconds


@pytest.mark.parametrize(
    ("body", "reason", "said"),
    [
        (b'{"kind": "Status", "reason": "NotFound", "message": "gone\\u001b"}', "NotFound", '"gone\\x1b"'),
        (b'{"kind": "Status"}', "", '""'),
        (b'{"kind": "Pod", "message": "secret"}', "", "no Status"),
        (b"[]", "", "no Status"),
        (b"<html>", "", "no Status"),
        (b"[" * 100_000, "", "no Status"),
    ],
)
def test_status(body: bytes, reason: str, said: str) -> None:
    found = status(body)

    assert (found.reason, found.said) == (reason, said)
