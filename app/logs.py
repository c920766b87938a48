"""Structured logs on standard error: one JSON object a line, or text for a person.

Event names are constants, facts are fields, identifiers and never objects: no pod, no value of a variable, no token.
"""

import io
import logging
import sys
from typing import IO, Any, BinaryIO, Final, cast

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from app.settings import Format, Level

TALKATIVE: Final = ("aiohttp", "asyncio", "boto3", "botocore", "grpc", "kubernetes", "s3transfer", "urllib3")
"""Loggers that stay at INFO whatever our level is: at DEBUG botocore logs tokens and secret keys (seen)."""

CHATTY: Final = ("uvicorn.error", "watchfiles.main")
"""Loggers that stay at ERROR: they say again what our own lines say, or what any stranger makes them say."""


class _Unfailing(io.RawIOBase):
    """Standard error, whose end is not ours: a server outlives a log that is full or that nobody reads any more."""

    def __init__(self, stream: IO[bytes] | None) -> None:
        super().__init__()
        self._stream = stream

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if self._stream is not None:
            try:
                self._stream.write(data)
                self._stream.flush()
            except (OSError, ValueError):
                return len(data)
        return len(data)


def configure(*, log_format: Format, level: Level) -> None:
    """Send our logs and those of the libraries to standard error in *log_format*, from *level* up."""
    stream = _Unfailing(getattr(sys.stderr, "buffer", None))
    text = io.TextIOWrapper(io.BufferedWriter(stream), "utf-8", "backslashreplace", line_buffering=True)
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
        loggers = structlog.BytesLoggerFactory(cast("BinaryIO", stream))
    else:
        # repr_native_str: strangers' control characters come out escaped.
        console = structlog.dev.ConsoleRenderer(
            colors=sys.stderr is not None and sys.stderr.isatty(),
            exception_formatter=structlog.dev.plain_traceback,
            repr_native_str=True,
        )
        final = ours = [console]
        loggers = structlog.PrintLoggerFactory(text)
    structlog.configure(
        processors=[*shared, *ours],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=loggers,
    )
    handler = logging.StreamHandler(text)
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
        logging.getLogger(name).setLevel(max(number, logging.ERROR))
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(max(number, logging.INFO))


def _without_record(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return structlog.stdlib.ProcessorFormatter.remove_processors_meta(_logger, _method, event)


def _json_bytes(event: EventDict, **_options: Any) -> bytes:
    return msgspec.json.encode(event, enc_hook=repr)


def _json(event: EventDict, **_options: Any) -> str:
    return _json_bytes(event).decode()
