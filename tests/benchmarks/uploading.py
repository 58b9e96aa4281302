"""How fast a large file is sent to a host, beside curl, and in how much memory.

    python -m tests.benchmarks.uploading [--bytes 500000000] [--times 3] [--folder FOLDER]

The host is the simulator in a process of its own. Each round sends the file by curl, by HostedBackend in one piece, and
by HostedBackend in parts with their checksum, in turn, each in a fresh process. Told are of the best round: seconds,
the ratio to curl, the client's own processor seconds (which say more where a machine is busy), and its peak memory
beyond what it took before it began; last the peak memory of the host.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HOST = [sys.executable, "-m", "finetune_kit.testing.simulator"]
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
assert state.size_bytes == spooled.size_bytes, state
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
        measure(path, times=chosen.times, home=folder)


def measure(path: Path, *, times: int, home: str) -> None:
    """Each way of sending in turn, so that the machine's moods meet all of them."""
    size = path.stat().st_size
    found: dict[str, list[tuple[float, float, float]]] = {"curl": [], "HostedBackend": [], "HostedBackend in parts": []}
    with subprocess.Popen(HOST, stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout is not None
        base_url, key = host.stdout.readline().strip(), host.stdout.readline().strip()
        for _ in range(times):
            found["curl"].append(by_curl(path, base_url, key))
            for name, way in (("HostedBackend", "whole"), ("HostedBackend in parts", "parts")):
                told = subprocess.run(
                    [sys.executable, "-c", OURS, str(path), base_url, key, way, home],
                    check=True,
                    stdout=subprocess.PIPE,
                )
                seconds, busy, memory = map(float, told.stdout.split())
                found[name].append((seconds, busy, memory))
        status = Path(f"/proc/{host.pid}/status").read_text(encoding="utf-8")
        host.terminate()
    floor = min(found["curl"])[0]
    print(f"{size:,} bytes; the best of {times}")
    for name, rounds in found.items():
        seconds, busy, memory = min(rounds)
        speed, ratio = size / seconds / 1e6, floor / seconds
        print(f"{name:24} {seconds:6.2f} s {speed:6.0f} MB/s {ratio:5.2f} of curl {busy:6.2f} s busy {memory:6.1f} MB")
    print("the host:", *(line.replace("\t", " ") for line in status.splitlines() if line.startswith("VmHWM")))


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
