"""All who ask one model share a batch, and none of them can harm another."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from finetune_kit.backends.local.batch import MOST_ROWS, Prompt, SlotBatch
from finetune_kit.backends.local.generate import Answering, Served, generate
from finetune_kit.backends.local.models import Loaded
from finetune_kit.backends.protocol import Generation, Sampling
from finetune_kit.errors import EngineError
from tests.backends.local.runs import run_python, until
from tests.tiny import load_talkative

GREEDY = Sampling(max_tokens=12)
TEXTS = ["a", "Where is my parcel?", "今天晚上吃什么好呢?", "x y z " * 20, "I want my money back", "?"]


@pytest.fixture(scope="module")
def loaded(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return load_talkative(tiny_base, tmp_path_factory.mktemp("home"))


@dataclass(slots=True)
class Watched:
    """A batch that tells who was in it, and does what a test wants before each step."""

    batch: SlotBatch
    rows: list[int] = field(default_factory=list[int])
    joined: list[int] = field(default_factory=list[int])
    before_step: Callable[[], object] = lambda: None
    before_add: Callable[[Sequence[Prompt]], None] = lambda prompts: None

    def room(self, waiting: Sequence[Prompt]) -> int:
        return self.batch.room(waiting)

    def add(self, prompts: Sequence[Prompt], meanwhile: Callable[[], None] | None = None) -> Any:
        self.before_add(prompts)
        self.joined.append(len(prompts))
        return self.batch.add(prompts, meanwhile)

    def step(self, tokens: Sequence[int]) -> Any:
        self.before_step()
        self.rows.append(len(tokens))
        return self.batch.step(tokens)

    def keep(self, rows: Sequence[int]) -> list[int]:
        return self.batch.keep(rows)

    def clear(self) -> None:
        self.batch.clear()


@pytest.fixture
def watched(loaded: Loaded) -> Iterator[tuple[Answering, Watched]]:
    served = Served.of(loaded)
    assert served.decoder is not None
    batch = Watched(SlotBatch(served.decoder, served.prefixes))
    served.scheduler.batch = batch
    yield Answering(served), batch
    served.scheduler.close()


def prompts(loaded: Loaded, texts: Sequence[str] = TEXTS) -> list[list[int]]:
    return [loaded.encoder.prompt(text) for text in texts]


def alone(loaded: Loaded, prompt: Sequence[int], sampling: Sampling) -> Generation:
    return generate(loaded, [prompt], sampling)[0]


def test_many_threads_share_one_batch_and_get_what_each_gets_alone(
    loaded: Loaded, watched: tuple[Answering, Watched]
) -> None:
    model, batch = watched
    samplings = [
        GREEDY,
        Sampling(max_tokens=5, temperature=1.0, seed=3),
        Sampling(max_tokens=20, temperature=0.7, top_p=0.8, seed=4),
        Sampling(max_tokens=15, frequency_penalty=1.5),
        Sampling(max_tokens=9, presence_penalty=2.0, stop=("e",)),
    ]
    asked = [(prompt, sampling) for prompt in prompts(loaded) for sampling in samplings]
    ready = threading.Barrier(len(asked))

    def ask(one: tuple[list[int], Sampling]) -> Generation:
        ready.wait()
        return model.generate([one[0]], one[1])[0]

    with ThreadPoolExecutor(len(asked)) as threads:
        answers = list(threads.map(ask, asked))
    assert answers == [alone(loaded, *one) for one in asked]
    assert max(batch.rows) > 1


def test_who_comes_later_joins_while_others_are_being_answered(
    loaded: Loaded, watched: tuple[Answering, Watched]
) -> None:
    model, batch = watched
    late: list[Generation] = []
    thread = threading.Thread(target=lambda: late.extend(model.generate([[5, 6]], Sampling(max_tokens=3))))

    def come() -> None:
        if len(batch.rows) == 4:
            thread.start()
            until(lambda: model.served.scheduler._calls)

    batch.before_step = come
    early = model.generate([[7, 8, 9]], Sampling(max_tokens=20))
    thread.join()
    assert batch.joined == [1, 1]
    assert batch.rows[4:8] == [1, 2, 2, 1]
    assert early == [alone(loaded, [7, 8, 9], Sampling(max_tokens=20))]
    assert late == [alone(loaded, [5, 6], Sampling(max_tokens=3))]


def test_tasks_of_an_event_loop_share_one_batch(loaded: Loaded, watched: tuple[Answering, Watched]) -> None:
    model, batch = watched

    async def all_of_them() -> list[list[Generation]]:
        return await asyncio.gather(*(model.generate_async([prompt], GREEDY) for prompt in prompts(loaded)))

    assert asyncio.run(all_of_them()) == [[alone(loaded, prompt, GREEDY)] for prompt in prompts(loaded)]
    assert max(batch.rows) > 1


def test_a_task_that_is_cancelled_frees_its_place(loaded: Loaded, watched: tuple[Answering, Watched]) -> None:
    model, batch = watched

    async def give_up() -> None:
        task = asyncio.create_task(model.generate_async([[5, 6]], Sampling(max_tokens=400)))
        await asyncio.to_thread(until, lambda: batch.rows)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(give_up())
    until(lambda: not model.served.scheduler._active)
    assert len(batch.rows) < 399


def test_a_stream_that_is_closed_frees_its_place(loaded: Loaded, watched: tuple[Answering, Watched]) -> None:
    model, batch = watched
    stream = model.stream(loaded.encoder.prompt("Where"), Sampling(max_tokens=400))
    next(stream)
    stream.close()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    until(lambda: not model.served.scheduler._active)
    assert len(batch.rows) < 399
    assert not batch.batch.cache.storage.numel()


@pytest.mark.parametrize(
    "sampling", [GREEDY, replace(GREEDY, stop=("e", "a")), replace(GREEDY, temperature=1.0, seed=1)]
)
def test_a_stream_put_together_is_the_whole_answer(
    sampling: Sampling, loaded: Loaded, watched: tuple[Answering, Watched]
) -> None:
    model, _ = watched
    for prompt in prompts(loaded):
        pieces = list(model.stream(prompt, sampling))
        assert "".join(pieces) == alone(loaded, prompt, sampling).text
        assert all(pieces)


def test_a_stream_tells_each_piece_before_the_next_token(loaded: Loaded, watched: tuple[Answering, Watched]) -> None:
    model, batch = watched
    read = threading.Semaphore(1)
    batch.before_step = lambda: read.acquire(timeout=60) or pytest.fail("nobody read")
    prompt = loaded.encoder.prompt("Where is my parcel?")
    total = 0
    for _ in model.stream(prompt, Sampling(max_tokens=30)):
        total += 1
        if total == 3:
            break
        steps = len(batch.rows)
        assert steps < 28
        for _ in range(4):  # a character may take some
            read.release()
    read.release()
    batch.before_step = lambda: None
    assert total == 3


def test_a_call_of_many_does_not_keep_a_short_one_waiting(loaded: Loaded, watched: tuple[Answering, Watched]) -> None:
    model, batch = watched
    ended: list[str] = []
    begun = threading.Event()
    batch.before_step = begun.set

    def many() -> None:
        model.generate([[5 + number % 200, 6] for number in range(6 * MOST_ROWS)], Sampling(max_tokens=10))
        ended.append("many")

    thread = threading.Thread(target=many)
    thread.start()
    begun.wait()
    model.generate([[7, 8]], Sampling(max_tokens=10))
    ended.append("one")
    thread.join()
    assert ended == ["one", "many"]
    assert max(batch.rows) == MOST_ROWS


def test_the_cache_stays_within_its_budget(loaded: Loaded, watched: tuple[Answering, Watched]) -> None:
    model, batch = watched
    batch.batch.most_bytes = 1 << 20
    seen: list[int] = []

    def look() -> None:
        storage = batch.batch.cache.storage
        seen.append(storage.numel() * storage.element_size())

    batch.before_step = look
    asked = [[5 + number] * (20 if number % 3 else 200) for number in range(30)]
    answers = model.generate(asked, GREEDY)
    assert answers == [alone(loaded, prompt, GREEDY) for prompt in asked]
    assert 0 < max(seen) <= 1 << 20
    assert not batch.batch.cache.storage.numel()


def test_one_that_is_larger_than_the_budget_is_answered_alone(
    loaded: Loaded, watched: tuple[Answering, Watched]
) -> None:
    model, batch = watched
    batch.batch.most_bytes = 1
    asked = prompts(loaded)
    assert model.generate(asked, GREEDY) == [alone(loaded, prompt, GREEDY) for prompt in asked]
    assert set(batch.rows) == {1}


def test_those_who_are_answered_go_on_while_a_long_prompt_is_read(
    loaded: Loaded, watched: tuple[Answering, Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("finetune_kit.backends.local.batch._TOKENS_BETWEEN", 16)
    model, batch = watched
    long = [5 + number % 200 for number in range(400)]
    answers: list[Generation] = []
    thread = threading.Thread(target=lambda: answers.extend(model.generate([long, [9, 8], long[:90]], GREEDY)))
    asked = [[7, 8, 9], [5, 6]]
    samplings = [Sampling(max_tokens=50), Sampling(max_tokens=12)]
    at: list[int] = []

    def come() -> None:
        if len(batch.rows) == 4:
            thread.start()
            until(lambda: model.served.scheduler._calls)

    def look(prompts: Sequence[Prompt]) -> None:
        at.append(len(batch.rows))

    batch.before_step, batch.before_add = come, look
    call = [model._call([prompt], sampling) for prompt, sampling in zip(asked, samplings, strict=True)]
    for one in call:
        model.served.scheduler.submit(one)
    for one in call:
        one.finished.wait(60)
    thread.join()
    assert [one.answers() for one in call] == [
        [alone(loaded, prompt, sampling)] for prompt, sampling in zip(asked, samplings, strict=True)
    ]
    assert answers == [alone(loaded, prompt, GREEDY) for prompt in (long, [9, 8], long[:90])]
    read_for = batch.rows[at[-1] :].index(max(batch.rows[at[-1] :]))  # steps until the readers take part
    assert read_for >= 400 // 16


def test_a_step_that_fails_while_a_prompt_is_read_is_told_to_all(
    loaded: Loaded, watched: tuple[Answering, Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("finetune_kit.backends.local.batch._TOKENS_BETWEEN", 16)
    model, batch = watched
    second = model._call([[5] * 300], GREEDY)

    def come() -> None:
        if len(batch.rows) == 3:
            model.served.scheduler.submit(second)
        if batch.joined == [1, 1] and not second.finished.is_set():
            batch.before_step = lambda: None
            raise RuntimeError("a cosmic ray")

    batch.before_step = come
    with pytest.raises(EngineError, match="a cosmic ray"):
        model.generate([[5, 6]], Sampling(max_tokens=100))
    second.finished.wait(60)
    with pytest.raises(EngineError, match="a cosmic ray"):
        second.answers()
    assert model.generate([[5, 6]], GREEDY) == [alone(loaded, [5, 6], GREEDY)]


def test_an_error_of_one_leaves_the_others_as_they_were(loaded: Loaded, watched: tuple[Answering, Watched]) -> None:
    model, batch = watched
    failed: list[BaseException] = []

    def refuse(joining: Sequence[Prompt]) -> None:
        if any(prompt.tokens == (9, 9) for prompt in joining):
            raise RuntimeError("not enough memory")

    def unlucky() -> None:
        with pytest.raises(EngineError, match="could not answer: not enough memory") as caught:
            model.generate([[9, 9]], GREEDY)
        failed.append(caught.value)

    thread = threading.Thread(target=unlucky)

    def come() -> None:
        if len(batch.rows) == 3:
            thread.start()
            until(lambda: model.served.scheduler._calls)

    batch.before_add, batch.before_step = refuse, come
    assert model.generate([[5, 6]], GREEDY) == [alone(loaded, [5, 6], GREEDY)]
    thread.join()
    assert isinstance(failed[0].__cause__, RuntimeError)
    assert model.generate([[5, 6]], GREEDY) == [alone(loaded, [5, 6], GREEDY)]


def test_after_a_step_that_fails_the_model_answers_again(loaded: Loaded, watched: tuple[Answering, Watched]) -> None:
    model, batch = watched

    def break_once() -> None:
        batch.before_step = lambda: None
        raise RuntimeError("a cosmic ray")

    batch.before_step = break_once
    with pytest.raises(EngineError, match="a cosmic ray"):
        model.generate([[5, 6]], GREEDY)
    assert model.generate([[5, 6]], GREEDY) == [alone(loaded, [5, 6], GREEDY)]


def test_a_prompt_too_long_is_refused_before_it_waits(loaded: Loaded, watched: tuple[Answering, Watched]) -> None:
    model, batch = watched
    with pytest.raises(EngineError, match="Shorten the prompt"):
        model.generate([[5], [5] * loaded.context_tokens], GREEDY)
    assert not batch.joined


def test_the_thread_ends_when_nobody_asks_and_begins_again(loaded: Loaded) -> None:
    served = Served.of(loaded)
    served.scheduler.idle_seconds = 0.01
    model = Answering(served)
    first = model.generate([[5, 6]], GREEDY)
    until(lambda: served.scheduler._thread is None)
    assert model.generate([[5, 6]], GREEDY) == first


def test_nothing_is_taken_after_the_end(loaded: Loaded) -> None:
    served = Served.of(loaded)
    served.scheduler.close()
    with pytest.raises(EngineError, match="shutting down"):
        Answering(served).generate([[5]], GREEDY)


def test_other_work_takes_its_turn_and_its_errors_are_its_own(
    loaded: Loaded, watched: tuple[Answering, Watched]
) -> None:
    model, batch = watched
    names: list[str] = []
    batch.before_step = lambda: None if names else names.append(threading.current_thread().name)
    model.generate([[5]], GREEDY)
    assert names == [model.served.scheduler.run(lambda: threading.current_thread().name)]

    def fails() -> None:
        raise ValueError("my own")

    with pytest.raises(EngineError, match="my own"):
        model.served.scheduler.run(fails)


ENDING = """
    import sys, threading, time
    from pathlib import Path
    from finetune_kit.backends.local.generate import Answering, Served
    from finetune_kit.backends.protocol import Sampling
    from tests.tiny import load_talkative

    model = Answering(Served.of(load_talkative(Path(sys.argv[1]), Path(sys.argv[2]))))
    stream = model.stream([5, 6], Sampling(max_tokens=480))
    next(stream)
    print("left")
"""
FORKING = """
    import os, sys
    from pathlib import Path
    from finetune_kit.backends.local.generate import Answering, Served
    from finetune_kit.backends.protocol import Sampling
    from tests.tiny import load_talkative

    model = Answering(Served.of(load_talkative(Path(sys.argv[1]), Path(sys.argv[2]))))
    ask = lambda: model.generate([[5, 6], [7]], Sampling(max_tokens=12))
    before = ask()
    stream = model.stream([5, 6], Sampling(max_tokens=480))
    next(stream)
    child = os.fork()
    if child == 0:
        os._exit(0 if ask() == before else 1)
    _, status = os.waitpid(child, 0)
    assert ask() == before
    print(os.waitstatus_to_exitcode(status))
"""


def test_a_process_ends_though_a_stream_is_open(tiny_base: Path, tmp_path: Path) -> None:
    done = run_python(ENDING, tiny_base, tmp_path)
    assert (done.stdout, done.returncode) == ("left\n", 0), done.stderr


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="this system has no fork")
def test_a_forked_child_answers_too(tiny_base: Path, tmp_path: Path) -> None:
    done = run_python(FORKING, tiny_base, tmp_path)
    assert done.stdout == "0\n", done.stderr
