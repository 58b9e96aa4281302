"""The log of a job at DashScope, line by line: its events, and what was measured."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from finetune_kit.backends.hosted.dialects.measured import STEP
from finetune_kit.backends.hosted.objects.values import count
from finetune_kit.backends.hosted.texts import told
from finetune_kit.backends.protocol import Event
from finetune_kit.records import JsonValue

_STEPS_BETWEEN = 5
"""Between two lines with what was measured, by the host's documentation."""
_MOST = 4000
_STAMPED = re.compile(r"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)(?:[.,]\d+)? - (\w+) - (.*)", re.DOTALL)
_NUMBER = re.compile(r"['\"]([\w/ .-]{1,60})['\"]: ?['\"]?(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?=[,}'\"/ ])")
_STEPS = ("step", "global_step", "global_step/max_steps", "current_steps")
_LEVELS = {"warning": "warn", "critical": "error", "fatal": "error"}
_WHOLE_RUN = "train_runtime"
_MEASURED = ("loss", "eval_loss")
_LATEST = 1 << 36


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a log, and the time there: lines without a time of their own have that of the line before."""

    job_id: str
    line: int
    """From 0."""
    seconds: int

    @property
    def id(self) -> str:
        """As an event's."""
        return f"{self.job_id}:{self.line}:{self.seconds}"

    @classmethod
    def of(cls, event_id: str | None, job_id: str) -> Cursor | None:
        """Behind an event; None where it is none of this log's."""
        name, *numbers = (event_id or "").rsplit(":", 2)
        if name != job_id or len(numbers) != 2 or not all(one.isascii() and one.isdecimal() for one in numbers):
            return None
        line, seconds = map(int, numbers)
        return cls(job_id, line + 1, seconds) if seconds < _LATEST else None


def events_of(lines: Sequence[JsonValue], at: Cursor, zone: tzinfo) -> list[Event]:
    """One for each line; times never go back."""
    found: list[Event] = []
    seconds = at.seconds
    for number, line in enumerate(lines, at.line):
        text = _text(line)
        stamped = _STAMPED.fullmatch(text)
        level, message = "info", text
        if stamped is not None:
            level, message = stamped[2].casefold(), stamped[3]
            seconds = max(seconds, _seconds(stamped[1], zone))
        numbers = _numbers(text)
        step = _step(numbers)
        found.append(
            Event(
                id=Cursor(at.job_id, number, seconds).id,
                created_at=datetime.fromtimestamp(seconds, UTC),
                level=_LEVELS.get(level, level),
                message=told(message, limit=_MOST),
                type="message" if step is None else "metrics",
                data={**numbers, **({} if step is None else {STEP: step})},
            )
        )
    return found


def measured_in(lines: Sequence[JsonValue], *, steps_between: int | None) -> list[Mapping[str, float]]:
    """What lines with a loss tell; where they name no step, each stands for so many steps more."""
    found: list[Mapping[str, float]] = []
    last = 0
    for line in lines:
        numbers = _numbers(_text(line))
        if _WHOLE_RUN in numbers or not any(key in numbers for key in _MEASURED):
            continue
        step = _step(numbers)
        if step is None:
            step = last + (steps_between or _STEPS_BETWEEN) if "loss" in numbers else last
        last = step
        found.append({STEP: step, **{key: value for key, value in numbers.items() if key not in _STEPS}})
    return found


def _text(line: JsonValue) -> str:
    return (line if isinstance(line, str) else json.dumps(line, ensure_ascii=False))[:_MOST].strip()


def _numbers(text: str) -> dict[str, float]:
    """Of a line that is a mapping, as Python writes it: names and numbers, whatever else stands there."""
    if not (text.startswith("{") and text.endswith("}")):
        return {}
    return {name: float(value) for name, value in _NUMBER.findall(text)}


def _step(numbers: Mapping[str, float]) -> int | None:
    return next((step for key in _STEPS if (step := count(numbers.get(key))) is not None), None)


def _seconds(text: str, zone: tzinfo) -> int:
    try:
        return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp())
    except (ValueError, OverflowError):
        return 0
