"""``irsa``: the lines that run before anything else of ours is imported.

Python makes a KeyboardInterrupt of SIGINT from its start. Who presses Ctrl-C while we are imported would read where, so
until there is somebody who catches it, SIGINT ends us as it ends other programs: at once, and without a word.
"""

import signal
import sys


def main() -> None:
    """Run the command named in ``sys.argv`` and exit with its status."""
    sys.exit(_status(sys.argv[1:]))


def _status(arguments: list[str]) -> int:
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:  # a shell has the jobs of a script ignore it (POSIX, 2.11)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from app.cli.command_line import run  # noqa: PLC0415 - see above

    try:
        signal.signal(signal.SIGINT, handler)
        return run(arguments)
    except KeyboardInterrupt:
        return 130
