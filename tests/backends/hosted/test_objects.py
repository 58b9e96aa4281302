"""Whatever a host sends is read, or is one of our errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit import errors
from finetune_kit.backends import Sampling
from finetune_kit.backends.hosted.objects import (
    decided_hyperparameters,
    is_training_file,
    read_chat_generation,
    read_checkpoint,
    read_event,
    read_file,
    read_generation,
    read_job,
    suffix_of,
)
from finetune_kit.backends.hosted.objects.values import UNKNOWN_MOMENT, moment
from finetune_kit.backends.hosted.ranking import ranked
from finetune_kit.hosts import host_profile
from finetune_kit.records import JsonValue

OPENAI = host_profile("openai")
EXAMPLES = Path(__file__).parents[4] / "shared/data/06-finetune-results/jobs-and-events"
needs_examples = pytest.mark.skipif(not EXAMPLES.is_dir(), reason=f"no examples of hosts' replies at {EXAMPLES}")

JSON: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
KEYS = (
    *("id", "status", "created_at", "finished_at", "error", "fine_tuned_model", "estimated_finish", "result_files"),
    *("training_file", "metadata", "hyperparameters", "method", "supervised", "type", "n_epochs", "batch_size"),
    *("message", "code", "level", "data", "metrics", "step", "step_number", "fine_tuned_model_checkpoint", "bytes"),
    *("choices", "text", "usage", "logprobs", "content", "tokens", "token_logprobs", "top_logprobs", "token"),
    *("logprob", "finish_reason", "filename", "purpose", "suffix", "status_details", "prompt_tokens"),
)
LIKELY: st.SearchStrategy[JsonValue] = st.recursive(
    JSON | st.sampled_from(["auto", "succeeded", -1, 1e308, 10**30, "2026-11-25T03:00:00Z", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=30,
)


@given(LIKELY)
def test_no_json_breaks_a_reader(value: JsonValue) -> None:
    readers: tuple[Callable[[JsonValue], object], ...] = (
        lambda value: read_job(value, OPENAI),
        read_event,
        read_checkpoint,
        read_file,
        is_training_file,
        suffix_of,
        decided_hyperparameters,
        lambda value: read_generation(value, Sampling(stop=("a",))),
        lambda value: read_chat_generation(value, Sampling()),
        lambda value: ranked(["a", "b"], value if isinstance(value, dict) else {}),
    )
    for read in readers:
        try:
            read(value)
        except errors.FinetuneKitError:
            continue


@given(LIKELY)
def test_a_job_with_an_id_is_read_whatever_else_it_holds(value: JsonValue) -> None:
    job = {**(value if isinstance(value, dict) else {"status": value, "created_at": value}), "id": "ftjob-1"}
    state = read_job(job, OPENAI)
    assert state.id == "ftjob-1"
    assert state.status.isprintable()
    assert state.created_at.tzinfo is UTC


def test_a_healthy_job_with_an_empty_error_has_no_fault() -> None:
    assert read_job({"id": "j", "error": {}}, OPENAI).fault is None
    assert read_job({"id": "j", "error": {"code": None, "message": None, "param": None}}, OPENAI).fault is None


def test_a_failed_job_says_why() -> None:
    fault = read_job({"id": "j", "status": "failed", "error": {"code": "invalid", "message": "bad"}}, OPENAI).fault
    assert fault is not None
    assert (fault.code, fault.message) == ("invalid", "bad")


@pytest.mark.parametrize(
    ("word", "status"), [("Succeeded", "succeeded"), ("canceled", "cancelled"), ("moving_house", "moving_house")]
)
def test_a_status_is_read_in_ours_or_kept_as_a_live_one(word: str, status: str) -> None:
    state = read_job({"id": "j", "status": word}, OPENAI)
    assert state.status == status
    assert state.finished == (status in {"succeeded", "cancelled"})


def test_a_hosts_own_words_are_those_of_its_profile() -> None:
    profile = OPENAI.model_copy(update={"status_words": {"COMPLETED": "succeeded"}})
    assert read_job({"id": "j", "status": "completed"}, profile).status == "succeeded"


def test_a_job_without_a_status_goes_on() -> None:
    assert not read_job({"id": "j"}, OPENAI).finished


@pytest.mark.parametrize(
    ("told", "read"),
    [
        (0, UNKNOWN_MOMENT),
        (1_700_000_000, datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
        ("1700000000", datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
        (1_700_000_000_000, datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
        ("2023-11-14T22:13:20Z", datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
        ("2023-11-15T00:13:20+02:00", datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
        ("yesterday", None),
        (1e300, None),
        (True, None),
        ([], None),
    ],
)
def test_times_are_read_in_every_form(told: JsonValue, read: datetime | None) -> None:
    assert moment(told) == read


def test_values_still_to_be_decided_are_not_read_as_values() -> None:
    method: JsonValue = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 3, "batch_size": "auto"}}}
    assert decided_hyperparameters({"method": method}) == {"n_epochs": 3}
    assert decided_hyperparameters({"hyperparameters": {"n_epochs": -1, "learning_rate_multiplier": 0.1}}) == {
        "learning_rate_multiplier": 0.1
    }


def test_events_without_an_id_are_told_apart_by_what_they_say() -> None:
    one, other = read_event({"message": "one"}), read_event({"message": "other"})
    assert one is not None
    assert other is not None
    assert one.id != other.id
    assert one.id == getattr(read_event({"message": "one"}), "id", None)


def test_a_completion_is_cut_at_every_stop_sequence() -> None:
    answer: JsonValue = {
        "choices": [{"text": "one two three", "finish_reason": "length"}],
        "usage": {"prompt_tokens": 4},
    }
    written = read_generation(answer, Sampling(stop=("x", "y", "z", "q", " th")))
    assert (written.text, written.finish_reason, written.prompt_tokens) == ("one two", "stop", 4)


def test_a_filtered_answer_is_refused() -> None:
    with pytest.raises(errors.RequestRefusedError, match="content filter"):
        read_generation({"choices": [{"text": "", "finish_reason": "content_filter"}]}, Sampling())


@needs_examples
@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*_job.json")), ids=lambda path: path.stem)
def test_real_jobs_are_read(path: Path) -> None:
    job = json.loads(path.read_bytes())
    state = read_job(job, host_profile("azure" if "foundry" in path.name else "openai"))
    assert state.id == job["id"]
    assert state.created_at.timestamp() == job["created_at"]
    assert state.finished == (job["status"] == "succeeded")
    assert (state.fine_tuned_model is not None) == state.finished
    assert len(state.result_files) == (1 if state.finished else 0)
    assert state.training_file == job["training_file"]
    assert state.fault is None
    assert all(value > 0 for value in decided_hyperparameters(job).values())
    assert suffix_of(job) == job.get("suffix")


@needs_examples
@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*_file.json")), ids=lambda path: path.stem)
def test_real_files_are_read(path: Path) -> None:
    file = json.loads(path.read_bytes())
    state = read_file(file)
    assert (state.id, state.filename, state.size_bytes) == (file["id"], file["filename"], file["bytes"])
    assert is_training_file(file) == (file["purpose"] == "fine-tune")


@needs_examples
def test_real_events_are_read() -> None:
    page = json.loads((EXAMPLES / "cookbook-wandb_03_events.json").read_bytes())["data"]
    events = [read_event(one) for one in page]
    assert [one.id for one in events if one is not None] == [one["id"] for one in page]
    metrics = [one for one in events if one is not None and one.type == "metrics"]
    assert [one.data["step"] for one in metrics] == [90, 89, 88]


@needs_examples
def test_documented_examples_are_read() -> None:
    documented = json.loads((EXAMPLES / "openapi_documented_examples.json").read_bytes())
    seen = 0
    for operation, examples in documented.items():
        for example in examples:
            text = (example["response"] or "").replace(",\n    }", "\n    }")
            try:
                found = json.loads(text)
            except ValueError:  # the documentation has trailing commas
                continue
            for one in found.get("data", [found]):
                kind = one.get("object", "")
                if kind == "fine_tuning.job":
                    seen += read_job(one, OPENAI).id == one["id"]
                elif kind == "fine_tuning.job.event":
                    seen += getattr(read_event(one), "id", None) == one["id"]
                elif "checkpoint" in operation and "step_number" in one:
                    checkpoint = read_checkpoint(one)
                    assert checkpoint is not None
                    seen += checkpoint.name == one["fine_tuned_model_checkpoint"]
    assert seen > 3
