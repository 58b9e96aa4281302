"""A whole run on the tiny base, looked at from all sides, and what is refused before one starts."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from finetune_kit import Dataset, FineTuneJob, LocalBackend, ModelClient, Results
from finetune_kit.backends import Event, JobSpec, Sampling
from finetune_kit.backends.protocol import Backend
from finetune_kit.cards import ModelCard
from finetune_kit.errors import (
    BackendError,
    EngineError,
    JobFailedError,
    JobNotFoundError,
    ParameterError,
    UnknownModelError,
    WeightsError,
)
from finetune_kit.uploads import SpooledFile
from tests.backends.local.runs import colours, run_python

EPOCHS = 5
STEPS_PER_EPOCH = 4


@dataclass(frozen=True)
class Run:
    """A finished job and where it ran."""

    backend: LocalBackend
    job: FineTuneJob
    followed: tuple[Event, ...]


@pytest.fixture(scope="module")
def run(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """One job, trained once for all tests of this file that only look."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        backend = LocalBackend(home=tmp_path_factory.mktemp("home") / "engine", base=str(tiny_base))
        job = colours().train(
            "davinci", backend=backend, n_epochs=EPOCHS, learning_rate_multiplier=1.0, suffix="colours", seed=5
        )
        yield Run(backend, job, tuple(job.follow()))


@pytest.fixture
def backend(tiny_base: Path, tmp_path: Path) -> LocalBackend:
    """A fresh home on the tiny base."""
    return LocalBackend(home=tmp_path / "home", base=str(tiny_base))


def test_it_is_a_backend(backend: LocalBackend) -> None:
    """The assignment is for the type checkers."""
    as_protocol: Backend = backend
    assert as_protocol.profile.name == "local"


def test_the_job_succeeds_and_its_model_is_named_as_hosts_name_them(run: Run) -> None:
    state = run.job.wait().state
    assert state.status == "succeeded"
    assert state.fine_tuned_model == f"ft:tiny:local:colours:{run.job.id.removeprefix('ftjob-')[:8]}"
    assert (state.step, state.total_steps) == (EPOCHS * STEPS_PER_EPOCH, EPOCHS * STEPS_PER_EPOCH)
    assert state.trained_tokens
    assert state.finished_at is not None
    assert state.finished_at > state.created_at


def test_the_first_event_says_what_stands_in_for_davinci(run: Run, tiny_base: Path) -> None:
    first = run.followed[0]
    assert first.level == "warn"
    assert first.message.startswith(f"'davinci' does not exist on 'local': '{tiny_base}' stands in for it.")


def test_events_come_in_order_and_once(run: Run) -> None:
    assert run.followed == tuple(run.job.events())
    assert len({event.id for event in run.followed}) == len(run.followed)
    told = [event.message for event in run.followed if event.type == "message"][1:]
    starts = ["Created fine-tuning job", "Validating training file", "Files validated", "Training needs about"]
    for message, start in zip(told, [*starts, "New fine-tuned model created", "The job has succeeded."], strict=True):
        assert message.startswith(start)


def test_every_step_has_an_event_with_its_metrics(run: Run) -> None:
    metrics = [event.data for event in run.followed if event.type == "metrics"]
    assert [data["step"] for data in metrics] == list(range(1, EPOCHS * STEPS_PER_EPOCH + 1))
    assert all(isinstance(data["train_loss"], float) for data in metrics)
    validated = [data["step"] for data in metrics if "full_valid_loss" in data]
    assert validated == [STEPS_PER_EPOCH * epoch for epoch in range(1, EPOCHS + 1)]


def test_the_result_file_holds_the_metrics(run: Run) -> None:
    results = run.job.results()
    metrics = [event.data for event in run.followed if event.type == "metrics"]
    assert [row.train_loss for row in results.metrics] == [data["train_loss"] for data in metrics]
    assert len(results.validations) == EPOCHS
    content = run.backend.file_content(run.job.state.result_files[0])
    assert Results.parse(content) == results


