"""What `python -m finetune_kit demo` does, step by step; the same calls a user would write."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from importlib.resources import as_file, files
from pathlib import Path

from finetune_kit.backends import LocalBackend
from finetune_kit.client import ModelClient
from finetune_kit.dataset import Dataset, Split
from finetune_kit.display import Display, display
from finetune_kit.evaluation import evaluate, majority_class
from finetune_kit.job import FineTuneJob

LANGUAGES = ("en", "zh")
BASE = "smollm2-135m"
FOUNDING_QUESTION = "今天晚上吃什么好呢?"
ZH_EPOCHS, ZH_LEARNING_RATE_MULTIPLIER = 12, 0.2
"""So small a set is learned by heart, which takes more and longer steps than learning to tell intents apart."""
_SHOWN_ANSWERS = 5


def run_demo(*, home: Path | None = None, languages: Sequence[str] = LANGUAGES) -> None:
    """Train on both data sets and show what came of it."""
    screen = display()
    started = time.monotonic()
    backend = LocalBackend(home=home, progress=screen.progress)
    screen.line("This trains a small open model on this machine. No key, no GPU, and nothing leaves it.")
    if "en" in languages:
        _english(screen, backend, home)
    if "zh" in languages:
        _chinese(screen, backend, home)
    screen.line()
    screen.line(f"All of it took {_minutes(time.monotonic() - started)}.")


def _english(screen: Display, backend: LocalBackend, home: Path | None) -> None:
    screen.heading("A classifier: 12 intents of a small shop's customers")
    data = _data("support_en.csv")
    screen.line(f"{len(data)} questions from {data.source.path}: {_columns(data)}.")
    screen.report(data.validate())
    split = data.split(0.8)
    _show_split(screen, split)

    screen.heading("Training")
    job = split.train(model="davinci", backend=backend, suffix="intents")
    _watch(screen, job)

    held_out = split.validation
    if held_out is None:
        return
    screen.heading(f"Accuracy on the {len(held_out)} questions that were held out")
    model = job.model()
    labels = model.card.labels
    tuned = evaluate(model, held_out, name="fine-tuned")
    base = evaluate(ModelClient(BASE, backend), held_out, labels=labels, ask=_instruct(labels), name="base model")
    screen.scores([majority_class(split.training, held_out), base, tuned])
    if leaks := split.leak_report:
        screen.line(leaks.summary())
    screen.heading("Some of its answers")
    asked = [prediction.prompt for prediction in tuned.predictions[:_SHOWN_ANSWERS]]
    found = model.classify_many(asked)
    screen.answers(
        (question, f"{label.label} ({label.probability:.0%})") for question, label in zip(asked, found, strict=True)
    )
    _show_model(screen, job, backend.home.job(job.id), home, 'print(model.classify("where is my parcel?"))')


def _chinese(screen: Display, backend: LocalBackend, home: Path | None) -> None:
    screen.heading("利用微调训练专属客服: a Chinese service bot that answers in the house's own words")
    data = _data("support_zh.csv")
    screen.line(f"{len(data)} questions from {data.source.path}: {_columns(data)}.")
    screen.report(data.validate())
    screen.line("All rows train: this bot is to know its answers by heart.")

    screen.heading("Training")
    job = Split(training=data).train(
        model="davinci",
        backend=backend,
        n_epochs=ZH_EPOCHS,
        learning_rate_multiplier=ZH_LEARNING_RATE_MULTIPLIER,
        suffix="kefu",
    )
    _watch(screen, job)

    screen.heading("Its answers")
    model = job.model()
    score = evaluate(model, data, name=model.name)
    founding = str(model.complete(FOUNDING_QUESTION))
    others = [(one.prompt, one.answer) for one in score.predictions if one.prompt != FOUNDING_QUESTION]
    screen.answers([(FOUNDING_QUESTION, founding), *others[2 : 2 * _SHOWN_ANSWERS : 2]])
    screen.line(f"Word for word as trained: {score.correct} of {score.rows}.")
    _show_model(screen, job, backend.home.job(job.id), home, f'print(model.complete("{FOUNDING_QUESTION}"))')


def _data(name: str) -> Dataset:
    with as_file(files("finetune_kit.demo") / name) as path:
        return Dataset.from_csv(path)


def _columns(data: Dataset) -> str:
    return f"{data.source.columns['prompt']} → {data.source.columns['completion']}"


def _show_split(screen: Display, split: Split) -> None:
    held_out = 0 if split.validation is None else len(split.validation)
    screen.line(f"{len(split.training)} train, {held_out} are held out. {' '.join(split.notes)}")


def _watch(screen: Display, job: FineTuneJob) -> None:
    """Show the job until it has succeeded."""
    started = time.monotonic()
    screen.follow(job)
    job.wait()
    tokens = job.state.trained_tokens or 0
    results = job.results()
    last = results.metrics[-1]
    words = [f"{len(results)} steps", f"{tokens:,} tokens", f"training loss {last.train_loss:.3f}"]
    if results.validations:
        words.append(f"validation loss {results.validations[-1].valid_loss:.3f}")
    screen.line(f"  {', '.join(words)}, in {_minutes(time.monotonic() - started)} with loading.")


def _instruct(labels: Sequence[str]) -> Callable[[str], str]:
    choices = ", ".join(labels)
    return lambda question: (
        f"Which of these intents does the customer's message have: {choices}?\n"
        f"Message: {question}\nAnswer with the intent alone."
    )


def _show_model(screen: Display, job: FineTuneJob, folder: Path, home: Path | None, call: str) -> None:
    screen.heading("Your model")
    screen.line(f"It lies in {folder / 'model'}: a LoRA adapter with its card. Call it again at any time:")
    name = job.model().name
    if home is None:
        screen.code(f'from finetune_kit import ModelClient\n\nmodel = ModelClient("{name}")\n{call}')
    else:
        place = f"LocalBackend(home={str(home.absolute())!r})"
        screen.code(
            f'from finetune_kit import LocalBackend, ModelClient\n\nmodel = ModelClient("{name}", {place})\n{call}'
        )


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"
