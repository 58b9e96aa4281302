"""One job that is followed: what is known of it, what was told, and when it is looked at next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from finetune_kit.backends import Event, JobState
from finetune_kit.following.pace import Looks

_RESTING, _RESTING_LOOKS = frozenset({"queued", "paused"}), 10
"""Jobs that hardly ever tell anything; whatever they do next changes their status."""


@dataclass(slots=True, kw_only=True)
class Watch:
    """Times are on the package's monotonic clock, in seconds; stamps are the host's, in seconds since 1970."""

    state: JobState
    after: str | None = None
    """The last event that was told."""
    after_stamp: float = 0.0
    """Its time: where a host has lost that event and gives all of them, older ones are known."""
    on_look: Callable[[JobState], None] = lambda _: None
    """Told each state that was seen, a repeated one too."""
    on_told: Callable[[Event], None] = lambda _: None
    """Told the last event of each answer, once all of the answer's events have been taken."""
    on_end: Callable[[JobState], None] = lambda _: None
    """Told the last state, just before the caller is."""
    keep: Callable[[], None] | None = None
    """Called once when a job has succeeded, before its end is told: what to save from the host."""

    first_after: str | None = field(init=False)
    """The last event that was told before this began."""
    before: str = field(init=False)
    """The status before the last answer."""
    id: str = field(init=False)
    """The job's."""
    begun_at: float = 0.0
    looked_at: float = float("-inf")
    look_at: float = 0.0
    events_at: float = 0.0
    events_seen_at: float = float("-inf")
    quiet: int = 0
    quiet_events: int = 0
    changed_at: float | None = None
    told_at: float | None = None
    """When an event last came."""
    stamp: float = 0.0
    """The latest time that the host put on anything of this job."""
    failures: int = 0
    event_failures: int = 0
    events_not_before: float = float("-inf")
    misses: int = 0
    event_misses: int = 0
    late_looks: int = 0
    stuck_told: int = 0
    deaf: bool = False
    """Whether its events cannot be had."""
    kept: bool = False
    _seen: set[str] = field(default_factory=set[str])

    def __post_init__(self) -> None:
        self.id, self.before, self.first_after = self.state.id, self.state.status, self.after
        self.stamp = max(self.after_stamp, self.state.created_at.timestamp())

    def learn(self, state: JobState, *, now: float, looks: Looks) -> bool:
        """Take what the host says; whether it is another status than before."""
        before, self.state = self.state, state
        self.before = before.status
        progress = replace(before, seconds_left=None) != replace(state, seconds_left=None)
        changed = before.status != state.status
        if progress:
            self.changed_at, self.stuck_told = now, 0
        self.quiet = 0 if changed else self.quiet + 1
        self.looked_at, self.look_at = now, now + looks.after(self.quiet)
        self.failures = self.misses = 0
        if changed:
            self.quiet_events = 0
            self.listen(now)
        self.on_look(state)
        return changed

    def listen(self, moment: float) -> None:
        """Ask for events then, or as soon as the pause after a failure is over."""
        self.events_at = max(moment, self.events_not_before)

    def failed(self, until: float, *, events: bool) -> None:
        """Leave it alone for so long, after it could not be told how the job is or what has happened to it."""
        if events:
            self.event_failures += 1
            self.events_not_before = until
            self.listen(until)
        else:
            self.failures += 1
            self.look_at = until

    def new(self, events: list[Event], *, now: float, looks: Looks) -> list[Event]:
        """Those that were not told before, in their order."""
        fresh = list(self._unseen(events))
        if fresh:
            self.told_at, self.stuck_told = now, 0
            self.after = fresh[-1].id
            self.stamp = max(self.stamp, *(event.created_at.timestamp() for event in fresh))
        self.quiet_events = 0 if fresh else self.quiet_events + 1
        patience = _RESTING_LOOKS if self.state.status in _RESTING else 1
        self.events_at, self.events_seen_at = now + patience * looks.after(self.quiet_events), now
        self.event_failures = self.event_misses = 0
        return fresh

    def _unseen(self, events: list[Event]) -> Iterator[Event]:
        for event in events:
            if event.id in self._seen or event.id == self.after:
                continue
            self._seen.add(event.id)
            if event.created_at.timestamp() >= self.after_stamp:
                yield event

    def waits_for_late_events(self) -> bool:
        """Whether an end was seen, and no event from that moment yet: hosts write the last ones a little later."""
        finished = self.state.finished_at
        return finished is not None and self.stamp < finished.timestamp() - 1 and self.late_looks < 2

    def event_age(self, *, now: float, host_now: float | None) -> float:
        """Seconds since the last event at least; since the job was created, where there is none."""
        here = now - (self.told_at if self.told_at is not None else self.begun_at)
        there = host_now - self.stamp if host_now is not None else 0.0
        return max(0.0, here, there)

    def idle(self, *, now: float, host_now: float | None) -> float:
        """Seconds in which at least nothing has happened to it; no less long where it was so before it was followed."""
        age = self.event_age(now=now, host_now=host_now)
        return age if self.changed_at is None else min(age, now - self.changed_at)
