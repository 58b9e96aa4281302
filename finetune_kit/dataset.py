"""`Dataset` and `Split`: the only place where the chain is joined."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from finetune_kit.backends import Backend, JobSpec, connect
from finetune_kit.cards import Hyperparameters, ModelCard
from finetune_kit.errors import ParameterError
from finetune_kit.formats import rendered_lines
from finetune_kit.hosts import FINE_TUNED_PREFIX, HostProfile
from finetune_kit.job import FineTuneJob
from finetune_kit.labels import closed_labels
from finetune_kit.leaks import LeakReport, leak_report
from finetune_kit.readers import ReadResult, read_csv, read_jsonl, read_records
from finetune_kit.records import CompletionExample, Example, Kind
from finetune_kit.rows import Rows, Source
from finetune_kit.splitters import Splitter
from finetune_kit.templates import PromptTemplate
from finetune_kit.validators import (
    DEFAULT,
    ESSENTIAL,
    AnyValidator,
    MinimumExamples,
    Report,
    check_disjoint,
    validate,
)


class Dataset:
    """Examples of one kind, and where each came from. It is never changed: every method gives a new one.

    >>> data = Dataset.from_records([("Where is my parcel?", "track"), ("I want my money back", "refund")])
    >>> len(data), data.kind
    (2, 'completion')
    """

    def __init__(self, rows: Rows, source: Source) -> None:
        self._rows, self._source = rows, source

    @classmethod
    def from_csv(
        cls,
        path: str | os.PathLike[str],
        *,
        prompt: str | None = None,
        completion: str | None = None,
        encoding: str | None = None,
        delimiter: str | None = None,
    ) -> Dataset:
        """Read a table with a header. Columns, encoding and delimiter are found out, and `source` tells them, unless given.

        Raises a `DataError` that names file and line; rows that cannot be read are kept in `source.refusals`.
        """
        return cls._of(read_csv(path, prompt=prompt, completion=completion, encoding=encoding, delimiter=delimiter))

    @classmethod
    def from_jsonl(
        cls,
        path: str | os.PathLike[str],
        *,
        prompt: str | None = None,
        completion: str | None = None,
        encoding: str | None = None,
    ) -> Dataset:
        """Read JSON Lines of prompts and completions, or of conversations (`messages`)."""
        return cls._of(read_jsonl(path, prompt=prompt, completion=completion, encoding=encoding))

    @classmethod
    def from_records(
        cls, records: Iterable[object], *, prompt: str | None = None, completion: str | None = None
    ) -> Dataset:
        """Take dicts as JSON Lines holds them, (prompt, completion) pairs, or examples."""
        return cls._of(read_records(records, prompt=prompt, completion=completion))

    @classmethod
    def _of(cls, result: ReadResult) -> Dataset:
        return cls(result.rows, result.source)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Example:
        return self._rows[index]

    def __iter__(self) -> Iterator[Example]:
        return iter(self._rows)

    def __repr__(self) -> str:
        refused = f", {self.source.rows_refused:,} refused" if self.source.rows_refused else ""
        return f"<Dataset: {len(self):,} {self.kind} examples from {self.source.path or 'records'}{refused}>"

    @property
    def kind(self) -> Kind:
        """`completion` or `chat`."""
        return self._rows.kind

    @property
    def source(self) -> Source:
        """What was read and how it was understood: path, encoding, columns, rows read and refused."""
        return self._source

    @property
    def rows(self) -> Rows:
        """The rows as validators and splitters see them."""
        return self._rows

    @property
    def labels(self) -> tuple[str, ...]:
        """The completions, sorted, where they look like labels of a closed set; else nothing."""
        return closed_labels(self._rows)

    def without_refused(self) -> Dataset:
        """The same rows, with those that could not be read given up on purpose, so that `train` does not object."""
        return Dataset(self._rows, replace(self._source, rows_refused=0, refusals=()))

    def validate(self, validators: Sequence[AnyValidator] | None = None) -> Report:
        """Check every row, refused ones included, in one pass; by default with all of the library's rules."""
        return validate(self._rows, DEFAULT if validators is None else validators, source=self._source)

    def split(
        self,
        fraction: float | Splitter = 0.8,
        *,
        seed: int = 0,
        stratify: str | None = None,
        group: str | None = None,
        test: float = 0.0,
    ) -> Split:
        """Part the rows into training and validation, and a test set on request. Equal prompts stay on one side.

        `fraction` is the share of training, or a `Splitter` that says it all. See `Splitter` for the other settings.
        """
        if isinstance(fraction, Splitter):
            splitter = fraction
        else:
            splitter = Splitter(fraction=fraction, seed=seed, stratify=stratify, group=group, test=test)
        sides = splitter.split(self._rows)
        return Split(
            training=self._take(sides.training),
            validation=self._take(sides.validation, refusals=False),
            test=self._take(sides.test, refusals=False) if splitter.test else None,
            notes=sides.notes,
        )

    def _take(self, indices: Sequence[int], *, refusals: bool = True) -> Dataset:
        # Refused rows belong to no side; they stay with the first, so that they are reported once.
        part = Dataset(self._rows.take(indices), self._source)
        return part if refusals else part.without_refused()


