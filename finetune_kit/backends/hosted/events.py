"""A job's events from a cursor on: none missed, none repeated."""

from __future__ import annotations

from itertools import pairwise

from finetune_kit.backends.hosted.asked import Ask
from finetune_kit.backends.hosted.asking import Asker
from finetune_kit.backends.hosted.listing import pages
from finetune_kit.backends.hosted.objects import read_event
from finetune_kit.backends.protocol import Event


def events_behind(asker: Asker, ask: Ask, after: str | None) -> list[Event]:
    """The events of a list behind the one with the id `after`, the oldest first; all of them where it is not there.

    Hosts list the newest first, so that reading stops at the first page that holds `after`; what comes in meanwhile is
    newer than all that is returned, and found behind it the next time. Events of one second stay in the host's order.
    A host that lists the oldest first is known by its times, and read to the end.
    """
    listed: list[Event] = []
    known: set[str] = set()
    for page in pages(asker, ask):
        for event in map(read_event, page):
            if event is not None and event.id not in known:
                known.add(event.id)
                listed.append(event)
        if after in known and not _rises(listed):
            break
    oldest_first = listed if _rises(listed) else listed[::-1]
    return _behind(oldest_first, after)


def _behind(events: list[Event], after: str | None) -> list[Event]:
    cursor = next((place for place, event in enumerate(events) if event.id == after), None)
    if all(one.created_at <= other.created_at for one, other in pairwise(events)):
        return events if cursor is None else events[cursor + 1 :]
    # Out of order: shuffled, or the host's clock was set back. What is behind by its place or by its time is told, so
    # that nothing is missed; some of it may have been told before.
    if cursor is not None:
        later = [event for event in events[:cursor] if event.created_at > events[cursor].created_at]
        events = later + events[cursor + 1 :]
    return sorted(events, key=lambda event: event.created_at)


def _rises(events: list[Event]) -> bool:
    """Whether the oldest comes first, which is not so where all are of one second."""
    rising = all(one.created_at <= other.created_at for one, other in pairwise(events))
    return rising and bool(events) and events[0].created_at < events[-1].created_at
