"""The chain from data to a started job: what is read, how it is split, and what the door of `train` lets through."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from finetune_kit.backends import FileState, JobSpec, JobState
from finetune_kit.dataset import Dataset, Split
from finetune_kit.errors import MissingExtraError, ParameterError, UnknownModelError, ValidationError
from finetune_kit.hosts import Resolved
from finetune_kit.records import CompletionExample
from finetune_kit.rows import Rows
from finetune_kit.splitters import Splitter
from finetune_kit.testing import MemoryBackend
from finetune_kit.uploads import SpooledFile
from finetune_kit.validators import row_validator
from tests.rows_of import PAIRS


class Recorder(MemoryBackend):
    """Keeps what was asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.specs: list[JobSpec] = []
        self.uploads: list[list[Any]] = []

    def upload(self, file: SpooledFile, **more: Any) -> FileState:
        self.uploads.append([json.loads(line) for line in file.lines()])
        return super().upload(file, **more)

    def start(self, spec: JobSpec) -> JobState:
        self.specs.append(spec)
        return super().start(spec)

    @property
    def untouched(self) -> bool:
        return not self.specs and not self.uploads


@pytest.fixture
def backend() -> Recorder:
    return Recorder()


def chat(number: int) -> dict[str, object]:
    turns = [{"role": "user", "content": f"Where is parcel {number}?"}, {"role": "assistant", "content": "Here."}]
    return {"messages": turns}


# reading and splitting


def test_a_table_and_json_lines_and_records_hold_the_same(tmp_path: Path) -> None:
    table, lines = tmp_path / "a.csv", tmp_path / "a.jsonl"
    table.write_text("q,a\nwho?,we\n", encoding="utf-8")
    lines.write_text('{"q": "who?", "a": "we"}\n', encoding="utf-8")
    sets = [
        Dataset.from_csv(table, prompt="q", completion="a"),
        Dataset.from_jsonl(lines, prompt="q", completion="a"),
        Dataset.from_records([{"q": "who?", "a": "we"}], prompt="q", completion="a"),
    ]
    assert [list(data) for data in sets] == [[CompletionExample("who?", "we")]] * 3
    assert [data.source.format for data in sets] == ["csv", "jsonl", "records"]
    assert repr(sets[0]) == f"<Dataset: 1 completion examples from {table}>"


def test_a_data_set_is_a_sequence_that_pickles() -> None:
    data = Dataset.from_records(PAIRS)
    again: Dataset = pickle.loads(pickle.dumps(data))
    assert list(again) == list(data)
    assert (len(again), again[0], again.kind, again.source) == (20, data[0], "completion", data.source)


def test_every_row_is_on_one_side() -> None:
    data = Dataset.from_records(PAIRS)
    split = data.split(0.6, test=0.2, seed=3)
    assert split.validation is not None
    assert split.test is not None
    sides = [example for side in (split.training, split.validation, split.test) for example in side]
    assert sorted(map(str, sides)) == sorted(map(str, data))
    assert [len(split.training), len(split.validation), len(split.test)] == [12, 4, 4]
    assert split.leak_report is not None
    assert split.leak_report.ok


def test_a_splitter_says_it_all() -> None:
    data = Dataset.from_records(PAIRS)
    assert list(data.split(Splitter(0.5, seed=7)).training) == list(data.split(0.5, seed=7).training)
    assert data.split().test is None


def test_refused_rows_stay_with_the_training_side_and_can_be_given_up() -> None:
    split = Dataset.from_records([*PAIRS, ("no", 7)]).split(0.8)
    assert split.validation is not None
    assert (split.training.source.rows_refused, split.validation.source.rows_refused) == (1, 0)
    assert "1 refused" in repr(split.training)
    assert split.training.without_refused().source.rows_refused == 0


# the door of train


