import base64
from datetime import timedelta

import pytest

from app.controller.objects import CertificateObjects, certificate_objects, certificate_policy, lease
from app.controller.rotation import CertificatePolicy
from app.errors import ConfigurationError
from app.settings import ControllerSettings
from app.x509 import make_authority, pem
from tests.app.controller.stored_objects import OBJECTS, POLICY, START


def test_objects_are_those_of_the_chart() -> None:
    settings = ControllerSettings()

    assert certificate_objects(settings, "irsa-system") == OBJECTS
    assert lease(settings, "irsa-system") == (
        "/apis/coordination.k8s.io/v1/namespaces/irsa-system/leases/irsa-controller"
    )


def test_every_object_may_have_another_name() -> None:
    settings = ControllerSettings(ca_secret="a", tls_secret="b", webhook_configuration="c", lease="d")

    assert certificate_objects(settings, "x") == CertificateObjects(
        authority="/api/v1/namespaces/x/secrets/a",
        serving="/api/v1/namespaces/x/secrets/b",
        configuration="/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/c",
    )
    assert lease(settings, "x") == "/apis/coordination.k8s.io/v1/namespaces/x/leases/d"


def test_certificate_is_for_the_service_and_the_names_that_were_given() -> None:
    settings = ControllerSettings(webhook_service="hook", certificate_names=("0:0:0:0:0:0:0:1", "hook.example"))

    assert certificate_policy(settings, "x") == CertificatePolicy(
        names=frozenset({"hook.x.svc", "hook.x.svc.cluster.local", "::1", "hook.example"}),
        ca_lifetime=POLICY.ca_lifetime,
        certificate_lifetime=POLICY.certificate_lifetime,
        bundle_settles=POLICY.bundle_settles,
        certificate_reloads=POLICY.certificate_reloads,
    )


def test_given_ca_is_trusted_beside_our_own_or_alone() -> None:
    given = make_authority("given", now=START, lifetime=timedelta(days=1)).certificate
    text = base64.b64encode(pem([given])).decode()

    beside, alone = (
        certificate_policy(ControllerSettings(trusted_ca=text, certificates=certificates), "x")
        for certificates in (True, False)
    )

    assert (beside.trusted, beside.signs) == ((given,), True)
    assert (alone.trusted, alone.signs) == ((given,), False)


def test_given_ca_that_is_none_ends_the_start() -> None:
    with pytest.raises(ConfigurationError, match=r"^trusted-ca: expected Base64 of PEM certificates, got none"):
        certificate_policy(ControllerSettings(trusted_ca="QUJD"), "x")


def test_times_are_days_and_seconds() -> None:
    settings = ControllerSettings(
        ca_days=1.5, certificate_days=0.5, bundle_settle_seconds=2.5, certificate_reload_seconds=7
    )
    policy = certificate_policy(settings, "x")

    assert (policy.ca_lifetime, policy.certificate_lifetime) == (timedelta(hours=36), timedelta(hours=12))
    assert (policy.bundle_settles, policy.certificate_reloads) == (timedelta(seconds=2.5), timedelta(seconds=7))


@pytest.mark.parametrize("name", ["", "UPPER.example", "a b", "*.example", "é.example", "a\n", "-a", "127.0.0.1:443"])
def test_what_no_certificate_can_be_for_is_refused_at_the_start(name: str) -> None:
    with pytest.raises(ValueError, match="expected an IP address or a DNS name in lower case"):
        ControllerSettings(certificate_names=(name,))


@pytest.mark.parametrize("name", ["", "../secrets", "a/b", "A", "a?b", ".a"])
@pytest.mark.parametrize("field", ["ca_secret", "tls_secret", "webhook_configuration", "webhook_service", "lease"])
def test_name_that_would_lead_to_another_path_is_refused(field: str, name: str) -> None:
    with pytest.raises(ValueError, match=field):
        ControllerSettings.model_validate({field: name})
