"""How fast a large file is sent to a host, beside curl, and in how much memory.

    python -m tests.benchmarks.uploading [--bytes 500000000] [--times 3] [--folder FOLDER]

There are two hosts, each in a process of its own: one that counts the bytes and throws them away, so that it is the
sender who is measured, and the simulator, which reads the form and keeps the file, and takes longer over that than any
sender does. Each round sends the file by curl, by HostedBackend in one piece, and to the simulator by HostedBackend in
parts with their checksum, in turn, each in a fresh process. Told are of the best round: seconds, the ratio to curl, the
client's own processor seconds (which say more where a machine is busy), and its peak memory beyond what it took before
it began; of each host its processor seconds for one round, and its peak memory.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

COUNTING = "tests.benchmarks.counting_host"
SIMULATOR = "finetune_kit.testing.simulator"
NAMES = {"whole": "HostedBackend", "parts": "HostedBackend in parts"}
LINE = b'{"messages": [{"role": "user", "content": "' + b"x" * 800 + b'"}, {"role": "assistant", "content": "yes"}]}\n'

OURS = """
import sys, time
from finetune_kit.backends.hosted import HostedBackend
from finetune_kit.hosts import host_profile
from finetune_kit.uploads import SpooledFile
def peak_mb():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024
path, base_url, key, in_parts, home = sys.argv[1:]
hosts = None
if in_parts == "parts":
    hosts = home + "/hosts.json"
    open(hosts, "w").write('{"openai": {"max_file_bytes": 1000}}')
backend = HostedBackend(api_key=key, base_url=base_url, hosts=hosts, home=home)
with open(path, "rb") as file:
    spooled = SpooledFile.of((line[:-1] for line in file), filename="training.jsonl")
backend.files()
before = peak_mb()
start, busy = time.perf_counter(), time.process_time()
state = backend.upload(spooled)
seconds, busy = time.perf_counter() - start, time.process_time() - busy
assert 0 <= state.size_bytes - spooled.size_bytes < 1000, state  # one host counts what stands around the file too
print(seconds, busy, peak_mb() - before)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bytes", type=int, default=500_000_000)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        path = Path(folder) / "training.jsonl"
        with path.open("wb") as file:
            for _ in range(chosen.bytes // (1000 * len(LINE))):
                file.write(LINE * 1000)
        print(f"{path.stat().st_size:,} bytes; the best of {chosen.times}")
        for host, ways in ((COUNTING, ("whole",)), (SIMULATOR, ("whole", "parts"))):
            measure(path, host=host, ways=ways, times=chosen.times, home=folder)


def measure(path: Path, *, host: str, ways: Sequence[str], times: int, home: str) -> None:
    """Each way of sending in turn, so that the machine's moods meet all of them."""
    size = path.stat().st_size
    found: dict[str, list[tuple[float, float, float]]] = {"curl": [], **{NAMES[way]: [] for way in ways}}
    with subprocess.Popen([sys.executable, "-m", host], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        base_url, key = server.stdout.readline().strip(), server.stdout.readline().strip()
        for _ in range(times):
            found["curl"].append(by_curl(path, base_url, key))
            for way in ways:
                told = subprocess.run(
                    [sys.executable, "-c", OURS, str(path), base_url, key, way, home],
                    check=True,
                    stdout=subprocess.PIPE,
                )
                seconds, busy, memory = map(float, told.stdout.split())
                found[NAMES[way]].append((seconds, busy, memory))
        status = Path(f"/proc/{server.pid}/status").read_text(encoding="utf-8")
        spent = seconds_of(server.pid) / (times * len(found))
        server.terminate()
    floor = min(found["curl"])[0]
    print(f"to {host}")
    for name, rounds in found.items():
        seconds, busy, memory = min(rounds)
        speed, ratio = size / seconds / 1e6, floor / seconds
        print(f"{name:24} {seconds:6.2f} s {speed:6.0f} MB/s {ratio:5.2f} of curl {busy:6.2f} s busy {memory:6.1f} MB")
    peak = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    print(f"{'the host, on average':24} {spent:6.2f} s busy, {int(peak) / 1000:.0f} MB at most")


def seconds_of(pid: int) -> float:
    """Processor seconds of a process that still runs."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def by_curl(path: Path, base_url: str, key: str) -> tuple[float, float, float]:
    """Seconds as curl itself tells them, and those that it was busy."""
    curl = shutil.which("curl")
    assert curl is not None, "curl is not installed"
    before = times_of_children()
    told = subprocess.run(
        [
            *(curl, "--silent", "--show-error", "--fail", "--output", "/dev/null", "--write-out", "%{time_total}"),
            *("--header", f"Authorization: Bearer {key}", "--form", "purpose=fine-tune"),
            *("--form", f"file=@{path};type=application/jsonl", f"{base_url}/files"),
        ],
        check=True,
        stdout=subprocess.PIPE,
    )
    return float(told.stdout), times_of_children() - before, 0.0


def times_of_children() -> float:
    """Processor seconds of all that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
