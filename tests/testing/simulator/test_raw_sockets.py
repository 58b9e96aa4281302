"""What is on the wire, byte by byte, where a client would hide it."""

from __future__ import annotations

import contextlib
import logging
import socket
import time
from collections.abc import Generator
from urllib.parse import urlsplit

import pytest

from finetune_kit.testing import Fault, HostSimulator


@contextlib.contextmanager
def connected(host: HostSimulator) -> Generator[socket.socket]:
    address = urlsplit(host.base_url)
    with socket.create_connection((address.hostname, address.port or 0), timeout=10) as wire:
        yield wire


def all_of(wire: socket.socket) -> bytes:
    """Everything until the host closes the connection."""
    found = b""
    try:
        while chunk := wire.recv(65_536):
            found += chunk
    except ConnectionResetError:
        pass
    return found


def request(host: HostSimulator, line: str, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"{line} HTTP/1.1", "Host: simulator", f"Authorization: Bearer {host.api_key}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def upload_head(host: HostSimulator, *, size: int) -> bytes:
    return request(host, "POST /v1/files", f"Content-Length: {size}", "Content-Type: multipart/form-data; boundary=b")


def test_a_cut_connection_brings_not_one_byte(host: HostSimulator) -> None:
    host.faults.add(Fault("cut", "GET /models"))
    with connected(host) as wire:
        wire.sendall(request(host, "GET /v1/models"))
        assert all_of(wire) == b""
    assert host.requests[-1].status is None


def test_an_upload_is_cut_after_so_many_bytes(host: HostSimulator) -> None:
    host.faults.add(Fault("cut_upload", "POST /files", after_bytes=100_000))
    with connected(host) as wire:
        wire.sendall(upload_head(host, size=10_000_000))
        sent = 0
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            while sent < 10_000_000:
                sent += wire.send(b"x" * 10_000)
    assert sent < 10_000_000
    assert host.files == []


def test_half_an_answer_stands_below_a_header_that_promises_all(host: HostSimulator) -> None:
    host.faults.add(Fault("cut_answer", "GET /models"))
    with connected(host) as wire:
        wire.sendall(request(host, "GET /v1/models"))
        head, _, body = all_of(wire).partition(b"\r\n\r\n")
    promised = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length"))
    assert len(body) == promised // 2


def test_a_client_that_goes_away_in_the_middle_of_its_upload_leaves_nothing(host: HostSimulator) -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n' + b"x" * 50_000
    with connected(host) as wire:
        wire.sendall(upload_head(host, size=1_000_000) + part)
    with connected(host) as wire:  # and the host goes on
        wire.sendall(request(host, "GET /v1/files", "Connection: close"))
        assert b'"data":[]' in all_of(wire)


def test_a_client_that_goes_away_while_it_waits_is_no_trouble(host: HostSimulator) -> None:
    host.faults.add(Fault("no_answer", "GET /models"))
    with connected(host) as wire:
        wire.sendall(request(host, "GET /v1/models"))
    with connected(host) as wire:
        wire.sendall(request(host, "GET /v1/models", "Connection: close"))
        assert all_of(wire).startswith(b"HTTP/1.1 200")


def test_stopping_cuts_those_who_wait() -> None:
    with HostSimulator(faults=[Fault("no_answer", "GET /models")]) as host, connected(host) as wire:
        wire.sendall(request(host, "GET /v1/models"))
        while not host.requests:
            time.sleep(0.001)
        host.stop()
        assert all_of(wire) == b""


def test_the_date_is_the_host_s_own(host: HostSimulator) -> None:
    host.faults.add(Fault("clock_skew", "GET /models", seconds=-20 * 365 * 86_400))
    with connected(host) as wire:
        wire.sendall(request(host, "GET /v1/models", "Connection: close"))
        head = all_of(wire).partition(b"\r\n\r\n")[0].decode()
    [date] = [line for line in head.split("\r\n") if line.startswith("date:")]
    assert int(date.split()[4]) < 2020


def test_nonsense_is_answered_by_400_and_does_no_harm(host: HostSimulator) -> None:
    with connected(host) as wire:
        wire.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert all_of(wire).startswith(b"HTTP/1.1 400")
    with connected(host) as wire:
        wire.sendall(request(host, "GET /v1/models", "Connection: close"))
        assert all_of(wire).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("path", ["/v1/files", "/v1/nothing"])
@pytest.mark.parametrize(
    ("first", "then"),
    [
        (b"zz\r\nabc\r\n", b""),
        (b"3\r\nabc\r\n", b"zz\r\n"),
        (b"5\r\nab", b"cdeXX"),
        (b"-1\r\n", b""),
        (b"9" * 40 + b"\r\n", b""),
    ],
)
def test_a_body_whose_chunks_are_none_shows_nothing_on_the_terminal(
    host: HostSimulator, caplog: pytest.LogCaptureFixture, path: str, first: bytes, then: bytes
) -> None:
    """Before the answer and after it: what is wrong is told to the client, and nobody else."""
    chunked = "Transfer-Encoding: chunked", "Content-Type: multipart/form-data; boundary=b"
    with connected(host) as wire:
        wire.sendall(request(host, f"POST {path}", *chunked, body=first))
        if then:
            while not host.requests or (path == "/v1/nothing" and host.requests[-1].status is None):
                time.sleep(0.001)
            with contextlib.suppress(ConnectionError):
                wire.sendall(then)
        assert all_of(wire)[:12] in {b"HTTP/1.1 400", b"HTTP/1.1 404"}
    with connected(host) as wire:  # and the host goes on
        wire.sendall(request(host, "GET /v1/models", "Connection: close"))
        assert all_of(wire).startswith(b"HTTP/1.1 200")
    host.stop()
    assert caplog.text == "", "which is what a terminal shows where nobody has set up logging"


def test_a_fault_of_the_simulator_itself_is_still_shown() -> None:
    assert logging.getLogger("uvicorn.error.finetune_kit").isEnabledFor(logging.ERROR)
