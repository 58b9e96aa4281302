"""A job's events from a cursor on: none missed, none repeated."""

from __future__ import annotations

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
    found: list[Event] = []
    known: set[str] = set()
    for page in pages(asker, ask):
        for event in map(read_event, page):
            if event is not None and event.id not in known:
                known.add(event.id)
                found.append(event)
        if after in known and not _oldest_first(found):
            break
    if not _oldest_first(found):
        found.reverse()
    seen = next((place for place, event in enumerate(found, 1) if event.id == after), 0)
    return found[seen:]


def _oldest_first(events: list[Event]) -> bool:
    return bool(events) and events[0].created_at < events[-1].created_at
