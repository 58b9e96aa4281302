"""What the faults do to a request and to its answer."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from typing import cast

import orjson

from finetune_kit.records import JsonValue
from finetune_kit.testing.simulator.asgi import (
    Application,
    Captured,
    Exchange,
    Gone,
    Receive,
    Send,
    body_chunks,
    capture,
    send_reply,
    until_gone,
)
from finetune_kit.testing.simulator.faults import Fault
from finetune_kit.testing.simulator.refusals import Refusal
from finetune_kit.testing.simulator.wire import Answer, JsonObject

_PAGE = (
    b"<!DOCTYPE html>\n<html><head><title>One moment</title></head><body><h1>We will be back soon</h1></body></html>\n"
)


async def misbehave(
    fault: Fault,
    application: Application,
    exchange: Exchange,
    *,
    cut: Callable[[], None],
    chance: random.Random,
    key: str,
) -> None:
    """Answer a request as the fault says; `cut` closes the connection at once."""
    scope, receive, send = exchange.scope, exchange.receive, exchange.send
    if fault.kind == "cut_upload":
        await _part_of(receive, fault.after_bytes)
        answer = None
    elif fault.has_effect:
        answer = await capture(application, scope, receive)
    else:
        answer = None
        async for _ in body_chunks(receive):  # hosts read what they are sent before they refuse
            pass
    match fault.kind:
        case "cut" | "cut_upload":
            cut()
            await until_gone(receive)
        case "no_answer":
            await until_gone(receive)
        case "cut_answer" if answer is not None:
            await _half(answer, fault, send)
            cut()
            await until_gone(receive)
        case _:
            if fault.seconds:
                await asyncio.sleep(fault.seconds)
            refusal = _refusal(fault, key)
            if refusal is not None:
                await send_reply(_answer_of(refusal, fault), send, headers={})
            elif answer is not None:
                await _spoilt(answer, fault, chance).send(send)


async def _part_of(receive: Receive, after_bytes: int) -> None:
    taken = 0
    try:
        async for chunk in body_chunks(receive):
            taken += len(chunk)
            if taken >= after_bytes:
                return
    except Gone:
        return


async def _half(answer: Captured, fault: Fault, send: Send) -> None:
    """As much of the body as the fault lets through, by default half, below a header that promises all of it."""
    through = fault.after_bytes or len(answer.body) // 2
    await send({"type": "http.response.start", "status": answer.status, "headers": list(answer.headers)})
    await send({"type": "http.response.body", "body": answer.body[:through], "more_body": True})


def _refusal(fault: Fault, key: str) -> Refusal | None:
    match fault.kind:
        case "rate_limit":
            message = "Rate limit reached for requests. Please try again later."
            return Refusal(429, message, kind="requests", code="rate_limit_exceeded")
        case "quota":
            return Refusal.quota()
        case "error":
            return Refusal.trouble(fault.status)
        case "wrong_key":
            return Refusal.wrong_key(key)
        case "training_not_available":
            return Refusal.training_not_available()
        case _:
            return None


def _answer_of(refusal: Refusal, fault: Fault) -> Answer:
    headers: dict[str, str] = {}
    if fault.retry_after is not None:
        headers["retry-after"] = fault.retry_after
    if fault.retry_after_ms is not None:
        headers["retry-after-ms"] = fault.retry_after_ms
    return Answer(refusal.body(), status=refusal.status, headers=headers)


def _spoilt(answer: Captured, fault: Fault, chance: random.Random) -> Captured:
    if fault.kind == "html":
        return replace(answer, status=200).changed(_PAGE, content_type=b"text/html; charset=utf-8")
    return answer.changed(_spoilt_body(answer.body, fault, chance))


def _spoilt_body(body: bytes, fault: Fault, chance: random.Random) -> bytes:
    match fault.kind:
        case "half_json":
            spoilt = body[: len(body) // 2]
        case "array":
            spoilt = b"[" + body + b"]"
        case "damage_content":
            spoilt = _damaged(body, chance)
        case "change":
            spoilt = _with_each(body, lambda one: _changed(one, fault))
        case "repeat_items" | "shuffle_items":
            spoilt = _reordered(body, fault, chance)
        case _:
            spoilt = body
    return spoilt


def _changed(value: JsonObject, fault: Fault) -> JsonObject:
    return {name: one for name, one in {**value, **fault.fields}.items() if name not in fault.without}


def _with_each(body: bytes, change: Callable[[JsonObject], JsonObject]) -> bytes:
    read = _object(body)
    if read is None:
        return body
    data = read.get("data")
    if isinstance(data, list):
        changed: list[JsonValue] = [change(one) if isinstance(one, dict) else one for one in data]
        return orjson.dumps({**read, "data": changed})
    return orjson.dumps(change(read))


def _reordered(body: bytes, fault: Fault, chance: random.Random) -> bytes:
    read = _object(body)
    data = None if read is None else read.get("data")
    if read is None or not isinstance(data, list) or not data:
        return body
    items = list(data)
    if fault.kind == "repeat_items":
        items.insert(chance.randrange(len(items) + 1), chance.choice(items))
    else:
        chance.shuffle(items)
    return orjson.dumps({**read, "data": items})


def _object(body: bytes) -> JsonObject | None:
    try:
        read: object = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return cast("JsonObject", read) if isinstance(read, dict) else None


def _damaged(body: bytes, chance: random.Random) -> bytes:
    """Cut off somewhere, and a byte before that is another."""
    kept = bytearray(body[: max(1, chance.randrange(len(body) // 2, len(body)))] if len(body) > 2 else b"\x00")
    kept[chance.randrange(len(kept))] ^= 0x80
    return bytes(kept)
