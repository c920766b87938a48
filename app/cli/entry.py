"""``irsa``: the lines that run before anything else of ours is imported.

Python makes a KeyboardInterrupt of SIGINT from its start. Who presses Ctrl-C while we are imported would read where, so
until there is somebody who catches it, SIGINT ends us as it ends other programs: at once, and without a word.

The first process of a container is never ended by a signal that it has no handler for (pid_namespaces(7)), so there it
has one from here on, for SIGTERM too. Whoever has more to do at its end sets another one.
"""

import os
import signal
import sys
from types import FrameType


def main() -> None:
    """Run the command named in ``sys.argv`` and exit with its status."""
    sys.exit(_status(sys.argv[1:]))


def _status(arguments: list[str]) -> int:
    handler = signal.getsignal(signal.SIGINT)
    is_first = os.getpid() == 1
    if handler is signal.default_int_handler:  # a shell has the jobs of a script ignore it (POSIX, 2.11)
        signal.signal(signal.SIGINT, _leave if is_first else signal.SIG_DFL)
    if is_first and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _leave)
    from app.cli.command_line import run  # noqa: PLC0415 - see above

    try:
        signal.signal(signal.SIGINT, handler)
        return run(arguments)
    except KeyboardInterrupt:
        return 130


def _leave(number: int, _frame: FrameType | None) -> None:
    """End as by the signal: nothing is flushed and nobody is asked."""
    os._exit(128 + number)
