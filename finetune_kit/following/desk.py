"""All that is decided about the jobs that are followed on one backend; it asks nothing itself and never waits."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from finetune_kit._clock import clock
from finetune_kit._retry import may_try_again, pause_before
from finetune_kit.backends import Backend, Event, JobPage, JobState, ListsJobs, TellsTime
from finetune_kit.errors import (
    AuthenticationError,
    BackendError,
    HostUnavailableError,
    JobNotFoundError,
    QuotaError,
    RateLimitError,
)
from finetune_kit.following.asks import Answer, Ask, AskEvents, AskPage, AskState, AskToKeep
from finetune_kit.following.news import Lost, News, Notice, OnNotice, StateChange, Stuck, Trouble
from finetune_kit.following.pace import Looks, pace_of
from finetune_kit.following.sweep import PAGE, Sweep
from finetune_kit.following.watch import Watch

Told: TypeAlias = tuple[Watch, News]

_log = logging.getLogger("finetune_kit.following")

LIVE = frozenset({"validating_files", "queued", "running", "pausing", "paused", "resuming"})
"""The words that are known; any other that is no end is a live one too."""
_CERTAIN = 3
"""How often in a row a host has to say what would end the following."""
_SHARE = 3
"""One request in so many goes to the list of jobs, however long it is; the others ask for events."""
_NEVER: tuple[float, Ask] = (float("inf"), AskPage(None, PAGE))
_FEW = 3
"""So few jobs are asked for one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the caller wants to be told."""

    events: bool = True
    stuck_after_seconds: float | None = 3600.0
    on_notice: OnNotice | None = None


class Desk:
    """Keeps the watches of one backend."""

    def __init__(self, backend: Backend, watches: Iterable[Watch], wishes: Wishes) -> None:
        self.backend, self._wishes = backend, wishes
        now = clock().monotonic()
        profile = backend.profile
        self._host, self._has_events, self._remote = profile.name, profile.has_events, profile.runs_jobs
        self._looks, self._pace = Looks.at(profile), pace_of(backend)
        self._pages = isinstance(backend, ListsJobs)
        self._sweep: Sweep | None = None
        self._sweep_at = now
        self._quiet_sweeps = 0
        self._failures = self._refusals = 0
        self._blocked_until = now
        self._host_ahead: float | None = None
        self._odd_words: set[str] = set()
        self._live: dict[str, Watch] = {}
        self._unlisted: dict[str, Watch] = {}
        self._ended: dict[str, Watch] = {}
        self._known_words = LIVE | set(profile.status_words.values())
        for watch in watches:
            watch.begun_at = watch.look_at = watch.events_at = now
            (self._ended if watch.state.finished else self._live)[watch.id] = watch

    def watches(self) -> list[Watch]:
        """The jobs of which there is more to tell."""
        return [*self._live.values(), *self._ended.values()]

    def looked_since(self, moment: float) -> bool:
        """Whether all live jobs were."""
        return all(watch.looked_at >= moment for watch in self._live.values())

    @property
    def empty(self) -> bool:
        """Whether all was told."""
        return not self._live and not self._ended

    def hurry(self, now: float) -> None:
        """Let every job be looked at now."""
        self._sweep_at = now
        for watch in self._live.values():
            watch.look_at = now

    def next(self, now: float) -> Ask | float:
        """What to ask now, or in how many seconds to come back."""
        if self.empty:
            return float("inf")
        if self._blocked_until > now:
            return self._blocked_until - now
        due, ask = self._most_urgent(now)
        if due > now:
            return due - now
        asks_nobody = isinstance(ask, AskToKeep) and ask.watch.keep is None
        return ask if asks_nobody else self._pace.take(now) or ask

    def _most_urgent(self, now: float) -> tuple[float, Ask]:
        """What is due first: ends, then states, then events, so that a state is no older than its events."""
        urgent = min((self._last_of(watch) for watch in self._ended.values()), key=_when, default=_NEVER)
        if urgent[0] > now:
            urgent = min([urgent, *self._states()], key=_when)
        if urgent[0] > now:
            listening = [watch for watch in self._live.values() if self._wants_events(watch, now)]
            first = min(listening, key=lambda watch: watch.events_at, default=None)
            if first is not None and first.events_at < urgent[0]:
                return first.events_at, AskEvents(first)
        return urgent

    def _last_of(self, watch: Watch) -> tuple[float, Ask]:
        if self._listens(watch):
            return watch.events_at, AskEvents(watch)
        return watch.look_at, AskToKeep(watch)

    def _states(self) -> list[tuple[float, Ask]]:
        if self._by_pages:
            after = self._sweep.after if self._sweep is not None else None
            return [(self._sweep_at, AskPage(after, PAGE)), *_looks_at(self._unlisted)]
        return _looks_at(self._live)

    @property
    def _by_pages(self) -> bool:
        return self._pages and len(self._live) > _FEW

    def _listens(self, watch: Watch) -> bool:
        return self._wishes.events and self._has_events and not watch.deaf

    def _wants_events(self, watch: Watch, now: float) -> bool:
        if self._listens(watch):
            return True
        # nobody reads them, but their age tells whether the job is stuck
        limit = self._wishes.stuck_after_seconds
        asked = now - max(watch.events_seen_at, watch.begun_at, watch.changed_at or watch.begun_at)
        return limit is not None and self._has_events and not watch.deaf and asked >= limit

    # answers

    def answered(self, ask: Ask, answer: Answer, now: float) -> Iterator[Told]:
        """What an answer tells."""
        self._failures = self._refusals = 0
        if isinstance(self.backend, TellsTime) and (host_time := self.backend.host_time()) is not None:
            self._host_ahead = host_time.timestamp() - now
        match ask, answer:
            case AskState(watch), JobState():
                yield from self._state(watch, answer, now)
            case AskPage(), JobPage():
                yield from self._page(answer, now)
            case AskEvents(watch), list():
                yield from self._events(watch, answer, now)
            case AskToKeep(watch), _:
                watch.kept = True
                yield from self._end(watch, now)
            case _:
                raise TypeError(f"{type(self.backend).__name__} answers {ask!r} with {type(answer).__name__}.")

    def _page(self, page: JobPage, now: float) -> Iterator[Told]:
        sweep = self._sweep or Sweep.over(self._live.values())
        found, more = sweep.take(page)
        self._sweep = sweep if more else None
        changes = [news for watch, state in found for news in self._state(watch, state, now)]
        if more:
            self._sweep_at = now
        else:
            self._unlisted = {
                id_: watch for id_, watch in sweep.missing.items() if id_ in self._live
            }  # lists lag behind
            self._quiet_sweeps = 0 if changes else self._quiet_sweeps + 1
            third = _SHARE * sweep.pages * 60 / self.backend.profile.requests_per_minute
            self._sweep_at = now + max(third, self._looks.after(self._quiet_sweeps))
        yield from changes

    def _state(self, watch: Watch, state: JobState, now: float) -> Iterator[Told]:
        self._unlisted.pop(watch.id, None)
        if watch.id not in self._live:
            return
        before = watch.state.status
        changed = watch.learn(state, now=now, looks=self._looks)
        self._stamp(max(state.created_at, state.finished_at or state.created_at).timestamp(), now)
        if state.finished:
            del self._live[watch.id]
            self._ended[watch.id] = watch
            watch.look_at = now
            watch.listen(now)
            yield from self._end(watch, now)
            return
        if self._listens(watch) and not self._by_pages:
            watch.listen(now)
        self._known(state)
        if changed:
            yield watch, StateChange(before=before, state=state)
        elif not self._listens(watch):
            self._idle(watch, now)

    def _events(self, watch: Watch, events: list[Event], now: float) -> Iterator[Told]:
        if self._remote:  # long lists come by pages, and a first one may need the job's card
            from_the_first = (watch.first_after if watch.state.finished else watch.after) is None
            self._pace.spent(len(events) // PAGE + from_the_first, now)
        fresh = watch.new(events, now=now, looks=self._looks)
        if fresh:
            self._stamp(watch.stamp, now)
        if self._wishes.events:
            yield from _told(watch, fresh)
        if watch.id in self._live:
            self._idle(watch, now)
            if not self._by_pages:  # the next look at its state brings the next one at its events
                watch.events_at = max(watch.events_at, watch.look_at)
        elif self._remote and watch.waits_for_late_events():
            watch.late_looks += 1
            watch.events_at = now + self._looks.first
        else:
            watch.deaf = True  # all of them were told
            yield from self._end(watch, now)

    def _end(self, watch: Watch, now: float) -> Iterator[Told]:
        """Tell the end, unless something has to be asked before."""
        if self._listens(watch):
            return
        if watch.keep is not None and not watch.kept and watch.state.status == "succeeded":
            watch.look_at = now
            return
        del self._ended[watch.id]
        watch.on_end(watch.state)
        yield watch, StateChange(before=watch.before, state=watch.state)

    def _known(self, state: JobState) -> None:
        if state.status not in self._known_words | self._odd_words:
            self._odd_words.add(state.status)
            _log.warning("%s on %s is %r, an unknown status: taken for a live one.", state.id, self._host, state.status)

    # standstill

    def _stamp(self, stamp: float, now: float) -> None:
        """The host's clock was at least here: what it has written cannot lie ahead of it."""
        if not isinstance(self.backend, TellsTime):
            self._host_ahead = max(stamp - now, self._host_ahead if self._host_ahead is not None else stamp - now)

    def _idle(self, watch: Watch, now: float) -> None:
        limit = self._wishes.stuck_after_seconds
        if limit is None or watch.state.status in {"paused", "pausing"}:
            return
        host_now = now + self._host_ahead if self._host_ahead is not None else None
        idle = watch.idle(now=now, host_now=host_now)
        if idle < limit * 2**watch.stuck_told or (self._has_events and not watch.deaf and watch.events_seen_at != now):
            return
        while idle >= limit * 2**watch.stuck_told:
            watch.stuck_told += 1
        self._tell(
            Stuck(
                job_id=watch.id,
                host=self._host,
                status=watch.state.status,
                idle_seconds=idle,
                event_seconds=watch.event_age(now=now, host_now=host_now),
                seconds_left=watch.state.seconds_left,
            )
        )

    def _tell(self, notice: Notice, *, loud: bool = True) -> None:
        _log.log(logging.WARNING if loud else logging.DEBUG, "%s", notice)
        if self._wishes.on_notice is not None:
            self._wishes.on_notice(notice)

    # errors

    def failed(self, ask: Ask, error: BackendError, now: float) -> Iterator[Told]:
        """What an error means: waited out, or the end of following."""
        watch = None if isinstance(ask, AskPage) else ask.watch
        if isinstance(ask, AskToKeep):
            yield from self._not_kept(ask.watch, error, now)
        elif may_try_again(error):
            self._wait_out(ask, error, now)
        elif isinstance(error, AuthenticationError | QuotaError):
            yield from self._refused(error, now)
        elif watch is None:
            _log.warning("%s does not list its jobs (%s); they are asked for one by one.", self._host, error)
            self._pages, self._sweep = False, None
        elif isinstance(ask, AskEvents):
            yield from self._no_events(watch, error, now)
        else:
            yield from self._missing(watch, error, now)

    def _wait_out(self, ask: Ask, error: BackendError, now: float) -> None:
        self._failures += 1
        watch, events = None if isinstance(ask, AskPage) else ask.watch, isinstance(ask, AskEvents)
        before = 0 if watch is None else watch.event_failures if events else watch.failures
        attempt = max(self._failures, before + 1)
        pause = pause_before(attempt, error, first_seconds=self._looks.first, longest_seconds=60.0)
        if watch is None or _of_the_host(error) or self._failures >= _CERTAIN:
            self._blocked_until = now + pause
        if watch is not None:
            watch.failed(now + pause, events=events)
        job_id = None if watch is None else watch.id
        trouble = Trouble(host=self._host, job_id=job_id, error=error, attempt=attempt, pause_seconds=pause)
        self._tell(trouble, loud=attempt.bit_count() == 1)  # an outage of a night fills no log

    def _refused(self, error: BackendError, now: float) -> Iterator[Told]:
        self._refusals += 1
        if self._remote and self._refusals < _CERTAIN and isinstance(error, AuthenticationError):
            self._blocked_until = now + self._looks.after(self._refusals)
            return
        for watch in self.watches():
            yield from self._lose(watch, error)

    def _missing(self, watch: Watch, error: BackendError, now: float) -> Iterator[Told]:
        """A host may not know a job for some seconds after it was created."""
        watch.misses += 1
        if self._remote and isinstance(error, JobNotFoundError) and watch.misses < _CERTAIN:
            watch.look_at = now + self._looks.after(watch.misses)
            return
        yield from self._lose(watch, error)

    def _no_events(self, watch: Watch, error: BackendError, now: float) -> Iterator[Told]:
        """Its state decides whether a job is lost; without events it is followed on."""
        watch.event_misses += 1
        watch.events_at = now + self._looks.after(watch.event_misses)
        if watch.id in self._live:
            watch.look_at = now
        if watch.event_misses >= _CERTAIN or not self._remote:
            _log.warning("%s does not tell the events of %s (%s).", self._host, watch.id, error)
            watch.deaf = True
            if watch.id in self._ended:
                yield from self._end(watch, now)

    def _not_kept(self, watch: Watch, error: BackendError, now: float) -> Iterator[Told]:
        watch.failures += 1
        if may_try_again(error) and watch.failures < _CERTAIN:
            watch.look_at = now + pause_before(watch.failures, error, first_seconds=self._looks.first)
            return
        _log.warning("The result files of %s could not be saved (%s); they stay on the host.", watch.id, error)
        watch.kept = True
        yield from self._end(watch, now)

    def _lose(self, watch: Watch, error: BackendError) -> Iterator[Told]:
        self._live.pop(watch.id, None)
        self._unlisted.pop(watch.id, None)
        self._ended.pop(watch.id, None)
        _log.error("%s on %s cannot be followed any more: %s", watch.id, self._host, error)
        yield watch, Lost(job_id=watch.id, error=error)


def _told(watch: Watch, events: list[Event]) -> Iterator[Told]:
    """What the caller came back for another one after is remembered as told: after a break, rather twice than never."""
    last: Event | None = None
    try:
        for event in events:
            yield watch, event
            last = event
    finally:
        if last is not None:
            watch.on_told(last)


def _when(urgent: tuple[float, Ask]) -> float:
    return urgent[0]


def _looks_at(watches: Mapping[str, Watch]) -> list[tuple[float, Ask]]:
    """The one among them that is due first."""
    first = min(watches.values(), key=lambda watch: watch.look_at, default=None)
    return [] if first is None else [(first.look_at, AskState(first))]


def _of_the_host(error: BackendError) -> bool:
    """Whether it says something about the host, not about what was asked."""
    return isinstance(error, RateLimitError) or (
        isinstance(error, HostUnavailableError) and (error.status is None or bool(error.retry_after_seconds))
    )
