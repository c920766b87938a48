"""Settings -> what they say about injections. Pure; apart from the composition root, which imports a web server."""

from app.errors import ConfigurationError
from app.settings import IMDS, InjectionSettings
from app.webhook.accounts import Account, partition_of
from app.webhook.annotations import Vocabulary
from app.webhook.decision import Policy
from app.webhook.identity import Defaults
from app.webhook.inject import Endpoint, Injection


def policy(settings: InjectionSettings) -> Policy:
    """Return what *settings* say about injections.

    Raises:
        ConfigurationError: their account is to be asked for, and nobody has (``app.imds.resolved``).
    """
    return Policy(
        vocabulary=Vocabulary(settings.annotation_prefix),
        defaults=Defaults(
            audience=settings.token_audience,
            token_expiration=settings.token_expiration,
            token_expiration_jitter=settings.token_expiration_jitter,
            regional_sts=settings.sts_regional_endpoint,
            has_session_name=settings.session_name,
            container_credentials_audience=settings.container_credentials_audience,
            account=_account(settings),
        ),
        injection=Injection(
            token_mount_path=settings.token_mount_path,
            default_region=settings.aws_default_region,
            environment=settings.environment(),
            endpoint=Endpoint(
                full_uri=settings.container_credentials_full_uri,
                volume_name=settings.container_credentials_token_volume_name,
                token_mount_path=settings.container_credentials_token_mount_path,
                token_path=settings.container_credentials_token_path,
            ),
        ),
    )


def _account(settings: InjectionSettings) -> Account | None:
    if settings.aws_account is None:
        return None
    if settings.aws_account == IMDS:
        raise ConfigurationError(f"aws_account: expected twelve digits, got {IMDS}; nothing here asks EC2 for them")
    partition = settings.aws_partition or partition_of(settings.aws_default_region)
    return Account(id=settings.aws_account, partition=partition)
