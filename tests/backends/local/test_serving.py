"""Models in memory: adapters of one base beside it, what leaves when there is no room, and that it is gone then."""

from __future__ import annotations

import asyncio
import gc
import math
import shutil
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from finetune_kit import LocalBackend, ModelClient
from finetune_kit.backends.local import serving
from finetune_kit.backends.local.generate import Answering
from finetune_kit.backends.local.home import Home
from finetune_kit.backends.local.models import add_adapter, load_base
from finetune_kit.backends.local.serving import Shelf
from finetune_kit.backends.protocol import Generation, Sampling
from tests.backends.local.runs import until

SAMPLING = Sampling(max_tokens=12, top_logprobs=3)
PROMPTS = [[5, 6, 7], [9], [*range(40, 90)], [11] * 20]


def silent(what: str, share: float | None) -> None:
    """Nobody looks at it."""


@pytest.fixture(autouse=True)
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """In float32, so that two ways of computing the same can be compared closely."""
    real = load_base

    def load(*args: Any, **options: Any) -> Any:
        return real(*args, **options, dtype=torch.float32)

    monkeypatch.setattr(serving, "load_base", load)


@pytest.fixture(scope="module")
def adapters(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three that say different things."""
    folders: list[Path] = []
    for number in range(3):
        folder = tmp_path_factory.mktemp("adapters") / str(number)
        loaded = load_base(
            Home(folder / "home"), str(tiny_base), device="cpu", packed=False, progress=silent, dtype=torch.float32
        )
        add_adapter(loaded, seed=number)
        chance = torch.Generator().manual_seed(number)
        with torch.no_grad():
            for weight in loaded.model.parameters():
                if weight.requires_grad:
                    weight.copy_(torch.randn(weight.shape, generator=chance) * 0.3)
        loaded.model.save_pretrained(folder)
        folders.append(folder)
    return folders


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    made = Shelf(Home(tmp_path), "cpu", silent)
    yield made
    for kept in made._kept.values():
        kept.model.served.scheduler.close()


def same(found: list[Generation], expected: list[Generation]) -> None:
    assert [one.text for one in found] == [one.text for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.logprobs is not None
        assert other.logprobs is not None
        assert [told.logprob for told in one.logprobs] == pytest.approx(
            [told.logprob for told in other.logprobs], abs=1e-3
        )


def merged(tmp_path: Path, tiny_base: Path, folder: Path | None) -> Answering:
    """From a shelf of its own, where it is the only one of its base."""
    model = Shelf(Home(tmp_path), "cpu", silent).get("it", base=str(tiny_base), folder=folder)
    assert model.adapter is None
    return model


def test_adapters_beside_the_base_say_what_merged_ones_say(
    shelf: Shelf, adapters: list[Path], tiny_base: Path, tmp_path: Path
) -> None:
    folders: list[Path | None] = [*adapters, None]
    expected = [merged(tmp_path, tiny_base, folder).generate(PROMPTS, SAMPLING) for folder in folders]
    assert len({tuple(one.text for one in answers) for answers in expected}) == len(folders)
    for place, folder in enumerate(folders):
        shelf.get(str(place), base=str(tiny_base), folder=folder)
    beside = [shelf.get(str(place), base=str(tiny_base), folder=folder) for place, folder in enumerate(folders)]
    assert len({id(model.served) for model in beside}) == 1
    for model, answers in zip(beside, expected, strict=True):
        same(model.generate(PROMPTS, SAMPLING), answers)
    calls = [model._call(PROMPTS, SAMPLING) for model in beside]  # all of them in one batch
    for model, call in zip(beside, calls, strict=True):
        model.served.scheduler.submit(call)
    for call, answers in zip(calls, expected, strict=True):
        assert call.finished.wait(60)
        same(call.answers(), answers)


def test_a_beginning_kept_for_one_adapter_is_not_anothers(
    shelf: Shelf, adapters: list[Path], tiny_base: Path, tmp_path: Path
) -> None:
    asked = [[*range(40, 100), number] for number in range(5, 11)]
    expected = [merged(tmp_path, tiny_base, folder).generate(asked, SAMPLING) for folder in adapters]
    for _ in range(2):
        for folder, answers in zip(adapters, expected, strict=True):
            same(shelf.get(folder.name, base=str(tiny_base), folder=folder).generate(asked, SAMPLING), answers)


def test_the_least_recently_used_leaves_when_there_is_no_room(
    shelf: Shelf, adapters: list[Path], tiny_base: Path
) -> None:
    base = str(tiny_base)
    for folder in adapters:
        shelf.get(folder.name, base=base, folder=folder)
    one = shelf.get("0", base=base, folder=adapters[0])
    assert one.adapter is not None
    one.generate([[*range(40, 100), 1], [*range(40, 100), 2]], SAMPLING)
    assert one.served.prefixes.size_bytes > 0
    shelf.get("1", base=base, folder=adapters[1])
    shelf.most_bytes = shelf.size_bytes - 1
    shelf.get("1", base=base, folder=adapters[1])
    assert list(shelf._kept) == ["0", "1"]
    shelf.most_bytes = shelf.size_bytes - 1
    shelf.get("1", base=base, folder=adapters[1])
    assert list(shelf._kept) == ["1"]
    assert one.served.prefixes.size_bytes == 0
    shelf.most_bytes = 1
    shelf.get("1", base=base, folder=adapters[1])
    assert list(shelf._kept) == ["1"]  # the one that was asked for stays in any case


def test_a_model_that_nobody_holds_is_freed_at_once(
    shelf: Shelf, adapters: list[Path], tiny_base: Path, tmp_path: Path
) -> None:
    shelf.most_bytes = 1
    model: Any = shelf.get("0", base=str(tiny_base), folder=adapters[0])
    stream = model.stream([5, 6], Sampling(max_tokens=100))
    next(stream)
    stream.close()
    model.generate(PROMPTS, SAMPLING)
    assert model.served.scheduler._thread is not None
    gone = [weakref.ref(model.served.decoder.embedding), weakref.ref(model.served.decoder.head.weight)]
    del model, stream
    other = shutil.copytree(tiny_base, tmp_path / "other")
    gc.disable()  # what goes round in circles would stay until it runs
    try:
        shelf.get("another", base=str(other), folder=None)
        until(lambda: all(one() is None for one in gone), seconds=3.0)
    finally:
        gc.enable()


def test_log_probabilities_seed_penalties_and_streams_reach_the_user(tiny_base: Path, tmp_path: Path) -> None:
    model = ModelClient(str(tiny_base), LocalBackend(tmp_path, base=str(tiny_base), device="cpu", progress=silent))
    answer = model.complete("Where", max_tokens=4, logprobs=True, top_logprobs=2)
    assert answer.logprobs is not None
    assert len(answer.logprobs) == answer.generation.completion_tokens == 4
    for told in answer.logprobs:
        assert told.logprob == told.top_logprobs[0].logprob  # greedy
        assert len(told.top_logprobs) == 2
        assert math.isfinite(told.logprob)
        assert told.logprob <= 0
    assert model.complete("Where", max_tokens=4).logprobs is None
    warm: dict[str, Any] = {"max_tokens": 12, "temperature": 1.0, "seed": 5, "frequency_penalty": 1.0}
    other: dict[str, Any] = {**warm, "frequency_penalty": -2.0}
    whole = model.complete("Where", **warm)
    assert model.complete("Where", **warm) == whole
    assert model.complete("Where", **other) != whole
    assert "".join(model.stream("Where", **warm)) == whole

    async def streamed() -> list[str]:
        async def one() -> str:
            return "".join([piece async for piece in model.stream_async("Where", **warm)])

        return list(await asyncio.gather(one(), one(), one()))

    assert asyncio.run(streamed()) == [whole] * 3
