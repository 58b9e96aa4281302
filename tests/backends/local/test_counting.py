"""Counts in a local model's own tokens are those of its training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from finetune_kit import Dataset, LocalBackend
from finetune_kit.backends import CountsTokens
from finetune_kit.backends.local.counting import local_tokens
from finetune_kit.backends.local.home import Home
from finetune_kit.errors import WeightsError
from finetune_kit.records import ChatExample, CompletionExample, Message
from finetune_kit.tokens import ExampleTokens


@pytest.fixture(scope="module")
def tokens(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> ExampleTokens:
    return local_tokens(Home(tmp_path_factory.mktemp("home")), str(tiny_base))


CHAT = ChatExample(
    (
        Message("user", "Where?"),
        Message("assistant", "在这里", {"weight": 0}),
        Message("user", "Where is my parcel?"),
        Message("assistant", "吃什么"),
    )
)


def test_a_completion_has_the_tokens_of_the_training_file(tokens: Any) -> None:
    example = CompletionExample("Where is my parcel? ->", " track_order\n")
    measured = tokens.measure(example)
    encoded = tokens.encoder.row(json.loads(json.dumps(example.content())))
    assert (measured.total, measured.trained) == (len(encoded.tokens), encoded.trained_tokens)


def test_spans_are_the_whole_text_with_the_markers_of_the_template(tokens: ExampleTokens) -> None:
    spans = list(tokens.spans(CHAT))
    assert "".join(span.text for span in spans).startswith("<|im_start|>system\nYou help.<|im_end|>\n")
    assert "".join(span.text for span in spans if span.use == "trained") == "吃什么<|im_end|>\n"
    assert {span.text for span in spans if span.use == "special"} == {"<|im_start|>", "<|im_end|>"}
    measured = tokens.measure(CHAT)
    assert sum(span.tokens or 0 for span in spans) == measured.total
    assert sum(span.tokens or 0 for span in spans if span.use == "trained") == measured.trained


def test_what_the_engine_cannot_train_on_is_counted_by_its_texts(tokens: ExampleTokens) -> None:
    odd = ChatExample((Message("user", "Where?"), Message("assistant", None, {"tool_calls": "here"})))
    assert tokens.measure(odd).total > 0
    assert [span.use for span in tokens.spans(odd)][:2] == ["special", "context"]


def test_the_backend_counts_for_its_base(tiny_base: Path, tmp_path: Path) -> None:
    backend = LocalBackend(home=tmp_path, base=str(tiny_base))
    assert isinstance(backend, CountsTokens)
    pairs = [(f"Where is parcel {number}?", "track") for number in range(12)]
    found = Dataset.from_records(pairs).token_counts("davinci", backend=backend)
    assert found.exact
    assert found.host == "local"


def test_a_base_that_is_not_here_is_not_fetched_for_a_count(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="the first training fetches it"):
        LocalBackend(home=tmp_path).example_tokens("smollm2-135m")
    with pytest.raises(WeightsError, match="cannot be read"):
        local_tokens(Home(tmp_path), str(tmp_path))
