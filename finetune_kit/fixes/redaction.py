"""What people and accounts are known by, taken out of the texts and the arguments of calls; the rest of each stays."""

from __future__ import annotations

import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from finetune_kit.fixes.texts import with_all_texts
from finetune_kit.records import Example
from finetune_kit.rows import Batch
from finetune_kit.validators.personal_data import PersonalData, mails_in, numbers_in
from finetune_kit.validators.secrets import Secrets, secrets_in

Span = tuple[int, int]
Find = Callable[[str], list[tuple[str, Span]]]

_ROUNDS = 10
# In "an OpenAI API key, perhaps made up".
_ROUND_ABOUT = re.compile(r"\Aan? |, .*")
_VALUE = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|-?[0-9][0-9.eE+-]*', re.DOTALL)
"""A string or a number in JSON."""
_HALF = re.compile("[\ud800-\udfff]")
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [^-]{0,40}PRIVATE KEY[^-]{0,40}-----.*?(?:-----END [^-]{0,80}-----|\Z)", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class RedactPersonalData:
    """E-mail addresses, phone, card, identity and account numbers become words such as `[phone number]`."""

    code = "personal_data"
    safe = False
    description = "put words such as [phone number] in place of personal data"

    def suspects(self, batch: Batch) -> Iterable[int]:
        """The rows that the rule names."""
        return {issue.row for issue in PersonalData().check(batch) if issue.row is not None}

    def mend(self, example: Example) -> Example:
        """The example without them."""
        return _redacted(example, _data_in)


@dataclass(frozen=True, slots=True)
class RedactSecrets:
    """Keys and passwords become words such as `[password]`; revoke them all the same."""

    code = "secret"
    safe = False
    description = "put words such as [password] in place of secrets"

    def suspects(self, batch: Batch) -> Iterable[int]:
        """The rows that the rule names."""
        return {issue.row for issue in Secrets().check(batch) if issue.row is not None}

    def mend(self, example: Example) -> Example:
        """The example without them."""
        return _redacted(example, _keys_in)


def _redacted(example: Example, find: Find) -> Example:
    return with_all_texts(example, lambda text: _without(text, find), lambda text: _without_in_json(text, find))


def _data_in(text: str) -> list[tuple[str, Span]]:
    return [*mails_in(text), *numbers_in(text)]


def _keys_in(text: str) -> list[tuple[str, Span]]:
    # The rule shows where a private key begins; the whole of it goes.
    whole = [("a private key", found.span()) for found in _PRIVATE_KEY.finditer(text)]
    return whole or [(what, span) for what, _, span in secrets_in(text)]


def _without(text: str, find: Find) -> str:
    for _ in range(_ROUNDS):  # what stood beside a datum may be told as one only now
        found = find(text)
        if not found:
            break
        text = "".join(_pieces(text, _apart(found)))
    return text


def _without_in_json(text: str, find: Find) -> str:
    """JSON that stays JSON: of what is known by the name of its key, too, only the value goes."""
    try:
        json.loads(text, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return _without(text, find)
    text = _VALUE.sub(lambda found: _without_in_value(found[0], find), text)
    for _ in range(_ROUNDS):
        found = find(text)
        if not found:
            break
        text = _without_overlap(text, _apart(found))
    return text


def _without_in_value(value: str, find: Find) -> str:
    if value[0] != '"':
        mended = _without(value, find)
        return value if mended == value else json.dumps(mended)
    plain: str = json.loads(value)
    # Arguments are at times encoded twice.
    mended = (_without_in_json if plain.startswith(("{", "[")) else _without)(plain, find)
    if mended == plain:
        return value
    # Half a surrogate pair can be written by an escape alone.
    return json.dumps(mended, ensure_ascii=value.isascii() or _HALF.search(mended) is not None)


def _without_overlap(text: str, found: Sequence[tuple[str, Span]]) -> str:
    return _VALUE.sub(lambda value: _overlapped(value, found), text)


def _overlapped(value: re.Match[str], found: Sequence[tuple[str, Span]]) -> str:
    first, last = value.span()
    begin = bisect_right(found, first, key=lambda datum: datum[1][1])
    end = bisect_left(found, last, key=lambda datum: datum[1][0])
    if begin >= end:
        return value[0]
    if value[0][0] != '"' or "\\" in value[0]:  # a number, or marks that must not be cut in two
        return json.dumps("".join(_pieces("", [(found[begin][0], (0, 0))])))
    inside = [(what, (max(start - first, 1), min(stop, last - 1) - first)) for what, (start, stop) in found[begin:end]]
    return "".join(_pieces(value[0], inside))


def _apart(found: Iterable[tuple[str, Span]]) -> list[tuple[str, Span]]:
    """In order, with what begins inside another as a part of that."""
    apart: list[tuple[str, Span]] = []
    for what, (start, end) in sorted(found, key=lambda datum: datum[1]):
        if apart and start < apart[-1][1][1]:
            name, (begin, stop) = apart[-1]
            apart[-1] = name, (begin, max(end, stop))
        else:
            apart.append((what, (start, end)))
    return apart


def _pieces(text: str, found: Iterable[tuple[str, Span]]) -> Iterator[str]:
    end = 0
    for what, (start, stop) in found:
        yield text[end:start]
        yield f"[{_ROUND_ABOUT.sub('', what)}]"
        end = stop
    yield text[end:]
