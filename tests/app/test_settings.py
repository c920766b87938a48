from typing import Any

import pytest
from pydantic import ValidationError

from app.settings import InjectionSettings, WebhookSettings


def test_environment_is_names_and_values_and_the_last_one_wins() -> None:
    settings = InjectionSettings(env=("AWS_ENDPOINT_URL=https://a=b", "AWS_CA_BUNDLE=/x", "AWS_CA_BUNDLE=/y"))

    assert settings.environment() == {"AWS_ENDPOINT_URL": "https://a=b", "AWS_CA_BUNDLE": "/y"}


@pytest.mark.parametrize(
    "name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_CA_BUNDLE", "AWS_STS_REGIONAL_ENDPOINTS"]
)
def test_where_aws_is_may_be_set(name: str) -> None:
    assert InjectionSettings(env=(f"{name}=x",)).environment() == {name: "x"}


@pytest.mark.parametrize(
    "item",
    ["PATH=x", "AWS_ROLE_ARN=x", "AWS_ACCESS_KEY_ID=x", "AWS_CA_BUNDLE", "AWS_CA_BUNDLE_X=x", "AWS_CA_BUNDLE=\0", "=x"],
)
def test_who_the_pod_is_may_not_be_set(item: str) -> None:
    with pytest.raises(ValidationError, match="AWS_ENDPOINT_URL\\*, AWS_CA_BUNDLE or AWS_STS_\\* as NAME=VALUE"):
        InjectionSettings(env=(item,))


@pytest.mark.parametrize(
    "field",
    [
        {"annotation_prefix": "eks.amazonaws.com/"},
        {"annotation_prefix": "EKS"},
        {"annotation_prefix": ""},
        {"token_audience": ""},
        {"token_expiration": 599},
        {"token_expiration": 31_536_001},
        {"token_mount_path": "relative"},
        {"token_mount_path": "/trailing/"},
        {"token_mount_path": "/"},
        {"token_mount_path": "/a//b"},
        {"token_mount_path": "/a/../b"},
        {"token_mount_path": "/a\n"},
        {"token_mount_path": "/a:b"},
        {"aws_default_region": "eu west"},
        {"aws_account": "11112222333"},
        {"aws_account": "111122223333\n"},
        {"aws_account": "IMDS"},
        {"aws_partition": "azure"},
        {"aws_partition": "aws:cn"},
        {"token_expiration_jitter": -0.1},
        {"token_expiration_jitter": 0.6},
        {"token_expiration_jitter": float("nan")},
        {"container_credentials_audience": ""},
        {"container_credentials_full_uri": "169.254.170.23"},
        {"container_credentials_full_uri": "http://a b"},
        {"container_credentials_token_mount_path": "relative"},
        {"container_credentials_token_path": "../x"},
        {"container_credentials_token_path": ".."},
        {"container_credentials_token_path": "a/b"},
        {"container_credentials_token_volume_name": "A"},
        {"container_credentials_token_volume_name": "a" * 64},
        {"unknown": 1},
    ],
)
def test_unusable_value_is_refused_at_the_start(field: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        InjectionSettings(**field)


@pytest.mark.parametrize("model", [InjectionSettings, WebhookSettings])
def test_every_setting_says_what_it_does(model: type[InjectionSettings]) -> None:
    assert [name for name, field in model.model_fields.items() if not field.description] == []
