"""The memory backend really answers from the data, and goes through a job's life as real ones do."""

from __future__ import annotations

import pytest

from finetune_kit.backends import Sampling
from finetune_kit.dataset import Dataset, Split
from finetune_kit.errors import JobFailedError
from finetune_kit.job import FineTuneJob
from finetune_kit.testing import MemoryBackend
from tests.rows_of import PAIRS


def started(backend: MemoryBackend, *, n_epochs: int = 4, batch_size: int | None = None) -> FineTuneJob:
    return Dataset.from_records(PAIRS).split(0.75).train(backend=backend, n_epochs=n_epochs, batch_size=batch_size)


def test_each_look_moves_a_job_on_by_one_status() -> None:
    job = started(MemoryBackend())
    assert [job.state.status, *(job.status for _ in range(4))] == [
        "queued",
        "validating_files",
        "running",
        "succeeded",
        "succeeded",
    ]


def test_on_command_only_advance_moves_a_job() -> None:
    backend = MemoryBackend(advance_on_look=False)
    job = started(backend)
    assert (job.status, job.status) == ("queued", "queued")
    assert [backend.advance(job.id).status for _ in range(3)] == ["validating_files", "running", "succeeded"]


def test_a_job_can_be_made_to_fail() -> None:
    backend = MemoryBackend()
    job = started(backend)
    backend.fail(job.id, "the cluster is on fire")
    with pytest.raises(JobFailedError, match="the cluster is on fire"):
        job.wait()


def test_a_learned_prompt_is_answered_word_for_word_and_a_new_one_by_its_nearest() -> None:
    model = started(MemoryBackend()).wait().model()
    assert model.complete_many([prompt for prompt, _ in PAIRS]) == [answer for _, answer in PAIRS]
    assert model.complete("where, oh where is my parcel?") == "track"
    assert model.classify("I need money back!").label == "refund"


def test_chinese_is_compared_sign_by_sign() -> None:
    rows = [("今天晚上吃什么好呢?", "番茄炒蛋"), ("周末去哪里玩?", "去西湖"), *((f"{n}?", f"{n}") for n in range(10))]
    model = Split(Dataset.from_records(rows)).train(backend=MemoryBackend()).wait().model()
    assert [model.complete("晚上吃什么"), model.complete("周末去哪儿")] == ["番茄炒蛋", "去西湖"]


def test_metrics_are_measured_and_not_made_up() -> None:
    """Nothing is known in the first epoch, everything in the second."""
    job = started(MemoryBackend(), n_epochs=2, batch_size=4).wait()
    steps = job.results().metrics
    assert [row.train_loss for row in steps] == [1.0] * (len(steps) // 2) + [0.0] * (len(steps) // 2)
    assert {row.valid_accuracy for row in job.results().validations} == {1.0}
    assert job.card.scores["train_loss"] == 0.0


def test_a_resumed_job_goes_on_where_it_stopped() -> None:
    backend = MemoryBackend()
    job = started(backend, n_epochs=3)
    while job.status != "running":
        pass
    job.pause().resume().wait()
    steps = [event.data["step"] for event in job.events() if event.type == "metrics"]
    assert steps == list(range(1, len(steps) + 1))


def test_only_the_last_checkpoints_are_kept() -> None:
    job = started(MemoryBackend(), n_epochs=6, batch_size=15).wait()
    assert [checkpoint.step for checkpoint in job.checkpoints()] == [3, 4, 5]
    assert job.model(job.checkpoints()[0]).complete(PAIRS[0][0]) == "track"


def test_an_untrained_model_knows_nothing() -> None:
    backend = MemoryBackend()
    [answer] = backend.complete("davinci", ["Where is parcel 1?"], Sampling())
    assert "learned nothing" in answer.text
    assert backend.rank("davinci", ["Where is parcel 1?"], ["track", "refund"]) == [[0.5, 0.5]]


def test_an_answer_that_is_only_a_call_of_a_tool_teaches_no_words() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"Where is parcel {number}?"},
                {"role": "assistant", "content": None, "tool_calls": [call]},
            ],
            "tools": [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}],
        }
        for number in range(12)
    ]
    model = Dataset.from_records(rows).split(0.8).train(backend=MemoryBackend()).wait().model()
    assert model.complete("Where is parcel 77?") == ""