def test_the_loss_falls(run: Run) -> None:
    rows = run.job.results().metrics
    first, last = rows[0].train_loss, rows[-1].train_loss
    assert first is not None
    assert last is not None
    assert last < first


def test_the_last_three_epochs_before_the_end_are_checkpoints(run: Run) -> None:
    checkpoints = run.job.checkpoints()
    assert [checkpoint.step for checkpoint in checkpoints] == [STEPS_PER_EPOCH * epoch for epoch in (2, 3, 4)]
    name = run.job.state.fine_tuned_model
    assert [one.name for one in checkpoints] == [f"{name}:ckpt-step-{one.step}" for one in checkpoints]
    folder = run.backend.home.job(run.job.id)
    assert sorted(path.name for path in folder.iterdir()) == ["model", "step-12", "step-16", "step-8"]


def test_a_checkpoint_answers_and_has_its_card(run: Run) -> None:
    checkpoint = run.job.checkpoints()[0]
    model = run.job.model(checkpoint)
    assert model.card.name == checkpoint.name
    assert str(model.classify("question 1")) in ("red", "blue")


def test_the_card_tells_what_was_asked_decided_and_measured(run: Run, tiny_base: Path) -> None:
    card = run.job.card
    assert (card.requested_model, card.base, card.seed) == ("davinci", str(tiny_base), 5)
    assert (card.labels, card.kind, card.job_id) == (("blue", "red"), "completion", run.job.id)
    chosen = card.hyperparameters
    assert (chosen.n_epochs, chosen.batch_size, chosen.learning_rate_multiplier) == (EPOCHS, 8, 1.0)
    assert chosen.prompt_loss_weight == 0.01
    assert card.training is not None
    assert card.validation is not None
    assert (card.training.rows, card.validation.rows) == (32, 8)
    assert card.scores["full_valid_loss"] == pytest.approx(run.job.results().validations[-1].valid_loss, abs=1e-5)
    assert set(card.versions) == {"finetune_kit", "torch", "transformers", "peft"}
    file = run.backend.home.job(run.job.id) / "model" / "card.json"
    assert ModelCard.model_validate_json(file.read_bytes()) == card


def test_the_adapter_is_one_that_peft_loads(run: Run) -> None:
    folder = run.backend.home.job(run.job.id) / "model"
    assert {"adapter_config.json", "adapter_model.safetensors"} <= {path.name for path in folder.iterdir()}
    assert json.loads((folder / "adapter_config.json").read_text())["peft_type"] == "LORA"


def test_the_model_answers_as_its_template_says(run: Run) -> None:
    model = run.job.model()
    answers = model.complete_many(["question 1", "question 2"], max_tokens=4)
    assert answers == [model.complete(text, max_tokens=4) for text in ("question 1", "question 2")]
    label = model.classify("question 1")
    assert sum(label.probabilities.values()) == pytest.approx(1.0)


def test_a_backend_of_its_own_finds_the_model_by_its_name(run: Run, tiny_base: Path) -> None:
    other = LocalBackend(home=run.backend.home.root, base=str(tiny_base))
    name = str(run.job.state.fine_tuned_model)
    there, here = ModelClient(name, other).classify("question 1"), run.job.model().classify("question 1")
    # One of them may have the adapter merged into weights of bfloat16, the other beside them.
    assert there.probabilities == pytest.approx(here.probabilities, abs=5e-3)
    assert run.job.id in [state.id for state in other.jobs()]


def test_the_base_model_answers_prompts_and_conversations(run: Run) -> None:
    sampling = Sampling(max_tokens=2)
    (plain,) = run.backend.complete("davinci", [""], sampling)
    (chat,) = run.backend.chat("davinci", [[{"role": "user", "content": "hello"}]], sampling)
    ((red, blue),) = run.backend.rank_chat("davinci", [[{"role": "user", "content": "hello"}]], ["red", "blue"])
    assert (plain.completion_tokens, chat.completion_tokens) == (2, 2)
    assert red + blue == pytest.approx(1.0)
    assert ModelClient("davinci", run.backend).card.requested_model == "davinci"


