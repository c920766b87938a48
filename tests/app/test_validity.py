import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from app.validity import BEGIN, END, certificates, not_after
from app.x509 import make_authority


@pytest.mark.parametrize("year", [1970, 1999, 2026, 2049, 2050, 2068, 9999])
def test_end_is_read_in_both_ways_of_writing_it(year: int) -> None:
    """Up to 2049 the year has two digits, and from then on four (RFC 5280, section 4.1.2.5)."""
    until = datetime(year, 12, 30, 23, 58, 59, tzinfo=UTC)
    pem = make_authority("a" * 64, now=until - timedelta(days=200), lifetime=timedelta(days=200)).certificate_pem()

    assert not_after(pem) == until.timestamp()


def test_first_certificate_of_a_chain_counts_and_what_is_around_it_does_not() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    first, second = (
        make_authority("it", now=now, lifetime=timedelta(days=days)).certificate_pem() for days in (10, 20)
    )

    assert not_after("subject=Zürich\n".encode() + first + second) == (now + timedelta(days=10)).timestamp()


def test_rsa_certificates_of_others_are_read() -> None:
    issued = trustme.CA(key_type=trustme.KeyType.RSA).issue_cert("x", not_after=datetime(2031, 1, 2, tzinfo=UTC))

    assert not_after(issued.cert_chain_pems[0].bytes()) == datetime(2031, 1, 2, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"\xff\xfe",
        b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----",
        b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----",
        b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----",
        b"-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----",
        b"-----BEGIN CERTIFICATE-----\nMIT/////\n-----END CERTIFICATE-----",
        Path(__file__).read_bytes(),
    ],
)
def test_what_cannot_be_read_has_no_end(pem: bytes) -> None:
    assert not_after(pem) is None


def test_beginnings_without_an_end_take_no_longer_than_their_length() -> None:
    """Looking for each one's end would take seven minutes."""
    began = time.process_time()

    assert list(certificates(BEGIN * 40_000)) == []
    assert list(certificates(END * 40_000)) == []
    assert list(certificates(BEGIN * 40_000 + END * 40_000)) == [BEGIN + END]
    assert time.process_time() - began < 5


def test_certificate_behind_one_that_was_cut_short_is_found() -> None:
    """As encoding/pem of Go does, in which an apiserver reads them."""
    whole = make_authority("a", now=datetime(2026, 1, 1, tzinfo=UTC), lifetime=timedelta(days=9)).certificate_pem()

    assert list(certificates(whole[:200] + b"\n" + whole + whole)) == [whole.strip()] * 2
