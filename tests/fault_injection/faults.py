"""What can go wrong at the host, drawn by a seed."""

from __future__ import annotations

from random import Random

from finetune_kit.testing import Fault
from finetune_kit.testing.simulator.faults import Kind

CREATE, SEND = "POST /fine_tuning/jobs", "POST /files"
READS = (
    "GET /fine_tuning/jobs",
    "GET /fine_tuning/jobs/*",
    "GET /fine_tuning/jobs/*/events",
    "GET /files",
    "GET /files/*",
    "GET /files/*/content",
    "GET /models",
    "GET /fine_tuning/model_limits",
)
RETRY_AFTER = (None, "0", "1", "30", "600", "7200", "Sat, 21 Oct 2017 07:28:00 GMT", "soon", "-5", "nan")
SETTLING_SECONDS = 45.0
"""A host that shows a job later than that is beyond what `finetune_kit.launching` promises to wait."""


def drawn(random: Random) -> tuple[Fault, ...]:
    """None to five, most of them where a lost answer costs money."""
    draw = (_creation, _creation, _creation, _sending, _reading, _reading, _anywhere, _strange)
    return tuple(random.choice(draw)(random) for _ in range(random.choice((0, 1, 1, 2, 2, 3, 3, 4, 5))))


def _creation(random: Random) -> Fault:
    return _changing(random, CREATE)


def _sending(random: Random) -> Fault:
    if random.random() < 0.3:
        return Fault("cut_upload", SEND, nth=random.choice((1, 2)), after_bytes=random.choice((0, 1, 500)))
    return _changing(random, SEND)


def _changing(random: Random, on: str) -> Fault:
    nth, times, reached = random.choice((1, 1, 1, 2)), random.choice((1, 1, 1, 2)), random.random() < 0.6
    match random.randrange(11):
        case 0 | 1:
            status = random.choice((408, 409, 500, 502, 503, 504, 529))
            return Fault("error", on, nth=nth, times=times, status=status, takes_effect=reached)
        case 2:
            return Fault("no_answer", on, nth=nth, takes_effect=reached)
        case 3:
            return Fault("cut", on, nth=nth, times=times, takes_effect=reached)
        case 4:
            return Fault("cut_answer", on, nth=nth, times=times)
        case 5:
            return Fault(random.choice(("html", "half_json", "array")), on, nth=nth, times=times)
        case 6:
            return Fault("change", on, nth=nth, without=("id",))
        case 7:
            return Fault("rate_limit", on, nth=nth, times=random.choice((1, 2, 5)), retry_after=_retry_after(random))
        case 8:
            return Fault("slow", on, nth=nth, seconds=0.02)
        case 9:
            return Fault(random.choice(("quota", "wrong_key", "training_not_available")), on, nth=nth)
        case _:
            return Fault("late_listing", CREATE, nth=1, times=None, seconds=random.uniform(1, SETTLING_SECONDS))


def _reading(random: Random) -> Fault:
    on, nth, times = random.choice(READS), random.randint(1, 4), random.choice((1, 1, 2, 3, 10))
    match random.randrange(8):
        case 0:
            return Fault("error", on, nth=nth, times=times, status=random.choice((408, 429, 500, 502, 503, 504)))
        case 1:
            return Fault("rate_limit", on, nth=nth, times=times, retry_after=_retry_after(random))
        case 2:
            return Fault(random.choice(("html", "half_json", "array")), on, nth=nth, times=times)
        case 3:
            return Fault(random.choice(("cut", "cut_answer")), on, nth=nth, times=times)
        case 4:
            return Fault("no_answer", on, nth=nth)
        case 5:
            lists = random.choice(("GET /fine_tuning/jobs", "GET /fine_tuning/jobs/*/events", "GET /files"))
            return Fault(random.choice(("repeat_items", "shuffle_items")), lists, nth=nth, times=None)
        case 6:
            return Fault(random.choice(("quota", "wrong_key")), on, nth=nth, times=times)
        case _:
            return Fault("slow", on, nth=nth, seconds=0.02)


def _anywhere(random: Random) -> Fault:
    kinds: tuple[Kind, ...] = ("error", "rate_limit", "html", "half_json", "cut", "cut_answer")
    kind = random.choice(kinds)
    return Fault(kind, "* **", times=None, probability=random.choice((0.02, 0.1, 0.25)), status=503, takes_effect=None)


def _strange(random: Random) -> Fault:
    match random.randrange(5):
        case 0:
            return Fault("clock_skew", "* **", nth=random.randint(1, 20), seconds=random.choice((-600, -60, 60, 3000)))
        case 1:
            return Fault("stuck", CREATE, times=None, at=random.choice(("validating_files", "queued", "running")))
        case 2:
            word = random.choice(("initializing", "", "RUNNING", "moderation", "succeeded?"))
            return Fault("change", "GET /fine_tuning/jobs/*", nth=2, times=2, fields={"status": word})
        case 3:
            return Fault("change", "GET /fine_tuning/jobs/*", nth=2, times=2, fields={"error": {}, "model": None})
        case _:
            return Fault("damage_content", "GET /files/*/content")


def _retry_after(random: Random) -> str | None:
    return random.choice(RETRY_AFTER)