def test_only_its_user_can_read_the_home(run: Run) -> None:
    assert stat.S_IMODE(run.backend.home.root.stat().st_mode) == 0o700


def test_training_goes_on_from_a_fine_tuned_model(run: Run) -> None:
    name = str(run.job.state.fine_tuned_model)
    further = colours().train(name, backend=run.backend, n_epochs=1, learning_rate_multiplier=0.01).wait()
    first, last = further.results().metrics[0].train_loss, run.job.results().metrics[0].train_loss
    assert first is not None
    assert last is not None
    assert first < last, "it begins where the first training ended"
    assert further.card.template == run.job.card.template
    assert further.card.base == run.job.card.base
    assert further.card.requested_model == name


def test_the_seed_decides_the_run(run: Run, tiny_base: Path) -> None:
    again = colours().train(
        "davinci", backend=run.backend, n_epochs=EPOCHS, learning_rate_multiplier=1.0, seed=5
    )  # fmt: skip
    other = colours().train("davinci", backend=run.backend, n_epochs=1, learning_rate_multiplier=1.0, seed=6)
    assert again.wait().results() == run.job.results()
    assert other.wait().results().metrics[0] != run.job.results().metrics[0]


def test_another_process_attaches_and_gets_the_same(run: Run, tiny_base: Path) -> None:
    code = """
        import sys
        from finetune_kit import FineTuneJob, LocalBackend
        job = FineTuneJob.attach(sys.argv[1], LocalBackend(home=sys.argv[2], base=sys.argv[3])).wait()
        print(job.state.fine_tuned_model, job.results(), job.model().classify("question 1"))
    """
    done = run_python(code, run.job.id, run.backend.home.root, tiny_base)
    assert done.stderr == ""
    label = run.job.model().classify("question 1")
    assert done.stdout.strip() == f"{run.job.state.fine_tuned_model} {run.job.results()} {label}"


def test_conversations_are_trained_on_and_answered(backend: LocalBackend) -> None:
    rows = [
        {"messages": [{"role": "user", "content": f"question {i}"}, {"role": "assistant", "content": "yes"}]}
        for i in range(12)
    ]
    job = Dataset.from_records(rows).split(0.9).train("davinci", backend=backend, n_epochs=1).wait()
    assert job.card.kind == "chat"
    assert job.model().chat([{"role": "user", "content": "question 1"}], max_tokens=3).finish_reason in (
        "length",
        "stop",
    )


def test_a_relative_base_is_found_by_the_worker_too(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_base.parent)
    backend = LocalBackend(home=tmp_path / "home", base="tiny")
    job = colours(12).train("tiny", backend=backend, n_epochs=1).wait()
    assert (job.card.base, job.events()[0].level) == (str(tiny_base), "info")


def test_rows_that_cannot_be_trained_on_fail_the_job_with_their_lines(backend: LocalBackend) -> None:
    rows = [{"prompt": f"question {i}", "completion": "yes " * (3000 if i in (2, 7) else 1)} for i in range(12)]
    job = Dataset.from_records(rows).split(0.99).train("davinci", backend=backend)
    with pytest.raises(JobFailedError, match=r"the training file cannot be trained on\. line \d+: it has .* tokens"):
        job.wait()
    fault = job.state.fault
    assert fault is not None
    assert fault.code == "engine_error"
    assert job.events()[-1].level == "error"


# refused before anything is started


def test_an_unknown_model_names_those_there_are(backend: LocalBackend, tiny_base: Path) -> None:
    with pytest.raises(UnknownModelError, match=r"knows no model 'davincy'. Did you mean 'davinci'\?") as caught:
        colours().train("davincy", backend=backend)
    assert {str(tiny_base), "smollm2-135m", "davinci"} <= set(caught.value.known)


