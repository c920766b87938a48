"""Settings -> what they say about injections. Pure; apart from the composition root, which imports a web server."""

from app.settings import InjectionSettings
from app.webhook.annotations import Vocabulary
from app.webhook.decision import Policy
from app.webhook.identity import Defaults
from app.webhook.inject import Injection


def policy(settings: InjectionSettings) -> Policy:
    """Return what *settings* say about injections."""
    return Policy(
        vocabulary=Vocabulary(settings.annotation_prefix),
        defaults=Defaults(
            audience=settings.token_audience,
            token_expiration=settings.token_expiration,
            regional_sts=settings.sts_regional_endpoint,
        ),
        injection=Injection(
            token_mount_path=settings.token_mount_path,
            default_region=settings.aws_default_region,
            environment=settings.environment(),
        ),
    )
