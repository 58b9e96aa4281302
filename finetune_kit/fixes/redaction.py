"""What people and accounts are known by, taken out of the texts; the rest of each text stays."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from finetune_kit.fixes.texts import with_texts
from finetune_kit.records import Example
from finetune_kit.rows import Batch
from finetune_kit.validators.personal_data import PersonalData, mails_in, numbers_in
from finetune_kit.validators.secrets import Secrets, secrets_in

Span = tuple[int, int]

_ROUNDS = 10
_ARTICLE = re.compile(r"\Aan? ")
_PRIVATE_KEY = re.compile(r"-----BEGIN [^-]*PRIVATE KEY[^-]*-----.*?(?:-----END [^-]*-----|\Z)", re.DOTALL)


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
        return with_texts(example, lambda text: _without(text, _data_in))


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
        return with_texts(example, lambda text: _without(text, _keys_in))


def _data_in(text: str) -> list[tuple[str, Span]]:
    return [*mails_in(text), *numbers_in(text)]


def _keys_in(text: str) -> list[tuple[str, Span]]:
    # The rule shows where a private key begins; the whole of it goes.
    whole = [("a private key", found.span()) for found in _PRIVATE_KEY.finditer(text)]
    return whole or [(what, span) for what, _, span in secrets_in(text)]


def _without(text: str, find: Callable[[str], list[tuple[str, Span]]]) -> str:
    for _ in range(_ROUNDS):  # what stood beside a datum may be told as one only now
        found = find(text)
        if not found:
            break
        text = "".join(_pieces(text, sorted(found, key=lambda datum: datum[1])))
    return text


def _pieces(text: str, found: Iterable[tuple[str, Span]]) -> Iterator[str]:
    end = 0
    for what, (start, stop) in found:
        if start >= end:
            yield text[end:start]
            yield f"[{_ARTICLE.sub('', what)}]"
        end = max(end, stop)
    yield text[end:]
