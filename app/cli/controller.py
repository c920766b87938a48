"""``irsa controller``."""

from typing import Annotated

from cyclopts import Parameter

from app import logs
from app.main import run_controller
from app.settings import ControllerSettings


def controller(*, settings: Annotated[ControllerSettings, Parameter(name="*")] | None = None) -> None:
    """Do everything that writes around the webhook: its CA and certificate, caBundle, Events, drift.

    Of several, the one that holds the Lease does it, and the others wait.
    """
    settings = settings or ControllerSettings()
    logs.configure(log_format=settings.log_format, level=settings.log_level)
    run_controller(settings)
