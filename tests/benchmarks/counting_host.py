"""A host that counts the bytes of what it is sent and throws them away: `python -m tests.benchmarks.counting_host`.

It prints its address and a key, takes one connection at a time, and answers as if it had stored a file each time.
"""

from __future__ import annotations

import json
import re
import socket

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_BUFFER_BYTES = 1 << 20


def main() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listening.getsockname()[1]}/v1", "any-key-0123456789", sep="\n", flush=True)
    buffer = bytearray(_BUFFER_BYTES)
    while True:
        connection, _ = listening.accept()
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while answered(connection, buffer):
                pass


def answered(connection: socket.socket, buffer: bytearray) -> bool:
    """One request; False where there is none any more."""
    head = b""
    while b"\r\n\r\n" not in head:
        data = connection.recv(1 << 16)
        if not data:
            return False
        head += data
    head, _, body = head.partition(b"\r\n\r\n")
    found = _LENGTH.search(head)
    size, got = 0 if found is None else int(found[1]), len(body)
    if b"100-continue" in head:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    while got < size:
        received = connection.recv_into(buffer)
        if not received:
            return False
        got += received
    told = {"id": "file-1", "object": "file", "bytes": size, "created_at": 1, "filename": "f", "purpose": "fine-tune"}
    answer = json.dumps({**told, "status": "processed", "data": []}).encode()
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
    connection.sendall(b"Content-Length: %d\r\n\r\n%b" % (len(answer), answer))
    return True


if __name__ == "__main__":
    main()