def test_an_unknown_fine_tuned_model_names_those_there_are(run: Run) -> None:
    with pytest.raises(UnknownModelError) as caught:
        colours().train("ft:tiny:local::none", backend=run.backend)
    assert run.job.state.fine_tuned_model in caught.value.known


def test_an_unknown_job_names_the_home(backend: LocalBackend) -> None:
    with pytest.raises(JobNotFoundError, match=str(backend.home.root)):
        FineTuneJob.attach("ftjob-none", backend)


def test_an_unknown_launcher_is_refused(tiny_base: Path, tmp_path: Path) -> None:
    backend = LocalBackend(home=tmp_path, base=str(tiny_base), launcher="rocket")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(ParameterError, match="launcher='rocket' is not known"):
        colours().train(backend=backend)


def test_a_base_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="there is no folder"):
        colours().train(backend=LocalBackend(home=tmp_path / "home", base=str(tmp_path / "nowhere")))
    (tmp_path / "empty").mkdir()
    with pytest.raises(WeightsError, match=r"holds no config\.json"):
        colours().train(backend=LocalBackend(home=tmp_path / "home", base=str(tmp_path / "empty")))


def test_a_base_with_damaged_weights_says_so(tiny_base: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in tiny_base.iterdir():
        content = file.read_bytes()
        (broken / file.name).write_bytes(content[:500] if file.suffix == ".safetensors" else content)
    with pytest.raises(WeightsError, match="cannot be loaded"):
        ModelClient("davinci", LocalBackend(home=tmp_path / "home", base=str(broken))).chat(
            [{"role": "user", "content": "hello"}]
        )


def test_a_device_that_is_not_there_is_refused(tiny_base: Path, tmp_path: Path) -> None:
    backend = LocalBackend(home=tmp_path / "home", base=str(tiny_base), device="quantum")
    with pytest.raises(EngineError, match="the device 'quantum' cannot be used"):
        backend.complete("davinci", ["a"], Sampling())


def test_a_file_that_is_not_there_is_named(backend: LocalBackend) -> None:
    with pytest.raises(BackendError, match="no file 'file-none'"):
        backend.file_content("file-none")


def test_without_torch_the_pip_line_is_said(tmp_path: Path, tiny_base: Path) -> None:
    code = """
        import sys
        sys.modules["torch"] = None
        from finetune_kit import Dataset, LocalBackend
        from finetune_kit.errors import MissingExtraError
        backend = LocalBackend(home=sys.argv[1], base=sys.argv[2])
        data = Dataset.from_records([(f"question {i}", "yes") for i in range(12)]).split(0.8)
        for call in (lambda: data.train(backend=backend), lambda: backend.rank("davinci", ["a"], ["b", "c"])):
            try:
                call()
            except MissingExtraError as error:
                print(error)
    """
    done = run_python(code, tmp_path / "home", tiny_base)
    line = (
        "The engine on this machine needs the package 'torch', which is not installed. "
        'Install it: pip install torch==2.13.0 "finetune_kit[local]"'
    )
    assert (done.stdout.splitlines(), done.stderr) == ([line, line], "")
    assert not (tmp_path / "home").exists()


def test_a_spec_is_started_without_the_chain(backend: LocalBackend) -> None:
    """As a server would, from files that were uploaded before."""
    lines = [b'{"prompt": "a ->", "completion": " b\\n"}'] * 12
    resolved = backend.resolve("davinci")
    card = ModelCard(base=resolved.model, requested_model="davinci", kind="completion")
    file = backend.upload(SpooledFile.of(lines, filename="training.jsonl")).id
    job = FineTuneJob(backend.start(JobSpec(model=resolved, training_file=file, card=card)), backend)
    assert job.wait().state.fine_tuned_model
    assert job.results().validations == ()
