from app.policy import policy
from app.settings import InjectionSettings
from app.webhook.accounts import Account
from app.webhook.annotations import Vocabulary
from app.webhook.decision import Policy
from app.webhook.identity import Defaults
from app.webhook.inject import Endpoint, Injection


def test_defaults_of_the_settings_are_those_of_the_code() -> None:
    assert policy(InjectionSettings()) == Policy()


def test_every_setting_arrives() -> None:
    settings = InjectionSettings(
        annotation_prefix="irsa.example",
        token_audience="a",
        token_expiration=3600,
        token_mount_path="/token",
        aws_default_region="cn-north-1",
        sts_regional_endpoint=False,
        env=("AWS_CA_BUNDLE=/x",),
        aws_account="111122223333",
        session_name=True,
        token_expiration_jitter=0.25,
        container_credentials_audience="b",
        container_credentials_full_uri="http://[fd00:ec2::23]/v1/credentials",
        container_credentials_token_mount_path="/endpoint",
        container_credentials_token_path="t",
        container_credentials_token_volume_name="v",
    )

    # The partition is a setting too; here it follows from the region.
    assert settings.model_fields_set == InjectionSettings.model_fields.keys() - {"aws_partition"}
    assert policy(settings) == Policy(
        vocabulary=Vocabulary("irsa.example"),
        defaults=Defaults(
            audience="a",
            token_expiration=3600,
            token_expiration_jitter=0.25,
            regional_sts=False,
            has_session_name=True,
            container_credentials_audience="b",
            account=Account(id="111122223333", partition="aws-cn"),
        ),
        injection=Injection(
            token_mount_path="/token",
            default_region="cn-north-1",
            environment={"AWS_CA_BUNDLE": "/x"},
            endpoint=Endpoint(
                full_uri="http://[fd00:ec2::23]/v1/credentials",
                volume_name="v",
                token_mount_path="/endpoint",
                token_path="t",
            ),
        ),
    )


def test_partition_that_is_set_is_not_the_regions() -> None:
    settings = InjectionSettings(aws_account="111122223333", aws_partition="aws-iso", aws_default_region="cn-north-1")

    assert policy(settings).defaults.account == Account(id="111122223333", partition="aws-iso")
