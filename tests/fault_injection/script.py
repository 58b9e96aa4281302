"""The script of a user, who runs it again whenever it has died or failed; it lists the events that it has seen."""

from __future__ import annotations

import gc
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from finetune_kit import Dataset, HostedBackend, Split
from finetune_kit._clock import FastClock
from finetune_kit.backends.hosted import asking
from finetune_kit.following import OnNotice

ANSWER_SECONDS = 0.3
"""How long an answer is waited for: on this machine, a host that answers at all is faster."""


TODAY = datetime(2026, 11, 22, 12, tzinfo=UTC)
"""When all hosts still train the models that are named here."""


def fast(factor: float) -> FastClock:
    """A clock that begins at `TODAY`."""
    clock = FastClock(factor)
    clock._wall = TODAY.timestamp()
    return clock


@dataclass(frozen=True)
class Outcome:
    """What the script was after."""

    job_id: str
    model: str
    steps: int


@cache
def rows() -> Split:
    asked = [(f"Where is parcel {number}?", "track") for number in range(10)]
    asked += [(f"I want the money for order {number} back", "refund") for number in range(10)]
    split = Dataset.from_records(asked).to_chat().split(0.8)
    gc.collect()
    gc.freeze()  # all that is loaded by now: after each death, only what the dead left has to be looked at
    return split


def run(
    *,
    base_url: str,
    key: str,
    host: str,
    model: str,
    seen: Path,
    by_cursor: bool,
    on_notice: OnNotice | None = None,
) -> Outcome:
    """Train, listen from behind the last event or, where the host mixes them up, for any new one; fetch the results."""
    backend = HostedBackend(api_key=key, base_url=base_url, host=host)  # the dead close nothing
    job = rows().train(model, backend=backend, n_epochs=2, suffix="parcels")
    told = seen.read_text().split() if seen.exists() else []
    for event in job.follow(after=told[-1] if told and by_cursor else None, on_notice=on_notice):
        if not by_cursor and event.id in told:
            continue
        with seen.open("a") as out:
            out.write(f"{event.id}\n")
    job.wait(on_notice=on_notice)
    results = job.results()
    backend.close()
    return Outcome(job_id=job.id, model=job.state.fine_tuned_model or "", steps=len(results.metrics))


def impatient(patch: pytest.MonkeyPatch) -> None:
    """Wait for no answer longer than `ANSWER_SECONDS` of this machine's time."""
    patient = asking.arguments_of

    def arguments_of(*asked: Any) -> dict[str, Any]:
        arguments = patient(*asked)
        arguments["options"]["timeout"] = ANSWER_SECONDS
        return arguments

    patch.setattr(asking, "arguments_of", arguments_of)


def written(outcome: Outcome, path: Path) -> None:
    path.write_text(json.dumps(asdict(outcome)))


def read(path: Path) -> Outcome | None:
    return Outcome(**json.loads(path.read_text())) if path.exists() else None
