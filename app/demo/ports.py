"""Ports that nobody else gets until our servers listen on them."""

import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


@contextmanager
def reserved(number: int, *, host: str = "127.0.0.1") -> Iterator[list[int]]:
    """Yield so many free ports of *host*; start the servers and see them listen while this is open.

    An issuer's URL has its port in it, and so have the files of who trusts it: the ports must be known first. On Linux
    a socket that is bound with SO_REUSEADDR, and never listens, keeps a port from everybody who asks for any free one,
    and leaves it to who asks for this one with SO_REUSEADDR, as Go's and our own servers do. Elsewhere such a socket
    would be in their way, so there the ports are only free, and a server may find that somebody was faster.
    """
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            each.bind((host, 0))
        ports = [int(each.getsockname()[1]) for each in sockets]
        if sys.platform != "linux":
            stack.close()
        yield ports
