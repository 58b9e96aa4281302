"""Replies as they were in 2023: dicts whose keys are attributes too."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from finetune_kit.legacy.error import InvalidRequestError


class Reply(dict[str, Any]):
    """A dict whose keys are attributes too, at every depth; printed, it is JSON.

    >>> reply = Reply(id="ft-1", result_files=[{"id": "file-1"}])
    >>> reply["id"], reply.result_files[0].id, reply.get("fine_tuned_model")
    ('ft-1', 'file-1', None)
    """

    def __init__(self, values: Mapping[str, object] | None = None, /, **more: object) -> None:
        super().__init__({key: _reply(value) for key, value in {**(values or {}), **more}.items()})

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name: str, value: object) -> None:
        self[name] = value

    def __str__(self) -> str:
        return json.dumps(self, indent=2, ensure_ascii=False)

    def __repr__(self) -> str:
        return f"<{self.get('object', 'Reply')} {self.get('id', '')}> JSON: {self}"

    def to_dict(self) -> dict[str, Any]:
        """A plain dict of the same values."""
        return dict(self)

    def to_dict_recursive(self) -> dict[str, Any]:
        """Plain dicts at every depth."""
        return cast("dict[str, Any]", json.loads(json.dumps(self)))


class Parts(Iterator[Reply]):
    """Replies one by one, for `for` and for `async for`; they are all here already."""

    def __init__(self, replies: Iterable[Reply]) -> None:
        self._replies = iter(replies)

    def __next__(self) -> Reply:
        return next(self._replies)

    def __aiter__(self) -> Parts:
        return self

    async def __anext__(self) -> Reply:
        for reply in self._replies:
            return reply
        raise StopAsyncIteration


def listed(data: list[Reply], **more: object) -> Reply:
    """A list as the API gave it."""
    return Reply(object="list", data=data, **more)


def id_of(value: object, parameter: str) -> str:
    """An id, or that of a reply: an entry of `result_files` stands for its file."""
    kind = type(value).__name__
    found = cast("Mapping[object, object]", value).get("id") if isinstance(value, Mapping) else value
    if not isinstance(found, str) or not found:
        raise InvalidRequestError(f"{parameter} is {kind}. Pass an id, or a reply that has one.", param=parameter)
    return found


def _reply(value: object) -> object:
    if isinstance(value, Reply):
        return value
    if isinstance(value, Mapping):
        return Reply(cast("Mapping[str, object]", value))
    if isinstance(value, list | tuple):
        return [_reply(one) for one in cast("list[object]", value)]
    return value
