"""``irsa webhook``."""

from typing import Annotated

from cyclopts import Parameter

from app import logs
from app.main import run_webhook
from app.settings import WebhookSettings


def webhook(*, settings: Annotated[WebhookSettings, Parameter(name="*")] | None = None) -> None:
    """Serve the mutating admission webhook: POST /mutate over TLS.

    Reads ServiceAccounts from the cluster, or from a folder of manifests, and writes nothing anywhere. Answers
    /healthz, /readyz and /metrics on a port of their own.
    """
    settings = settings or WebhookSettings()
    logs.configure(log_format=settings.log_format, level=settings.log_level)
    run_webhook(settings)
