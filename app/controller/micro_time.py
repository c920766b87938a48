"""Times as Events and Leases have them. Pure."""

from datetime import UTC, datetime


def micro_time(time: datetime) -> str:
    """Return *time* as apimachinery's MicroTime, which has six digits, no more and no less."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
