"""What a route of the simulator is given and what it gives back, whatever serves it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, cast

import orjson

from finetune_kit.records import JsonValue
from finetune_kit.testing.simulator.refusals import Refusal

JsonObject: TypeAlias = dict[str, JsonValue]
_MOST_JSON_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Call:
    """One request; the body comes in chunks as they arrive."""

    method: str
    path: str
    """Below the base URL, without the query."""
    names: Mapping[str, str]
    """What stands in the path, such as the id of a job."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    chunks: Callable[[], AsyncIterator[bytes]]

    async def json(self) -> JsonObject:
        """The body, which has to be an object."""
        body = bytearray()
        async for chunk in self.chunks():
            body += chunk
            if len(body) > _MOST_JSON_BYTES:
                raise Refusal.invalid("The request body is too large.", status=413)
        try:
            read: object = orjson.loads(body)
        except orjson.JSONDecodeError:
            read = None
        if not isinstance(read, dict):
            raise Refusal.invalid("We could not parse the JSON body of your request. The API expects a JSON object.")
        return cast("JsonObject", read)

    def limit(self, *, default: int, most: int) -> int:
        """How many items of a list are wanted."""
        given = self.query.get("limit")
        if given is None:
            return default
        if not given.isdecimal() or not 1 <= int(given) <= most:
            raise Refusal.invalid(f"Invalid 'limit': expected an integer from 1 to {most}.", param="limit")
        return int(given)


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer in pieces, such as server-sent events or a large file."""

    chunks: Iterable[bytes]
    content_type: str
    length: int | None = None


Reply: TypeAlias = Answer | Stream
Handler: TypeAlias = Callable[[Call], Awaitable[Reply]]


def json_answer(value: Mapping[str, JsonValue]) -> Answer:
    """An object as an answer."""
    return Answer(orjson.dumps(value))


def list_answer(items: Sequence[bytes], *, has_more: bool, ends: tuple[str, str] | None = None) -> Answer:
    """A page of objects that are JSON already; `ends` are the ids of the first and the last."""
    tail = b""
    if ends is not None:
        tail = b',"first_id":%b,"last_id":%b' % (orjson.dumps(ends[0] or None), orjson.dumps(ends[1] or None))
    more = b"true" if has_more else b"false"
    return Answer(b'{"object":"list","data":[' + b",".join(items) + b"]" + tail + b',"has_more":' + more + b"}")
