"""How often a model is right on examples it has not learned from, beside what guessing would reach."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from finetune_kit._intervals import share_interval
from finetune_kit.client import ModelClient
from finetune_kit.errors import ParameterError
from finetune_kit.records import CompletionExample, Example


@dataclass(frozen=True, slots=True)
class Prediction:
    """One example and what was answered."""

    prompt: str
    expected: str
    answer: str

    @property
    def correct(self) -> bool:
        """Whether the answer is the expected one, character for character."""
        return self.answer == self.expected


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Exact-match accuracy over a set of examples."""

    name: str
    """The model, or the kind of guess."""
    predictions: tuple[Prediction, ...]
    leak_report: str = ""
    """How the validation set of the model overlapped with its training set, in the words of its card."""

    @property
    def rows(self) -> int:
        """How many examples were tried."""
        return len(self.predictions)

    @property
    def correct(self) -> int:
        """How many were answered exactly."""
        return sum(prediction.correct for prediction in self.predictions)

    @property
    def accuracy(self) -> float:
        """The share of them."""
        return self.correct / self.rows

    @property
    def interval(self) -> tuple[float, float]:
        """Where the accuracy on many more such examples lies, with 95 % confidence (Wilson's score interval)."""
        return share_interval(self.correct, self.rows)

    def __repr__(self) -> str:
        low, high = self.interval
        score = f"{self.correct}/{self.rows} = {self.accuracy:.1%} ({low:.0%} to {high:.0%})"
        return f"<Evaluation of {self.name}: {score}{self.leak_report and '. ' + self.leak_report}>"


def evaluate(
    model: ModelClient,
    dataset: Iterable[Example],
    *,
    labels: Sequence[str] | None = None,
    ask: Callable[[str], str] | None = None,
    name: str | None = None,
) -> Evaluation:
    """Exact-match accuracy of `model` on examples of prompt and completion.

    With `labels`, or where the model was trained on a closed set, `classify` answers; else greedy `complete` does.
    `ask` turns a prompt into what this model is asked, for one that was not trained on such prompts.
    """
    examples = _examples(dataset)
    prompts = [ask(example.prompt) if ask is not None else example.prompt for example in examples]
    if labels is not None or model.card.labels:
        answers = [found.label for found in model.classify_many(prompts, labels=labels)]
    else:
        answers = [str(completion) for completion in model.complete_many(prompts)]
    return _scored(name or model.name, examples, answers, leak_report=model.card.leak_report)


def majority_class(training: Iterable[Example], dataset: Iterable[Example]) -> Evaluation:
    """The accuracy of always giving the most frequent completion of `training`: what a score has to beat."""
    counts = Counter(example.completion for example in _examples(training))
    (guess, _) = max(counts.items(), key=lambda item: (item[1], item[0]))
    examples = _examples(dataset)
    return _scored("majority class", examples, [guess] * len(examples))


def _examples(dataset: Iterable[Example]) -> list[CompletionExample]:
    examples = list(dataset)
    if not examples:
        raise ParameterError("there is no example to evaluate on.", parameter="dataset")
    return [_completion_example(example) for example in examples]


def _completion_example(example: Example) -> CompletionExample:
    if isinstance(example, CompletionExample):
        return example
    raise ParameterError(
        "evaluate takes examples of prompt and completion; these are conversations.", parameter="dataset"
    )


def _scored(
    name: str, examples: Sequence[CompletionExample], answers: Sequence[str], *, leak_report: str = ""
) -> Evaluation:
    return Evaluation(
        name=name,
        predictions=tuple(
            Prediction(prompt=example.prompt, expected=example.completion, answer=answer)
            for example, answer in zip(examples, answers, strict=True)
        ),
        leak_report=leak_report,
    )
