"""Tokens kept on disk: the same as made anew, not made twice, never taken from a damaged file, and bounded."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finetune_kit.backends.local import token_rows as module
from finetune_kit.backends.local.encoding import Encoder
from finetune_kit.backends.local.home import Home
from finetune_kit.backends.local.token_rows import TokenRows, token_rows
from finetune_kit.errors import EngineError
from tests.tiny import load_tiny

ROWS: list[dict[str, Any]] = [
    {"prompt": "Where is my parcel? ->", "completion": " track_order"},
    {"prompt": "", "completion": " 番茄炒蛋"},
    {
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello", "weight": 0},
            {"role": "user", "content": "Bye"},
            {"role": "assistant", "content": "Bye"},
        ]
    },
]


@dataclass(frozen=True)
class Counting(Encoder):
    """Knows how often it made a row."""

    made: list[int] = field(default_factory=list[int])

    def row(self, row: Any) -> Any:
        self.made.append(1)
        return super().row(row)


@pytest.fixture(scope="module")
def encoder(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return load_tiny(tiny_base, tmp_path_factory.mktemp("home")).encoder


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def written(folder: Path, rows: list[dict[str, Any]], name: str = "data.jsonl") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return path


def made_of(home: Home, path: Path, encoder: Encoder) -> TokenRows:
    return token_rows(home, path, encoder, what="file", heard=lambda _: None)


def kept(home: Home) -> list[Path]:
    return sorted((home.root / "tokens").iterdir())


@given(
    texts=st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20)), max_size=12),
    weight=st.sampled_from([0.0, 0.01, 0.3, 1.0]),
)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_from_disk_are_those_the_encoder_makes(
    texts: list[tuple[str, str]], weight: float, encoder: Encoder, tmp_path: Path
) -> None:
    rows = [*ROWS, *({"prompt": prompt, "completion": completion} for prompt, completion in texts)]
    path = written(tmp_path, rows)
    expected = [replace(encoder, prompt_loss_weight=weight).row(row) for row in rows]
    made = made_of(Home(tmp_path / "home"), path, encoder).weighted(weight)
    found = made_of(Home(tmp_path / "home"), path, encoder).weighted(weight)
    assert list(made) == list(found) == expected
    assert found[-1] == expected[-1]
    assert found[1:3] == expected[1:3]
    with pytest.raises(IndexError):
        found[len(rows)]


def test_the_same_bytes_are_tokenised_once_whatever_the_file_is_called(
    encoder: Encoder, home: Home, tmp_path: Path
) -> None:
    counting = Counting(encoder.tokenizer, encoder.max_tokens)
    first = made_of(home, written(tmp_path, ROWS), counting)
    again = made_of(home, written(tmp_path, ROWS, "other.jsonl"), counting)
    assert list(first) == list(again)
    assert len(counting.made) == len(ROWS)
    made_of(home, written(tmp_path, ROWS[:1]), counting)
    assert len(counting.made) == len(ROWS) + 1
    made_of(home, written(tmp_path, ROWS), replace(counting, max_tokens=counting.max_tokens - 1))
    assert len(counting.made) == 2 * len(ROWS) + 1, "another limit, other rows"


def test_another_chat_template_makes_other_tokens(encoder: Encoder, home: Home, tmp_path: Path) -> None:
    path = written(tmp_path, ROWS[2:])
    before = list(made_of(home, path, encoder))
    template = encoder.tokenizer.chat_template
    encoder.tokenizer.chat_template = template.replace("You help.", "You do not help.")
    try:
        assert list(made_of(home, path, encoder)) != before
    finally:
        encoder.tokenizer.chat_template = template


@pytest.mark.parametrize("damage", ["first", "middle", "last", "cut", "empty", "longer"])
def test_a_damaged_file_is_made_anew(damage: str, encoder: Encoder, home: Home, tmp_path: Path) -> None:
    path = written(tmp_path, ROWS)
    expected = list(made_of(home, path, encoder))
    (file,) = kept(home)
    data = bytearray(file.read_bytes())
    place = {"first": 0, "middle": len(data) // 2, "last": len(data) - 1}.get(damage)
    if place is not None:
        data[place] ^= 1
    file.unlink()  # the mapped one stays as it is
    damaged = {"cut": bytes(data[:-9]), "empty": b"", "longer": bytes(data) + b"x" * 8}
    file.write_bytes(damaged.get(damage, bytes(data)))
    assert list(made_of(home, path, encoder)) == expected
    assert kept(home) == [file]


def test_faults_are_told_with_their_lines_and_nothing_is_kept(encoder: Encoder, home: Home, tmp_path: Path) -> None:
    path = written(tmp_path, [ROWS[0], {"messages": [{"role": "user", "content": "Hi"}]}])
    path.write_bytes(path.read_bytes() + b'{"prompt": \n')
    with pytest.raises(EngineError, match=r"the file cannot be trained on\. line 2: .* line 3 is no JSON"):
        made_of(home, path, encoder)
    assert kept(home) == []


def test_who_listens_may_stop_it(encoder: Encoder, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TOLD_SECONDS", 0.0)
    heard: list[float] = []

    def listen(share: float) -> None:
        heard.append(share)
        if share > 0.4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        token_rows(home, written(tmp_path, ROWS * 5), encoder, what="file", heard=listen)
    assert heard[0] == 0.0
    assert heard == sorted(heard)
    assert len(heard) < len(ROWS) * 5
    assert kept(home) == []


def test_the_cache_is_bounded_and_drops_what_was_not_used_for_longest(
    encoder: Encoder, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [written(tmp_path, [ROWS[0]] * 20 + [ROWS[1]] * n, f"{n}.jsonl") for n in range(4)]
    for age, path in enumerate(paths[:3]):
        made_of(home, path, encoder)
        newest = max(kept(home), key=lambda file: file.stat().st_mtime)
        os.utime(newest, (1000 + age, 1000 + age))
    made_of(home, paths[0], encoder)  # used again, so no longer the oldest
    size = max(file.stat().st_size for file in kept(home))
    monkeypatch.setattr(module, "CACHE_BYTES", 3 * size + 100)
    made_of(home, paths[3], encoder)
    counting = Counting(encoder.tokenizer, encoder.max_tokens)
    for index in (0, 2, 3):
        made_of(home, paths[index], counting)
    assert counting.made == []
    made_of(home, paths[1], counting)
    assert counting.made
