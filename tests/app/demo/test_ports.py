import socket

from app.demo.ports import reserved


def test_ports_are_different_and_two_demos_never_get_the_same() -> None:
    with reserved(200) as ours, reserved(200) as theirs:
        assert len({*ours, *theirs}) == 400


def test_a_server_can_listen_on_a_reserved_port_and_keeps_it() -> None:
    with reserved(1) as (port,):
        server = socket.create_server(("127.0.0.1", port))

    with server, socket.create_connection(("127.0.0.1", port), timeout=5):
        connection, _ = server.accept()
        connection.close()
