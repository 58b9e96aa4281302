"""What the simulated host costs: requests in a second, and processor time and memory for many jobs.

    python -m tests.benchmarks.simulating [--jobs 1000] [--requests 1000]

The host runs in a process of its own, sixty times as fast as the clock, with jobs of some eighteen minutes; one client
with one connection creates them, follows them to their ends by list pages, and then asks each question many times.
"""

from __future__ import annotations

import argparse
import http.client
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from tests.testing.simulator.clients import chat_lines

HOST = [sys.executable, "-m", "finetune_kit.testing.simulator", "--speed", "60", "--pace", "lifelike"]
FORM = (
    b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n%b\r\n--b--\r\n'
)


@dataclass(frozen=True)
class Wire:
    """One connection to the host, and a look at its process."""

    connection: http.client.HTTPConnection
    key: str
    process: int

    def ask(self, method: str, path: str, body: bytes | None = None, content_type: str = "application/json") -> Any:
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": content_type}
        self.connection.request(method, f"/v1{path}", body, headers)
        answer = self.connection.getresponse()
        content = answer.read()
        assert answer.status == 200, content
        return orjson.loads(content)

    def busy_seconds(self) -> float:
        """Processor time of the host."""
        fields = Path(f"/proc/{self.process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> float:
        """What the host holds now."""
        status = Path(f"/proc/{self.process}/status").read_text(encoding="utf-8")
        return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--requests", type=int, default=1000)
    chosen = parser.parse_args()
    with subprocess.Popen(HOST, stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout is not None
        address, key = urlsplit(host.stdout.readline().strip()), host.stdout.readline().strip()
        connection = http.client.HTTPConnection(address.hostname or "", address.port)
        try:
            measure(Wire(connection, key, host.pid), jobs=chosen.jobs, requests=chosen.requests)
        finally:
            connection.close()
            host.terminate()


def measure(wire: Wire, *, jobs: int, requests: int) -> None:
    """Create, follow, ask."""
    file = wire.ask("POST", "/files", FORM % chat_lines(), "multipart/form-data; boundary=b")
    time.sleep(0.1)  # six seconds at the host, which processes the file
    memory, busy, start = wire.memory_mb(), wire.busy_seconds(), time.perf_counter()
    body = {"model": "gpt-4.1", "training_file": file["id"]}
    ids = [
        wire.ask("POST", "/fine_tuning/jobs", orjson.dumps({**body, "metadata": {"token": str(n)}}))["id"]
        for n in range(jobs)
    ]
    tell("create", jobs, wire.busy_seconds() - busy, time.perf_counter() - start)
    busy, start, pages = wire.busy_seconds(), time.perf_counter(), 0
    while True:
        statuses, asked = all_statuses(wire)
        pages += asked
        if set(statuses) == {"succeeded"}:
            break
        time.sleep(0.5)
    events = sum(len(wire.ask("GET", f"/fine_tuning/jobs/{one}/events?limit=100")["data"]) for one in ids)
    used, passed = wire.busy_seconds() - busy, time.perf_counter() - start
    print(f"{jobs} jobs to their ends: {pages} pages of 100, {events:,} events, {used:.2f} s busy in {passed:.1f} s")
    print(f"memory for them: {wire.memory_mb() - memory:.0f} MB above {memory:.0f}")
    for name, path in {
        "one job": f"/fine_tuning/jobs/{ids[jobs // 2]}",
        "a page of 100 jobs": "/fine_tuning/jobs?limit=100",
        "a job by its metadata": "/fine_tuning/jobs?metadata%5Btoken%5D=0",
        "a page of 100 events": f"/fine_tuning/jobs/{ids[0]}/events?limit=100",
    }.items():
        busy, start = wire.busy_seconds(), time.perf_counter()
        for _ in range(requests):
            wire.ask("GET", path)
        tell(name, requests, wire.busy_seconds() - busy, time.perf_counter() - start)


def all_statuses(wire: Wire) -> tuple[list[str], int]:
    """The statuses of all jobs, and how many pages that took."""
    statuses: list[str] = []
    after, pages = "", 0
    while True:
        page = wire.ask("GET", f"/fine_tuning/jobs?limit=100{after}")
        pages += 1
        statuses += [job["status"] for job in page["data"]]
        if not page["has_more"]:
            return statuses, pages
        after = f"&after={page['data'][-1]['id']}"


def tell(name: str, count: int, busy: float, passed: float) -> None:
    print(f"{name:22} {count / passed:6.0f} a second, {busy / count * 1e6:5.0f} µs busy each")


if __name__ == "__main__":
    main()
