"""Structured logs on standard error: one JSON object a line, or text for a person.

Event names are constants, facts are fields, identifiers and never objects: no pod, no value of a variable, no token.
"""

import logging
import sys
from typing import Any, Final

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from app.settings import Format, Level

TALKATIVE: Final = ("aiohttp", "asyncio", "boto3", "botocore", "grpc", "kubernetes", "s3transfer", "urllib3")
"""Loggers that stay at INFO whatever our level is: at DEBUG botocore logs tokens and secret keys (seen)."""

CHATTY: Final = ("uvicorn.error", "watchfiles.main")
"""Loggers that stay at WARNING: they say again what our own lines say, at every start and every change of a file."""


def configure(*, log_format: Format, level: Level) -> None:
    """Send our logs and those of the libraries to standard error in *log_format*, from *level* up."""
    number = logging.getLevelNamesMapping()[level.upper()]
    # Local variables hold tokens; structlog's own default would print them with every traceback.
    tracebacks = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]
    final: list[Processor]
    loggers: structlog.BytesLoggerFactory | structlog.PrintLoggerFactory
    if log_format == "json":
        exceptions = structlog.processors.ExceptionRenderer(tracebacks)
        final = [exceptions, structlog.processors.JSONRenderer(serializer=_json)]
        ours: list[Processor] = [exceptions, structlog.processors.JSONRenderer(serializer=_json_bytes)]
        loggers = structlog.BytesLoggerFactory(sys.stderr.buffer)
    else:
        # repr_native_str: strangers' control characters come out escaped.
        console = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback, repr_native_str=True
        )
        final = ours = [console]
        loggers = structlog.PrintLoggerFactory(sys.stderr)
    structlog.configure(
        processors=[*shared, *ours],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=loggers,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[_without_record, *final],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(max(number, logging.INFO))


def _without_record(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return structlog.stdlib.ProcessorFormatter.remove_processors_meta(_logger, _method, event)


def _json_bytes(event: EventDict, **_options: Any) -> bytes:
    return msgspec.json.encode(event, enc_hook=repr)


def _json(event: EventDict, **_options: Any) -> str:
    return _json_bytes(event).decode()
