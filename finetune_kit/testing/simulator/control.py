"""Steering a simulated host from another process, over HTTP: `/_simulator`, under the same key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from functools import partial
from typing import cast

from pydantic import TypeAdapter, ValidationError

from finetune_kit.errors import FinetuneKitError, JobNotFoundError
from finetune_kit.records import JsonValue
from finetune_kit.testing.simulator import checking
from finetune_kit.testing.simulator.faults import Fault, FaultScript
from finetune_kit.testing.simulator.gate import CONTROL
from finetune_kit.testing.simulator.log import RequestLog
from finetune_kit.testing.simulator.refusals import Refusal
from finetune_kit.testing.simulator.steering import Steering
from finetune_kit.testing.simulator.wire import Call, Handler, JsonObject, Reply, json_answer

_JOB = f"{CONTROL}/jobs/{{job_id}}"
_FAULT = TypeAdapter(Fault)
_KNOWN = frozenset(one.name for one in fields(Fault))


class ControlRoutes:
    """`/_simulator`."""

    def __init__(self, steering: Steering, faults: FaultScript, log: RequestLog) -> None:
        self._steering, self._faults, self._log = steering, faults, log

    def handlers(self) -> Mapping[tuple[str, str], Handler]:
        """Each by its method and path."""
        return {
            ("GET", f"{CONTROL}/state"): self.state,
            ("GET", f"{CONTROL}/requests"): self.requests,
            ("GET", f"{CONTROL}/faults"): self.list_faults,
            ("POST", f"{CONTROL}/faults"): self.add_faults,
            ("DELETE", f"{CONTROL}/faults"): self.clear_faults,
            ("POST", f"{CONTROL}/settings"): self.change,
            ("POST", f"{_JOB}/advance"): self.advance,
            ("POST", f"{_JOB}/finish"): self.finish,
            ("POST", f"{_JOB}/fail"): self.fail,
        }

    async def state(self, call: Call) -> Reply:  # noqa: ARG002 - it has no parameters
        """What is there, hidden jobs included, and how often what was asked."""
        book = self._steering.book
        desk = book.desk
        with desk.lock:
            now = desk.now()
            counts: JsonObject = dict(self._log.counts)
            told: JsonObject = {
                "now": now,
                "clock_skew_seconds": desk.skew_seconds,
                "counts": counts,
                "jobs": [job.as_json() for job in book.all()],
                "files": [file.as_json(now) for file in desk.files.all(now)],
            }
        return json_answer(told)

    async def requests(self, call: Call) -> Reply:
        """What was asked, from behind the first `skip` requests."""
        skip = call.query.get("skip", "0")
        if not skip.isdecimal():
            raise Refusal.invalid("Invalid 'skip': expected a number of requests.", param="skip")
        told = [cast("JsonObject", asdict(one)) for one in list(self._log)[int(skip) :]]
        return json_answer({"data": [{**one, "faults": list(cast("list[str]", one["faults"]))} for one in told]})

    async def list_faults(self, call: Call) -> Reply:  # noqa: ARG002 - it has no parameters
        """Those that may still hit."""
        return json_answer({"data": [cast("JsonObject", asdict(fault)) for fault in self._faults.pending]})

    async def add_faults(self, call: Call) -> Reply:
        """One fault, or `{"faults": [...]}`."""
        body = await call.json()
        given = body.get("faults", [body])
        if not isinstance(given, list):
            raise checking.wrong_type("faults", "an array", given)
        faults = [fault_of(checking.mapping(one, param="faults")) for one in given]
        self._faults.add(*faults)
        return json_answer({"added": len(faults)})

    async def clear_faults(self, call: Call) -> Reply:  # noqa: ARG002 - it has no parameters
        """Forget all of them."""
        self._faults.clear()
        return json_answer({"cleared": True})

    async def change(self, call: Call) -> Reply:
        """Settings of the whole host, each by its name."""
        body = await call.json()
        for name, value in body.items():
            if name not in _SETTINGS:
                raise Refusal.invalid(f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")
            _steered(partial(_SETTINGS[name], self._steering, value))
        return json_answer({"changed": list(body)})

    async def advance(self, call: Call) -> Reply:
        """One status further."""
        return json_answer({"status": _steered(lambda: self._steering.advance(call.names["job_id"]))})

    async def finish(self, call: Call) -> Reply:
        """To the end."""
        job_id = call.names["job_id"]
        status = await asyncio.to_thread(_steered, lambda: self._steering.finish(job_id))
        return json_answer({"status": status})

    async def fail(self, call: Call) -> Reply:
        """To a bad end."""
        body = await call.json()
        message = checking.text(body, "message") or "The job failed."
        code = checking.text(body, "code") or "server_error"
        _steered(lambda: self._steering.fail(call.names["job_id"], message, code=code))
        return json_answer({"status": "failed"})


def fault_of(given: JsonObject) -> Fault:
    """A fault from its fields, or a `Refusal` that names the wrong one."""
    unknown = [name for name in given if name not in _KNOWN]
    if unknown:
        raise Refusal.invalid(f"a fault has no field '{unknown[0]}'.", param=unknown[0], code="unknown_parameter")
    try:
        return _FAULT.validate_python(given)
    except ValidationError as error:
        first = error.errors()[0]
        raise Refusal.invalid(f"fault: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except FinetuneKitError as error:
        raise Refusal.invalid(str(error)) from None


def _steered(work: Callable[[], str | None]) -> str | None:
    try:
        return work()
    except JobNotFoundError as error:
        raise Refusal(404, str(error)) from None
    except FinetuneKitError as error:
        raise Refusal.invalid(str(error)) from None


def _skew(steering: Steering, value: JsonValue) -> None:
    steering.book.desk.skew_seconds = checking.number(value, param="clock_skew_seconds", above=-1e12)


def _pass(steering: Steering, value: JsonValue) -> None:
    steering.pass_time(checking.number(value, param="pass_seconds", above=0))


def _allow(steering: Steering, value: JsonValue) -> None:
    steering.book.training_allowed = bool(value)


def _most_pending(steering: Steering, value: JsonValue) -> None:
    most = None if value is None else checking.integer(value, param="max_pending_jobs", least=0, most=10**9)
    steering.book.max_pending_jobs = most


def _close(steering: Steering, value: JsonValue) -> None:
    steering.close_to_training(str(value))


def _deploy(steering: Steering, value: JsonValue) -> None:
    for name, model in checking.mapping(value, param="deployments").items():
        steering.deploy(str(model), name=name)


_SETTINGS: Mapping[str, Callable[[Steering, JsonValue], None]] = {
    "clock_skew_seconds": _skew,
    "pass_seconds": _pass,
    "training_allowed": _allow,
    "max_pending_jobs": _most_pending,
    "closed_to_training": _close,
    "deployments": _deploy,
}
