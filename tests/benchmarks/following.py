"""What it costs to follow a thousand jobs on a host, and whether each of their events is told once.

    python -m tests.benchmarks.following [--jobs 1000] [--factor 20] [--requests-per-minute 60]

A `HostSimulator` runs in a process of its own, a follower in another one; in both, time runs FACTOR times as fast. The
follower's processor time and peak memory are taken after ten minutes of that time, then it goes on until all jobs have
ended. The host's log says how many requests came in the busiest minute, the host's events what should have been told.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import openai

from finetune_kit._clock import FastClock, clock, using
from finetune_kit.backends import Event, HostedBackend
from finetune_kit.following import StateChange
from finetune_kit.job import FineTuneJob
from finetune_kit.testing.simulator import HostSimulator, Pace
from finetune_kit.together import follow

KEY = "sk-simulator-key-of-a-benchmark"
MODEL = "model-of-a-benchmark"
MINUTES = 10
PACE = Pace(validating_seconds=120, queued_seconds=300, running_seconds=1200)
ROW = {"messages": [{"role": "user", "content": "Where is it?"}, {"role": "assistant", "content": "track"}]}


def host(factor: float) -> None:
    """The host's process: serves until its standard input ends, then prints when each request came."""
    with using(FastClock(factor)), HostSimulator(host="nebius", models=[MODEL], key=KEY, pace=PACE) as simulator:
        print(simulator.base_url, flush=True)
        sys.stdin.readline()
        simulator.requests.clear()
        print("clear", flush=True)
        sys.stdin.readline()
        print(json.dumps([(request.at, request.route) for request in simulator.requests]), flush=True)
        sys.stdin.readline()


def follower(base_url: str, hosts: str, ids: str, out: str, factor: float) -> None:
    """The follower's process: writes each event it is told, and prints what it used in the first ten minutes."""
    backend = HostedBackend(api_key=KEY, base_url=base_url, host="nebius", hosts=hosts)
    with using(FastClock(factor)), Path(out).open("w", encoding="utf-8") as told:
        jobs = [FineTuneJob(state, backend) for state in backend.jobs()]
        assert {job.id for job in jobs} == set(Path(ids).read_text(encoding="utf-8").split())
        begun, cpu = clock().monotonic(), cpu_seconds()
        used: dict[str, float] = {}
        events = ended = 0
        for job, news in follow(jobs):
            if isinstance(news, Event):
                events += 1
                told.write(f"{job.id} {news.id}\n")
            elif isinstance(news, StateChange):
                ended += news.ended
            passed = clock().monotonic() - begun
            if not used and passed >= 60 * MINUTES:
                used = {
                    "cpu_seconds": cpu_seconds() - cpu,
                    "seconds": passed,
                    "peak_mb": peak_mb(),
                    "events": events,
                    "ended": ended,
                }
        used |= {"all_seconds": clock().monotonic() - begun, "all_cpu_seconds": cpu_seconds() - cpu}
        used |= {"all_peak_mb": peak_mb(), "all_events": events, "all_ended": ended}
    print(json.dumps(used))


def cpu_seconds() -> float:
    """Of this process and its threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak_mb() -> float:
    """Of this process, its interpreter and modules included."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def started(client: openai.OpenAI, number: int) -> list[str]:
    """Jobs like any others, asked for one by one."""
    lines = "\n".join(json.dumps(ROW) for _ in range(10)).encode()
    file = client.files.create(file=("training.jsonl", lines, "application/jsonl"), purpose="fine-tune")
    return [
        client.fine_tuning.jobs.create(
            model=MODEL, training_file=file.id, hyperparameters={"n_epochs": 3, "batch_size": 1}
        ).id
        for _ in range(number)
    ]


def busiest(times: list[float], seconds: float = 60.0) -> int:
    """The most requests in any such stretch of time."""
    first = most = 0
    for place, at in enumerate(times):
        while at - times[first] >= seconds:
            first += 1
        most = max(most, place - first + 1)
    return most


def main(number: int, factor: float, requests_per_minute: int) -> None:
    """Run both processes and compare."""
    module = [sys.executable, "-m", "tests.benchmarks.following"]
    with tempfile.TemporaryDirectory() as folder:
        hosts, ids, out = (Path(folder) / name for name in ("hosts.json", "ids", "told"))
        hosts.write_text(json.dumps({"nebius": {"requests_per_minute": requests_per_minute}}), encoding="utf-8")
        server = subprocess.Popen(
            [*module, "--host", "--factor", str(factor)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert server.stdin is not None
        assert server.stdout is not None
        base_url = server.stdout.readline().strip()
        client = openai.OpenAI(api_key=KEY, base_url=base_url, max_retries=0)
        jobs = started(client, number)
        ids.write_text("\n".join(jobs), encoding="utf-8")
        server.stdin.write("clear\n")
        server.stdin.flush()
        server.stdout.readline()
        begun = time.monotonic()
        names = [base_url, str(hosts), str(ids), str(out)]
        run = subprocess.run(
            [*module, "--factor", str(factor), "--follow", *names], capture_output=True, text=True, check=True
        )
        real = time.monotonic() - begun
        server.stdin.write("log\n")
        server.stdin.flush()
        log: list[tuple[float, str]] = json.loads(server.stdout.readline())
        told = Counter(out.read_text(encoding="utf-8").splitlines())
        there = {
            f"{job_id} {event.id}"
            for job_id in jobs
            for event in client.fine_tuning.jobs.list_events(job_id, limit=100)
        }
        server.stdin.close()
        server.wait()
    used: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
    listing = sum(route == "GET /fine_tuning/jobs" for _, route in log)
    pages = -(-number // 100)
    print(f"{number} jobs, {requests_per_minute} requests a minute, time {factor:g} times as fast, {real:.0f} s in all")
    print(
        f"first {used['seconds'] / 60:.1f} minutes: {used['cpu_seconds']:.2f} s of processor time, "
        f"{100 * used['cpu_seconds'] / used['seconds']:.2f} % of a core; peak memory {used['peak_mb']:.0f} MB; "
        f"{used['events']:.0f} events, {used['ended']:.0f} ends"
    )
    print(
        f"to the end, {used['all_seconds'] / 60:.1f} minutes: {used['all_cpu_seconds']:.2f} s, peak memory "
        f"{used['all_peak_mb']:.0f} MB, {used['all_events']:.0f} events, {used['all_ended']:.0f} ends"
    )
    print(
        f"requests: {len(log)}, of which {listing - pages} for lists; busiest minute "
        f"{busiest([at for at, _ in log[pages:]])}"
    )
    missed, repeated = there - set(told), [event for event, times in told.items() if times > 1]
    made_up = len(set(told) - there)
    print(f"events at the host: {len(there)}; missed {len(missed)}, repeated {len(repeated)}, made up {made_up}")
    assert not missed
    assert not repeated
    assert set(told) == there
    assert used["all_ended"] == number


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--factor", type=float, default=20)
    parser.add_argument("--requests-per-minute", type=int, default=60)
    parser.add_argument("--host", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--follow", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.host:
        host(options.factor)
    elif options.follow:
        base_url, hosts, ids, out = options.follow
        follower(base_url, hosts, ids, out, options.factor)
    else:
        main(options.jobs, options.factor, options.requests_per_minute)