@dataclass(frozen=True, slots=True)
class Split:
    """Named data sets and the door to training. Make one by `Dataset.split`, or of two files that were split before."""

    training: Dataset
    validation: Dataset | None = None
    test: Dataset | None = None
    notes: tuple[str, ...] = ()
    """What the splitter decided, in sentences."""

    @property
    def leak_report(self) -> LeakReport | None:
        """What training and validation share; None without a validation set."""
        return None if self.validation is None else leak_report(self.training.rows, self.validation.rows)

    def validate(self, validators: Sequence[AnyValidator] = ()) -> Report:
        """What `train` checks at its door: the essential rules on both sides, yours, and that the sides share nothing."""
        report = self.training.validate((*ESSENTIAL, *validators))
        if self.validation is not None:
            if self.validation.kind != self.training.kind:
                raise ParameterError(
                    f"the training set holds {self.training.kind} examples and the validation set "
                    f"{self.validation.kind} examples. Use one kind for both.",
                    parameter="validation",
                )
            rules = [rule for rule in (*ESSENTIAL, *validators) if not isinstance(rule, MinimumExamples)]
            report = report.merge(self.validation.validate(rules))
            report = report.merge(Report.collect(check_disjoint(self.training.rows, self.validation.rows)))
        return report

    def train(
        self,
        model: str = "curie",
        *,
        backend: Backend | None = None,
        validators: Sequence[AnyValidator] = (),
        n_epochs: int = 4,
        batch_size: int | None = None,
        learning_rate_multiplier: float | None = None,
        prompt_loss_weight: float | None = None,
        suffix: str | None = None,
        seed: int | None = None,
    ) -> FineTuneJob:
        """Check the data, start a fine-tuning job and return without waiting for it.

        `model` is a base model, an alias such as `davinci` (the job's first event tells what stands in for it), or an
        earlier fine-tuned model to train further. `batch_size`, `learning_rate_multiplier` and `prompt_loss_weight` are
        the backend's own choice if left out; the card tells what was taken. `suffix` becomes part of the model's name.

        Raises `ValidationError` with one report of all faults in the data, `UnknownModelError`, `ParameterError`, or what
        keeps the backend from working, such as `MissingExtraError`; nothing has been started then.
        """
        place = connect(backend)
        settings = Hyperparameters.model_construct(  # unchecked: the checks below say more than pydantic's would
            n_epochs=n_epochs,
            batch_size=batch_size,
            learning_rate_multiplier=learning_rate_multiplier,
            prompt_loss_weight=prompt_loss_weight,
        )
        _check_settings(settings, suffix, place.profile)
        resolved = place.resolve(model)
        self.validate(validators).raise_if_errors()
        place.preflight(resolved)
        earlier = place.card(resolved.model) if resolved.model.startswith(FINE_TUNED_PREFIX) else None
        template = self._template(earlier)
        leaks = self.leak_report
        card = ModelCard(
            base=earlier.base if earlier is not None else resolved.model,
            requested_model=model,
            backend=place.profile.name,
            kind=self.training.kind,
            template=template,
            labels=self.training.labels,
            hyperparameters=settings,
            seed=seed or 0,
            leak_report=leaks.summary() if leaks is not None else "",
        )
        spec = JobSpec(
            model=resolved,
            training_file=place.upload(rendered_lines(self.training.rows, template), filename="training.jsonl"),
            validation_file=None
            if self.validation is None
            else place.upload(rendered_lines(self.validation.rows, template), filename="validation.jsonl"),
            hyperparameters=settings,
            suffix=suffix,
            seed=seed or 0,
            card=card,
        )
        return FineTuneJob(place.start(spec), place)

    def _template(self, earlier: ModelCard | None) -> PromptTemplate | None:
        """Chosen over all sides, so that nothing in them can be mistaken for it; kept where a model is trained further."""
        if earlier is not None and earlier.kind != self.training.kind:
            raise ParameterError(
                f"{earlier.name} learned from {earlier.kind} examples; these are {self.training.kind} examples. "
                "Convert them, or start from a base model.",
                parameter="model",
            )
        if self.training.kind == "chat":
            return None
        if earlier is not None:
            return earlier.template
        sides = (side for side in (self.training, self.validation, self.test) if side is not None)
        return PromptTemplate.choose(
            example for side in sides for example in side if isinstance(example, CompletionExample)
        )


def _check_settings(settings: Hyperparameters, suffix: str | None, profile: HostProfile) -> None:
    """Refuse what the host would refuse, before anything is uploaded."""
    _check_whole("n_epochs", settings.n_epochs, profile.n_epochs_range)
    if settings.batch_size is not None:
        _check_whole("batch_size", settings.batch_size, profile.batch_size_range)
    multiplier, most = settings.learning_rate_multiplier, profile.learning_rate_multiplier_max
    if multiplier is not None and not (_is_number(multiplier) and 0 < multiplier <= most):
        raise ParameterError(
            f"learning_rate_multiplier={multiplier!r}: {profile.name!r} takes numbers above 0 and up to {most:g}; "
            "0.02 to 0.2 are worth trying.",
            parameter="learning_rate_multiplier",
        )
    weight = settings.prompt_loss_weight
    if weight is not None and not (_is_number(weight) and 0 <= weight <= 1):
        raise ParameterError(
            f"prompt_loss_weight={weight!r}: give a number from 0 (prompts are not learned) to 1 (as completions).",
            parameter="prompt_loss_weight",
        )
    if suffix is not None and not _good_suffix(suffix, profile.max_suffix_characters):
        raise ParameterError(
            f"suffix={suffix!r}: give 1 to {profile.max_suffix_characters} letters, digits, dashes or underscores.",
            parameter="suffix",
        )


def _check_whole(name: str, value: object, allowed: tuple[int, int]) -> None:
    low, high = allowed
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ParameterError(f"{name}={value!r}: give a whole number from {low} to {high}.", parameter=name)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _good_suffix(suffix: str, most: int) -> bool:
    return 0 < len(suffix) <= most and all(letter.isalnum() or letter in "-_" for letter in suffix)
