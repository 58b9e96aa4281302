"""The calls about jobs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import orjson

from finetune_kit.testing.simulator.jobs import JobBook
from finetune_kit.testing.simulator.refusals import Refusal
from finetune_kit.testing.simulator.wire import Answer, Call, Handler, Reply, list_answer

_METADATA = re.compile(r"metadata\[(.+)\]")
_MOST = 100
_JOB = "/fine_tuning/jobs/{job_id}"


class JobRoutes:
    """`/fine_tuning`."""

    def __init__(self, book: JobBook) -> None:
        self._book = book

    def handlers(self) -> Mapping[tuple[str, str], Handler]:
        """Each by its method and path."""
        flavour = self._book.desk.flavour
        found: dict[tuple[str, str], Handler] = {
            ("POST", "/fine_tuning/jobs"): self.create,
            ("GET", "/fine_tuning/jobs"): self.list,
            ("GET", _JOB): self.retrieve,
            ("POST", f"{_JOB}/cancel"): self.cancel,
        }
        if flavour.can_pause:
            found["POST", f"{_JOB}/pause"] = self.pause
            found["POST", f"{_JOB}/resume"] = self.resume
        if flavour.has_events:
            found["GET", f"{_JOB}/events"] = self.events
        if flavour.has_checkpoints:
            found["GET", f"{_JOB}/checkpoints"] = self.checkpoints
        if flavour.tells_job_limits:
            found["GET", "/fine_tuning/model_limits"] = self.limits
        return found

    async def create(self, call: Call) -> Reply:
        """Start a job."""
        body = await call.json()
        with self._book.desk.lock:
            return Answer(self._book.create(body).json())

    async def list(self, call: Call) -> Reply:
        """Jobs, the newest first."""
        limit = call.limit(default=20, most=_MOST)
        fits = self._filter(call.query)
        items: list[bytes] = []
        with self._book.desk.lock:
            for job in self._book.newest_first(fits, after=call.query.get("after")):
                if len(items) == limit:
                    return list_answer(items, has_more=True)
                items.append(job.json())
        return list_answer(items, has_more=False)

    async def retrieve(self, call: Call) -> Reply:
        """One job."""
        with self._book.desk.lock:
            return Answer(self._book.get(call.names["job_id"]).json())

    async def cancel(self, call: Call) -> Reply:
        """Stop a job for good."""
        with self._book.desk.lock:
            job = self._book.get(call.names["job_id"])
            if job.finished:
                raise Refusal.invalid(f"Job has already completed: {job.id}", code="invalid_status")
            job.course.cancel(self._book.desk.now())
            return Answer(job.json())

    async def pause(self, call: Call) -> Reply:
        """Stop a job for now."""
        with self._book.desk.lock:
            job = self._book.get(call.names["job_id"])
            if job.finished or job.status in ("paused", "pausing"):
                raise Refusal.invalid(f"Job {job.id} is {job.status} and cannot be paused.", code="invalid_status")
            job.course.pause(self._book.desk.now())
            return Answer(job.json())

    async def resume(self, call: Call) -> Reply:
        """Go on with a paused job."""
        with self._book.desk.lock:
            job = self._book.get(call.names["job_id"])
            if job.status != "paused":
                raise Refusal.invalid(f"Job {job.id} is {job.status} and cannot be resumed.", code="invalid_status")
            job.course.resume(self._book.desk.now())
            return Answer(job.json())

    async def events(self, call: Call) -> Reply:
        """A job's events, the newest first."""
        limit = call.limit(default=20, most=_MOST)
        with self._book.desk.lock:
            job = self._book.get(call.names["job_id"])
            after = call.query.get("after")
            end = len(job.events) if after is None else job.place_of(after)
            if end is None:
                raise Refusal.invalid(f"Could not find event: {after}", param="after")
            start = max(0, end - limit)
            page = [event.json() for event in reversed(job.events[start:end])]
        return list_answer(page, has_more=start > 0)

    async def checkpoints(self, call: Call) -> Reply:
        """A job's checkpoints, the newest first."""
        limit = call.limit(default=10, most=_MOST)
        after = call.query.get("after")
        with self._book.desk.lock:
            found = list(self._book.get(call.names["job_id"]).checkpoints)
        if after is not None:
            places = [place for place, one in enumerate(found, 1) if one["id"] == after]
            if not places:
                raise Refusal.invalid(f"Could not find checkpoint: {after}", param="after")
            found = found[places[0] :]
        page = found[:limit]
        ends = (str(page[0]["id"]), str(page[-1]["id"])) if page else ("", "")
        return list_answer([orjson.dumps(one) for one in page], has_more=len(found) > limit, ends=ends)

    async def limits(self, call: Call) -> Reply:  # noqa: ARG002 - it has no parameters
        """How many jobs may wait for each base model."""
        book = self._book
        with book.desk.lock:
            waiting: dict[str, int] = dict.fromkeys(book.desk.models.bases, 0)
            today: dict[str, int] = dict.fromkeys(book.desk.models.bases, 0)
            day = book.desk.now() // 86_400
            for job in book.all():
                waiting[job.base] += job.pending
                today[job.base] += job.created_at // 86_400 == day
        most = book.max_pending_jobs
        items = [
            orjson.dumps(
                {
                    "object": "fine_tuning.model_limit",
                    "id": base,
                    "curr_pending_jobs": waiting[base],
                    "max_pending_jobs": _UNLIMITED if most is None else most,
                    "jobs_so_far_today": today[base],
                    "max_jobs_per_day": _UNLIMITED,
                }
            )
            for base in waiting
        ]
        return list_answer(items, has_more=False)

    def _filter(self, query: Mapping[str, str]) -> Callable[[Mapping[str, str]], bool]:
        """By `metadata[key]=value`, or `metadata=null` for jobs without any; a host that keeps none lets all pass."""
        if not self._book.desk.flavour.keeps_metadata:
            return lambda _: True
        if query.get("metadata") == "null":
            return lambda kept: not kept
        wanted = {found[1]: value for key, value in query.items() if (found := _METADATA.fullmatch(key))}
        return lambda kept: all(kept.get(key) == value for key, value in wanted.items())


_UNLIMITED = 10_000