def test_all_faults_are_told_at_once_and_nothing_is_started(backend: Recorder, tmp_path: Path) -> None:
    path = tmp_path / "support.csv"
    path.write_text("prompt,completion\nwho?,we\nwhen?,\nhow?,so\nwhere?\n", encoding="utf-8")
    held_out = Dataset.from_records([("who?", "we"), ("why?", " "), ("what?", 5)])
    with pytest.raises(ValidationError) as raised:
        Split(Dataset.from_csv(path), held_out).train(backend=backend)
    report = raised.value.report
    errors = {code: times for (severity, code), times in report.tally.items() if severity == "error"}
    assert errors == {"minimum_examples": 1, "empty_completion": 2, "ragged_row": 1, "wrong_type": 1, "leak": 1}
    assert report.rows == 5
    message = str(raised.value)
    assert f"{path} row 3" in message, "the file and line of each fault"
    assert "record 3" in message
    assert backend.untouched


def test_what_training_can_live_with_is_let_through(backend: Recorder) -> None:
    """Fewer than 150 examples, and a shared prompt with another answer."""
    split = Split(Dataset.from_records(PAIRS), Dataset.from_records([("WHERE is parcel 1?", "lost")]))
    assert {issue.code for issue in split.validate().warnings} >= {"minimum_examples", "shared_prompt"}
    job = split.train(backend=backend)
    assert job.wait().card.leak_report.startswith("Of 1 validation examples, 0 are also training examples, and 1 more")


def test_the_card_tells_of_nearly_the_same_questions(backend: Recorder) -> None:
    split = Split(
        Dataset.from_records(PAIRS), Dataset.from_records([("Give me the money for order 4 back, please!", "no")])
    )
    assert {issue.code for issue in split.validate().warnings} >= {"near_leak"}
    card = split.train(backend=backend).wait().card
    assert split.leak_report is not None
    assert card.leak_report == split.leak_report.summary()
    assert card.leak_report.endswith("1 of 1 validation examples ask nearly the same as one.")


def test_your_own_rules_count_too(backend: Recorder) -> None:
    @row_validator("no_money")
    def no_money(example: CompletionExample) -> str | None:
        return "it is about money" if "money" in example.prompt else None

    with pytest.raises(ValidationError, match="error no_money: it is about money"):
        Dataset.from_records(PAIRS).split(0.8).train(backend=backend, validators=[no_money])
    assert backend.untouched


