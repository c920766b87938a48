"""The driver for machines without wrk: as many keep-alive connections over TLS as are told, one review at a time each.

Plain sockets and one selector: an event loop would take as long for a request as the server that it measures. Run by
``tests.bench.load`` as a process of its own; the last line that it prints is JSON, like that of our script for wrk.
"""

import argparse
import itertools
import json
import selectors
import socket
import ssl
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

HOST: Final = "127.0.0.1"
TIMEOUT_SECONDS: Final = 30.0


@dataclass(slots=True)
class Connection:
    """A keep-alive connection with one request under way."""

    socket: ssl.SSLSocket
    requests: Iterator[bytes]
    sent: float = 0.0
    """On the clock of ``time.perf_counter``."""

    def send(self) -> None:
        """Send the next request."""
        self.sent = time.perf_counter()
        self.socket.sendall(next(self.requests))

    def receive(self) -> bool:
        """Read one whole answer; return whether its status is 200."""
        answer = self.socket.recv(65_536)
        head, _, body = answer.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        received = len(body)
        while received < length:
            received += len(self.socket.recv(65_536))
        return head.startswith(b"HTTP/1.1 200 ")


def request(body: bytes) -> bytes:
    """Return a whole HTTP request with *body*."""
    headers = f"Host: {HOST}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"POST /mutate HTTP/1.1\r\n{headers}\r\n".encode() + body


def connect(port: int, *, context: ssl.SSLContext, requests: Iterator[bytes]) -> Connection:
    """Return a connection that has had its first answer, and with it the server's session tickets."""
    plain = socket.create_connection((HOST, port), timeout=TIMEOUT_SECONDS)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection = Connection(context.wrap_socket(plain, server_hostname=HOST), requests)
    connection.send()
    connection.receive()
    return connection


def drive(connections: list[Connection], *, seconds: float) -> dict[str, Any]:
    """Send reviews for *seconds*; return counts, and percentiles in microseconds."""
    selector = selectors.DefaultSelector()
    for connection in connections:
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.send()
    latencies: list[float] = []
    errors = 0
    started = time.perf_counter()
    while time.perf_counter() < started + seconds:
        for key, _ in selector.select(timeout=TIMEOUT_SECONDS):
            errors += not key.data.receive()
            latencies.append(time.perf_counter() - key.data.sent)
            key.data.send()
    percentiles = statistics.quantiles(latencies, n=100)
    return {
        "requests": len(latencies),
        "microseconds": (time.perf_counter() - started) * 1e6,
        "p50": percentiles[49] * 1e6,
        "p99": percentiles[98] * 1e6,
        "errors": errors,
    }


def main() -> None:
    """Read the command line, drive, print."""
    parser = argparse.ArgumentParser(description="Sends admission reviews again and again over TLS.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ca", type=Path, required=True)
    parser.add_argument("--body", type=Path, nargs="+", required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    arguments = parser.parse_args()
    requests = itertools.cycle([request(file.read_bytes()) for file in arguments.body])
    context = ssl.create_default_context(cafile=arguments.ca)
    connections = [connect(arguments.port, context=context, requests=requests) for _ in range(arguments.connections)]
    print(json.dumps(drive(connections, seconds=arguments.seconds)))  # noqa: T201 - who started us reads it


if __name__ == "__main__":
    main()
