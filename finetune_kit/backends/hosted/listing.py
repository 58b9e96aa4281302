"""Lists that a host gives in pages, read to their end whatever changes meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from finetune_kit.backends.hosted.asked import Ask
from finetune_kit.backends.hosted.asking import Asker
from finetune_kit.backends.hosted.mapping import odd
from finetune_kit.backends.hosted.objects.values import members, text
from finetune_kit.records import JsonValue

PAGE = 100


def pages(asker: Asker, ask: Ask, *, limit: int | None = PAGE) -> Iterator[list[JsonValue]]:
    """A list's pages, each item once.

    The cursor is the last item seen: what comes in at the head meanwhile moves nothing, and what a host repeats is left
    out. A page with nothing new in it is the last one, whatever the host says of more.
    """
    seen: set[str] = set()
    query: dict[str, JsonValue] = {**(ask.query or {}), **({} if limit is None else {"limit": limit})}
    while True:
        page = asker.read(replace(ask, query=query))
        found = page.get("data")
        if not isinstance(found, list):
            raise odd("answered with no list: it has no 'data'", ask, asker.host)
        before = len(seen)
        yield _unseen(found, seen)
        cursor = _id(found[-1]) if found else None
        more = page.get("has_more")
        if cursor is None or len(seen) == before or not (len(found) == limit if more is None else more is True):
            return
        query["after"] = cursor


def everything(asker: Asker, ask: Ask, *, limit: int | None = PAGE) -> list[JsonValue]:
    """The items of all pages."""
    return [one for page in pages(asker, ask, limit=limit) for one in page]


def _unseen(found: Sequence[JsonValue], seen: set[str]) -> list[JsonValue]:
    """Those not seen before, which are seen now; what has no id cannot be told apart, and stays."""
    fresh: list[JsonValue] = []
    for one in found:
        name = _id(one)
        if name is None or name not in seen:
            fresh.append(one)
        if name is not None:
            seen.add(name)
    return fresh


def _id(item: JsonValue) -> str | None:
    return text(members(item).get("id"))