@pytest.mark.parametrize("validators", [7, [7], row_validator("a")(lambda example: None)])
def test_what_are_no_rules_is_refused(backend: Recorder, validators: Any) -> None:
    split = Dataset.from_records(PAIRS).split(0.8)
    for call in (lambda: split.train(backend=backend, validators=validators), lambda: split.validate(validators)):
        with pytest.raises(ParameterError, match=r"rule|validator"):
            call()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_epochs": 0}, "n_epochs=0: give a whole number from 1 to 100"),
        ({"n_epochs": 2.5}, "n_epochs=2.5"),
        ({"n_epochs": "4"}, "n_epochs='4'"),
        ({"n_epochs": True}, "n_epochs=True"),
        ({"n_epochs": None}, "n_epochs=None"),
        ({"batch_size": 257}, "batch_size=257: give a whole number from 1 to 256"),
        ({"batch_size": []}, "batch_size="),
        ({"learning_rate_multiplier": 0}, "learning_rate_multiplier=0: nothing would be learned"),
        ({"learning_rate_multiplier": float("nan")}, "learning_rate_multiplier=nan: .* 0.02 to 0.2 are worth trying"),
        ({"prompt_loss_weight": 1.1}, "prompt_loss_weight=1.1: give a number from 0 to 1"),
        ({"prompt_loss_weight": "a"}, "prompt_loss_weight='a'"),
        ({"suffix": ""}, "suffix=''"),
        ({"suffix": "a/b"}, "suffix='a/b': give 1 to 64 letters, digits, dashes or underscores"),
        ({"suffix": "a" * 65}, "suffix="),
        ({"suffix": 5}, "suffix is int, not text"),
        ({"seed": "x"}, "seed='x'"),
        ({"seed": -1}, "seed=-1"),
        ({"model": None}, "model is NoneType, not text"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(backend: Recorder, settings: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message) as raised:
        Dataset.from_records(PAIRS).split(0.8).train(backend=backend, **settings)
    assert raised.value.parameter == next(iter(settings))
    assert backend.untouched


def test_an_unknown_model_is_told_with_those_there_are(backend: Recorder) -> None:
    with pytest.raises(UnknownModelError, match=r"knows no model 'gpt-9'.*'memory-1'"):
        Dataset.from_records(PAIRS).split(0.8).train("gpt-9", backend=backend)
    assert backend.untouched


def test_what_keeps_a_backend_from_working_stops_it_before_the_upload() -> None:
    class NotInstalled(Recorder):
        def preflight(self, model: Resolved) -> None:
            raise MissingExtraError("pip install it", package="torch", extra="local")

    backend = NotInstalled()
    with pytest.raises(MissingExtraError):
        Dataset.from_records(PAIRS).split(0.8).train(backend=backend)
    assert backend.untouched


@pytest.mark.parametrize("side", ["validation", "test"])
def test_two_kinds_do_not_go_together(backend: Recorder, side: str) -> None:
    sides: dict[str, Any] = {side: Dataset.from_records([chat(0)])}
    with pytest.raises(ParameterError, match=f"training set holds completion examples and the {side} set chat"):
        Split(Dataset.from_records(PAIRS), **sides).train(backend=backend)
    assert backend.untouched


def test_a_test_side_must_not_be_trained_on_either(backend: Recorder) -> None:
    split = Split(Dataset.from_records(PAIRS), test=Dataset.from_records(PAIRS[:1]))
    with pytest.raises(ValidationError, match="also in the training set"):
        split.train(backend=backend)


# what is sent


def test_two_files_that_were_split_before_are_trained_as_they_are(backend: Recorder) -> None:
    training, validation = Dataset.from_records(PAIRS[1:]), Dataset.from_records(PAIRS[:1])
    job = Split(training, validation).train("davinci", backend=backend, n_epochs=2, suffix="shop", seed=5)
    [spec] = backend.specs
    assert backend.uploads == [
        [{"prompt": f"{prompt} ->", "completion": f" {completion}\n"} for prompt, completion in rows]
        for rows in (PAIRS[1:], PAIRS[:1])
    ]
    assert (spec.suffix, spec.seed, spec.hyperparameters.n_epochs, spec.model.requested) == ("shop", 5, 2, "davinci")
    card = job.wait().card
    assert card.labels == ("refund", "track")
    assert (card.requested_model, card.base, card.kind, card.seed) == ("davinci", "memory-1", "completion", 5)
    assert card.leak_report == "Training and validation share no example and no prompt."


def test_a_card_tells_what_cleaning_changed(backend: Recorder) -> None:
    rows = [*PAIRS, PAIRS[0], PAIRS[1], ("Where is it?", "track "), ("Who?", " ")]
    clean = Dataset.from_records(rows).clean()
    split = clean.split(0.8)
    assert split.cleaned == clean.changes.by_rule
    card = split.train(backend=backend).wait().card
    assert card.cleaning == {"trailing_space": 1, "empty_completion": 1, "duplicate": 2} == clean.changes.counts


def test_a_card_tells_what_cleaning_changed_in_files_that_were_split_before(backend: Recorder) -> None:
    training = Dataset.from_records([*PAIRS[2:], PAIRS[2]]).clean()
    split = Split(training, Dataset.from_records([*PAIRS[:2], PAIRS[0]]).clean())
    assert split.train(backend=backend).wait().card.cleaning == {"duplicate": 2}


def test_a_card_of_data_that_were_not_cleaned_tells_of_no_cleaning(backend: Recorder) -> None:
    split = Dataset.from_records(PAIRS).clean().split(0.8)
    assert split.train(backend=backend).wait().card.cleaning == {}


def test_validation_is_not_needed(backend: Recorder) -> None:
    job = Split(Dataset.from_records(PAIRS)).train(backend=backend).wait()
    assert (len(backend.uploads), job.card.leak_report, job.results().validations) == (1, "", ())


def test_the_template_is_chosen_over_all_sides(backend: Recorder) -> None:
    """A separator in the test set would be mistaken for the one that ends the prompt."""
    sides = [Dataset.from_records(PAIRS), Dataset.from_records([("a ->", "b")]), Dataset.from_records([("c", "d\ne")])]
    template = Split(sides[0], sides[1], sides[2]).train(backend=backend).wait().card.template
    assert template is not None
    assert (template.separator, template.stop) == ("\n\n###\n\n", " END")


def test_conversations_are_sent_as_they_are_and_need_no_template(backend: Recorder) -> None:
    rows = [chat(number) for number in range(16)]
    job = Dataset.from_records(rows).split(0.75).train(backend=backend).wait()
    assert all(line in rows for upload in backend.uploads for line in upload)
    assert (job.card.template, job.card.labels, job.card.kind) == (None, (), "chat")


def test_a_fine_tuned_model_can_be_trained_further_and_keeps_its_template(backend: Recorder) -> None:
    first = Split(Dataset.from_records([("a -> b", "c"), *PAIRS])).train(backend=backend).wait()
    more = Dataset.from_records([(f"Is shop {number} open?", "hours") for number in range(10)])
    second = Split(more).train(first.model().name, backend=backend).wait()
    assert second.card.template == first.card.template
    assert (second.card.base, second.card.requested_model) == ("memory-1", first.model().name)
    assert [second.model().complete(prompt) for prompt in ("Is shop 3 open?", PAIRS[0][0])] == ["hours", "track"]


def test_data_that_its_template_cannot_render_is_refused(backend: Recorder) -> None:
    first = Split(Dataset.from_records(PAIRS)).train(backend=backend).wait()
    more = Dataset.from_records([*PAIRS, ("this -> that", "track"), ("two lines", "a\nb")])
    with pytest.raises(ValidationError) as raised:
        Split(more).train(first.model().name, backend=backend)
    assert "the prompt holds ' ->', the separator that ends every prompt for this model (record 21)" in str(
        raised.value
    )
    assert "the completion holds '\\n', the stop sequence" in str(raised.value)


def test_a_model_of_the_other_kind_is_not_trained_further(backend: Recorder) -> None:
    first = Split(Dataset.from_records(PAIRS)).train(backend=backend).wait()
    with pytest.raises(ParameterError, match="learned from completion examples; these are chat examples"):
        Split(Dataset.from_records([chat(number) for number in range(12)])).train(first.model().name, backend=backend)


def test_preference_pairs_are_read_split_written_and_trained_on_as_such(tmp_path: Path, backend: Recorder) -> None:
    pairs = Dataset.from_records({"prompt": f"{n}?", "chosen": "yes", "rejected": "no"} for n in range(20))
    split = pairs.split(0.8)
    written = split.training.write(tmp_path / "pairs.jsonl")
    again = Dataset.from_jsonl(written.path)
    assert list(again) == list(split.training)
    assert again.kind == "preference"
    assert split.validate().ok
    with pytest.raises(ParameterError, match=r'preference pairs, .* Pass method="dpo" where'):
        split.train(backend=backend)
    assert backend.untouched
    job = split.train(backend=backend, method="dpo", beta=0.2).wait()
    assert (job.card.method, job.card.kind, job.card.hyperparameters.beta) == ("dpo", "preference", 0.2)
    assert job.model().complete("3?") == "yes"


def test_leaks_are_looked_for_once(backend: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large sets are read as seldom as can be: rules, template, labels, upload. Leaks are found by the keys alone."""
    split = Dataset.from_records(PAIRS).split(0.8)
    read: list[int] = []
    batches = Rows.batches

    def counted_batches(rows: Rows) -> Any:
        read.append(len(rows))
        return batches(rows)

    monkeypatch.setattr(Rows, "batches", counted_batches)
    split.train(backend=backend)
    assert read.count(len(split.training)) == 4, "rules, template, labels, upload"
