"""``irsa webhook``."""

from typing import Annotated

from cyclopts import Parameter

from app import logs
from app.main import run_webhook
from app.settings import WebhookSettings


def webhook(*, settings: Annotated[WebhookSettings, Parameter(name="*")] | None = None) -> None:
    """Serve the mutating admission webhook: POST /mutate, /healthz, /readyz, /metrics, over TLS.

    Reads ServiceAccounts from the cluster, or from a folder of manifests, and writes nothing anywhere.
    """
    settings = settings or WebhookSettings()
    logs.configure(log_format=settings.log_format, level=settings.log_level)
    run_webhook(settings)
