"""Real conversations, in English and Chinese, counted alike by both packages and along OpenAI's published count."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune_kit import Dataset
from finetune_kit._extras import installed
from finetune_kit.errors import DataError
from finetune_kit.records import ChatExample, Message
from finetune_kit.tokens import EXACT, HostedTokens
from finetune_kit.tokens.vocabulary import _bpe_openai, _quicktok

DATA = Path(__file__).parents[2].parent / "shared" / "data"
PATHS = sorted((DATA / "03-openai-finetune").glob("*/*.json*"))
NEEDS_DATA = pytest.mark.skipif(not DATA.is_dir(), reason="the folder of real files, ../shared/data, is not there")
NEEDS_BOTH = pytest.mark.skipif(
    not (installed("quicktok") and installed("bpe_openai")), reason="only one of the two packages is installed"
)


def published(message: Message, count: HostedTokens) -> int:
    """3 tokens around a message, its values, and 1 more for a name."""
    texts = [message.role, message.text, str(message.more.get("name") or "")]
    return 3 + sum(map(count.tokenizer.count, texts)) + ("name" in message.more)


@NEEDS_DATA
@NEEDS_BOTH
@pytest.mark.parametrize("encoding", sorted(EXACT))
def test_counts_are_equal_and_as_published(encoding: str) -> None:
    counters = [HostedTokens(_quicktok(encoding)), HostedTokens(_bpe_openai(encoding))]
    plain = 0
    for path in PATHS:
        try:
            data = Dataset.from_file(path)
        except DataError:  # some were refused in real life
            continue
        for example in data:
            one, other = (counter.measure(example) for counter in counters)
            assert one == other
            if isinstance(example, ChatExample) and not example.more:
                messages = example.messages
                if all(isinstance(turn.content, str) and turn.more.keys() <= {"name", "weight"} for turn in messages):
                    plain += 1
                    assert one.total == 3 + sum(published(turn, counters[0]) for turn in messages)
    assert plain > 300, "so many of these examples are plain conversations"
