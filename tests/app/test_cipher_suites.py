import ssl

import pytest

from app.cipher_suites import TLS_1_2, TLS_1_3, openssl_names


def test_names_of_iana_of_go_and_of_openssl_are_taken_in_the_order_given() -> None:
    assert openssl_names(
        [
            " TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
            "",
            "ECDHE-ECDSA-AES128-GCM-SHA256",
            "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
            "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
            "TLS_AES_128_GCM_SHA256",
        ]
    ) == ("ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-CHACHA20-POLY1305")
    assert openssl_names([]) == ()


def test_openssl_knows_all_of_them_as_what_we_say() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers(":".join(TLS_1_2.values()))

    versions = {cipher["name"]: cipher["protocol"] for cipher in context.get_ciphers()}

    assert versions == dict.fromkeys(TLS_1_2.values(), "TLSv1.2") | dict.fromkeys(TLS_1_3, "TLSv1.3")


@pytest.mark.parametrize(
    "name", ["TLS_RSA_WITH_AES_128_CBC_SHA", "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "RC4", "ALL:!aNULL", "x\nSECLEVEL=0"]
)
def test_unknown_and_insecure_ones_are_refused_with_what_is_known(name: str) -> None:
    with pytest.raises(ValueError, match=r"^expected a secure cipher suite, got ") as caught:
        openssl_names([name])

    assert str(caught.value).endswith(f"; known are {', '.join(TLS_1_2)}")


def test_suites_of_tls_1_3_alone_choose_nothing() -> None:
    with pytest.raises(ValueError, match=r"^expected a cipher suite of TLS 1\.2 too, got those of TLS 1\.3, which are"):
        openssl_names(TLS_1_3)
