"""`Dataset` and `Split`: the only place where the chain is joined."""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import compress
from typing import Any, Self, cast, overload

from finetune_kit._arguments import string, whole_number
from finetune_kit._constructors import Constructors
from finetune_kit._quoting import counted
from finetune_kit._user_code import name_of
from finetune_kit.backends import Backend
from finetune_kit.changes import ChangeLog, RuleCount
from finetune_kit.conversions import Converted, to_chat, to_completion
from finetune_kit.costs import CostEstimate, estimate_cost
from finetune_kit.counts import How, TokenCounts
from finetune_kit.errors import ParameterError
from finetune_kit.fixes import AnyFix, Cleaned, chosen
from finetune_kit.hosts import Method, file_rules
from finetune_kit.job import FineTuneJob
from finetune_kit.labels import closed_labels
from finetune_kit.leaks import LeakReport, leak_report
from finetune_kit.metering import meter
from finetune_kit.preview import Preview, preview
from finetune_kit.readers import ReadResult
from finetune_kit.records import Example, Kind
from finetune_kit.repeats import repeated_rows
from finetune_kit.rows import Rows, Source
from finetune_kit.sides import Side, Sides, completions
from finetune_kit.sources import joined, noted, with_refused, without_refused
from finetune_kit.splitters import EarlierSides, SplitIndices, Splitter, earlier_sides
from finetune_kit.templates import PromptTemplate
from finetune_kit.tokens import TEXTS
from finetune_kit.training import Wanted, as_rules, train
from finetune_kit.training_options import TrainingOptions
from finetune_kit.transforms import concat_rows, filter_rows, map_rows, sample_rows
from finetune_kit.validators import (
    AnyValidator,
    Report,
    Validator,
    default_rules,
    essential_rules,
    installed_rules,
    validate,
)
from finetune_kit.writing import WrittenFile, write_refused, write_rows


class Dataset(Constructors):
    """Examples of one kind, and where each came from. It is never changed: every method gives a new one.

    >>> data = Dataset.from_records([("Where is my parcel?", "track"), ("I want my money back", "refund")])
    >>> len(data), data.kind
    (2, 'completion')
    """

    def __init__(self, rows: Rows, source: Source, *, cleaned: Cleaned | None = None) -> None:
        self._rows, self._source, self._cleaned = rows, source, cleaned

    @classmethod
    def _of(cls, result: ReadResult) -> Self:
        return cls(result.rows, result.source)

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> Dataset: ...
    def __getitem__(self, index: int | slice) -> Example | Dataset:
        if isinstance(index, slice):
            return Dataset(self._rows[index], self._source)
        return self._rows[index]

    def __iter__(self) -> Iterator[Example]:
        return iter(self._rows)

    def __repr__(self) -> str:
        refused = f", {self.source.rows_refused:,} refused" if self.source.rows_refused else ""
        return f"<Dataset: {len(self):,} {self.kind} examples from {self.source.name}{refused}>"

    @property
    def kind(self) -> Kind:
        """`completion`, `chat` or `preference`."""
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
        return self._labels

    @cached_property
    def _labels(self) -> tuple[str, ...]:
        return closed_labels(self._rows)

    def map(self, fn: Callable[[Any], Example]) -> Dataset:
        """What `fn` makes of each example; rows keep their origin, and the kind may become another one.

        `fn` gives an example back, as `dataclasses.replace` does. `ParameterError` that names the row where it raises
        or gives something else.
        """
        note = f"To each of {counted(len(self), 'example')}, {name_of(fn)} was applied."
        return Dataset(map_rows(self._rows, fn), noted(self._source, note))

    def filter(self, fn: Callable[[Any], bool]) -> Dataset:
        """The examples for which `fn` returns True; `ParameterError` that names the row where it raises."""
        kept = filter_rows(self._rows, fn)
        note = f"Of {counted(len(self), 'example')}, {name_of(fn)} kept {len(kept):,}."
        return Dataset(self._rows.take(kept), noted(self._source, note))

    def concat(self, *others: Dataset) -> Dataset:
        """These examples and then the others', each with its own file and line."""
        sets = [self, *others]
        # Most people run no type checker, and a list of data sets is easily passed as it is.
        strangers = [other for other in cast("Sequence[object]", others) if not isinstance(other, Dataset)]
        if strangers:
            what = type(strangers[0]).__name__
            raise ParameterError(f"{what} is not a Dataset. Make one of it first.", parameter="other")
        rows = concat_rows([data.rows for data in sets])
        return Dataset(rows, joined([data.source for data in sets], [len(data) for data in sets]))

    def sample(self, n: int, *, seed: int = 0) -> Dataset:
        """`n` examples drawn by lot, in the order in which they stand; the same ones for the same seed."""
        chosen = sample_rows(len(self), n, seed=seed)
        note = f"Of {counted(len(self), 'example')}, {n:,} were drawn with seed {seed}."
        return Dataset(self._rows.take(chosen), noted(self._source, note))

    def to_chat(self, system: str | None = None) -> Dataset:
        """Conversations of these examples: a question by the user and an answer by the assistant.

        `system` is what a system message says before each; a conversation that begins with one keeps its own. Of
        preference pairs, the preferred answer is taken.
        """
        if self.kind == "chat" and system is None:
            return self
        return self._converted(to_chat(self._rows, system))

    def to_completion(self, template: str | None = None) -> Dataset:
        """Prompts and completions of these conversations.

        Without a `template`, a conversation is one turn by the user and one by the assistant. With one, such as
        "{role}: {text}\\n", all turns before the last are written so, one behind the other, and become the prompt.
        What has no place in them (tools, images, weights of earlier turns) is refused like a row that cannot be read.
        """
        if self.kind == "completion":
            return self
        return self._converted(to_completion(self._rows, template))

    def _converted(self, made: Converted) -> Dataset:
        source = (
            with_refused(self._source, made.refused, made.refusals, made.refused_rows) if made.refused else self._source
        )
        return Dataset(made.rows, noted(source, *made.notes))

    def take(self, indices: Sequence[int]) -> Dataset:
        """The examples at these indices, in that order; `IndexError` for one that is not there."""
        return Dataset(self._rows.take(indices), self._source)

    def without_refused(self) -> Dataset:
        """The same rows, with those that could not be read given up on purpose, so that `train` does not object."""
        cleaned = self._cleaned and replace(self._cleaned, source=without_refused(self._cleaned.source))
        return Dataset(self._rows, without_refused(self._source), cleaned=cleaned)

    def without_duplicates(self) -> Dataset:
        """The same rows without those whose content an earlier row has; `source.notes` tells how many that were."""
        repeats = array("Q", (row for row, _ in repeated_rows(self._rows)))
        if not repeats:
            return self
        wanted = bytearray(b"\1") * len(self)
        for row in repeats:
            wanted[row] = 0
        kept = self._rows.take(array("Q", compress(range(len(self)), wanted)))
        which = "row that repeats an earlier one was" if len(repeats) == 1 else "rows that repeat an earlier one were"
        return Dataset(kept, noted(self._source, f"{len(repeats):,} {which} left out, as asked."))

    def clean(self, report: Report | None = None, *, fixes: Iterable[AnyFix | str] | None = None) -> Dataset:
        """The examples after what is safe was done: see `finetune_kit.fixes.SAFE`; `changes` tells all of it.

        With a `report`, only what it found is mended, all of it, also beyond the findings that it keeps in full.
        `fixes` names others instead, such as `["lower_case"]`, fix objects such as `StripPrefix("Answer: ")`, and
        functions decorated with `@row_fix`; `"safe"` among them stands for all that are safe.
        """
        before = self._cleaned or Cleaned(self._rows, self._source)
        after = before.clean(chosen(fixes, report))
        if after is before:
            return self
        return Dataset(after.rows, noted(self._source, after.notes()[-1]), cleaned=after)

    @property
    def changes(self) -> ChangeLog[Dataset]:
        """What `clean` has done to these examples, each row before and after; empty after any other method."""
        return ChangeLog(self._rows, self._cleaned.passes if self._cleaned else (), self._without)

    def undo(self, *codes: str) -> Dataset:
        """The data set without what the fixes of these rules did; of all of them, if none is named."""
        return self.changes.undo(*codes)

    def _without(self, codes: tuple[str, ...]) -> Dataset:
        if self._cleaned is None:
            return self
        left = self._cleaned.without(codes) if codes else replace(self._cleaned, stages=())
        return Dataset(left.rows, noted(left.source, *left.notes()), cleaned=left if left.stages else None)

    def write(self, path: str | os.PathLike[str], *, host: str = "openai") -> WrittenFile:
        """Write the rows as JSON Lines in UTF-8, with a byte-order mark where `host` wants one.

        `host` is `openai`, `azure` (which wants the mark) or `local`.
        Metadata stay behind, and no separator or stop sequence is added: what was written reads back equal. The file is
        there as a whole or, on an error, not at all. Raises `FileTooLargeError`, which says how many rows would fit,
        and `StorageError`.
        """
        return write_rows(self._rows, path, file_rules(host))

    def write_refused(self, path: str | os.PathLike[str]) -> WrittenFile:
        """Write all rows that could not be read, to be mended: JSON Lines with line, reason, hint and the row itself.

        `row` is the row's text, or the object that it was in memory. Raises `StorageError`; the file is there as a
        whole or not at all.
        """
        return write_refused(self._source.refused_rows, path)

    def validate(
        self, validators: Sequence[AnyValidator] | None = None, *, host: str = "openai", model: str | None = None
    ) -> Report:
        """Check every row, refused ones included, in one pass; by default with all of the library's rules.

        Rules of installed plug-ins are asked with them, as docs/plugins.md tells.

        `host` is where the file shall be trained on, one of those that `write` knows, and `model` the model that shall
        learn from it: some rules depend on them.
        """
        if validators is not None:
            return validate(self._rows, as_rules(validators), source=self._source)
        rules = (*default_rules(host, model=model, source=self._source), *installed_rules())
        return validate(self._rows, rules, source=self._source, host=host)

    def preview(
        self, n: int = 3, *, model: str | None = None, host: str | None = None, backend: Backend | None = None
    ) -> Preview:
        """`Split.preview` of all examples, as if they were the training set."""
        return Split(self).preview(n, model=model, host=host, backend=backend)

    def token_counts(
        self,
        model: str,
        *,
        host: str | None = None,
        backend: Backend | None = None,
        template: PromptTemplate | None = None,
        how: How = "auto",
    ) -> TokenCounts:
        """How many tokens these examples have for `model`: in all, trained on, for each example.

        A small set is counted in full, a large one by a sample with its interval; `how` is `exact` or `sample` to say
        so. Without `host`, the first that knows the model. Prompts and completions are counted with the template that
        `train` would choose for them, or with `template`.
        """
        found = meter(string("model", model), self.kind, host=host, backend=backend)
        if found.templated and template is None:
            template = self._template
        return found.count(self._rows, template, how)

    @cached_property
    def _template(self) -> PromptTemplate:
        return PromptTemplate.choose(completions([self]))

    def split(
        self,
        fraction: float | Splitter = 0.8,
        *,
        seed: int = 0,
        stratify: str | None = None,
        group: str | None = None,
        test: float = 0.0,
        time: str | None = None,
        near: bool | float | None = None,
        previous: Split | SplitIndices | None = None,
    ) -> Split:
        """Part the rows into training and validation, and a test set on request. Equal prompts stay on one side.

        `fraction` is the share of training, or a `Splitter` that says it all. `stratify`, `group` and `time` name a
        column: each of its values gets the same share on every side, its rows stay together, its oldest rows train.
        With `near=True` nearly the same prompts stay on one side too, as they do in small sets. `previous` is a split
        of these rows when there were fewer: what was on a side stays there. See `Splitter` for more.

        Raises `SplitError`, which says what stands in the way.
        """
        if isinstance(fraction, Splitter):
            splitter = fraction
        else:
            splitter = Splitter(
                fraction=fraction, seed=seed, stratify=stratify, group=group, test=test, time=time, near=near
            )
        if previous is not None:
            earlier = _sides_of(previous) if isinstance(previous, Split) else earlier_sides(previous, self._rows)
            splitter = replace(splitter, previous=earlier)
        sides = splitter.split(self._rows)
        # Refused rows belong to no side; they stay with the first, so that they are reported once.
        return Split(
            training=self.take(sides.training),
            validation=self.take(sides.validation).without_refused(),
            test=self.take(sides.test).without_refused() if splitter.test else None,
            notes=sides.notes,
            cleaned=self.changes.by_rule,
        )


@dataclass(frozen=True, slots=True)
class Split:
    """Named data sets and the door to training. Make one by `Dataset.split`, or of two files that were split before."""

    training: Dataset
    validation: Dataset | None = None
    test: Dataset | None = None
    notes: tuple[str, ...] = ()
    """What the splitter decided, in sentences."""
    cleaned: tuple[RuleCount, ...] = ()
    """What `clean` had done to the examples before they were split, rule by rule."""

    @property
    def leak_report(self) -> LeakReport | None:
        """What training and validation share, looked up in all their rows; None without a validation set."""
        return None if self.validation is None else leak_report(self.training.rows, self.validation.rows)

    def validate(
        self, validators: Sequence[AnyValidator] | None = None, *, host: str = "openai", model: str | None = None
    ) -> Report:
        """Check all sides, and that training shares nothing with the others.

        By default that is all of the library's rules, as `Dataset.validate` has them; what is said of a set as a whole
        is said of the training set. With `validators` it is what `train` asks: the essential rules and yours.
        """
        if validators is not None:
            return self._sides.inspect((*essential_rules(host), *as_rules(validators)))[0]
        rules = (*default_rules(host, model=model, source=self.training.source), *installed_rules())
        sides = self._sides
        report = sides.inspect(rules, held_out=[rule for rule in rules if isinstance(rule, Validator)])[0]
        return report.merge(sides.unseen_labels())

    @property
    def _sides(self) -> Sides:
        sides = (("training", self.training), ("validation", self.validation), ("test", self.test))
        there = [(name, side) for name, side in sides if side is not None]
        training, *held_out = (Side(name, side.rows, side.source) for name, side in there)
        # What was cleaned before the split, or side by side where there was none.
        cleaning = (*self.cleaned, *(rule for _, side in there for rule in side.changes.by_rule))
        return Sides(training, tuple(held_out), cleaning)

    def preview(
        self, n: int = 3, *, model: str | None = None, host: str | None = None, backend: Backend | None = None
    ) -> Preview:
        """Show of the first `n` training examples what would be trained on, and what only read.

        Prompts and completions stand in the template that `train` would choose. With `model`, each of its tokens is
        told from the next, where its tokenizer is at hand.
        """
        template = self._sides.choose_template()
        found = None if model is None else meter(model, self.training.kind, host=host, backend=backend)
        return preview(
            self.training.rows,
            TEXTS if found is None else found.tokens,
            n=whole_number("n", n, 1),
            template=template if found is None or found.templated else None,
            notes=() if found is None else found.notes,
        )

    def estimate_cost(
        self,
        model: str,
        n_epochs: int = 4,
        *,
        host: str | None = None,
        backend: Backend | None = None,
        hours_hosted: float | None = None,
        calls: int | None = None,
        input_tokens_per_call: float | None = None,
        output_tokens_per_call: float | None = None,
        how: How = "auto",
        hosts: str | os.PathLike[str] | None = None,
    ) -> CostEstimate:
        """What training `model` on this training set costs, in US dollars, by dated prices.

        With `hours_hosted` and `calls`, what keeping and calling it costs as well; a call reads and writes as much as
        an example has unless `input_tokens_per_call` and `output_tokens_per_call` say otherwise. There is a total only
        where every price is known. Without `host`, the first that knows the model; `hosts` is a file of your own with
        newer prices, else what FINETUNE_KIT_HOSTS names.
        """
        found = meter(string("model", model), self.training.kind, host=host, backend=backend, hosts=hosts)
        template = self._sides.choose_template() if found.templated else None
        counts = found.count(self.training.rows, template, how)
        return estimate_cost(
            found.profile,
            found.model,
            counts,
            n_epochs=n_epochs,
            hours_hosted=hours_hosted,
            calls=calls,
            input_tokens_per_call=input_tokens_per_call,
            output_tokens_per_call=output_tokens_per_call,
        )

    def train(
        self,
        model: str = "curie",
        *,
        backend: Backend | None = None,
        validators: Sequence[AnyValidator] | None = None,
        n_epochs: int = 4,
        batch_size: int | None = None,
        learning_rate_multiplier: float | None = None,
        prompt_loss_weight: float | None = None,
        compute_classification_metrics: bool = False,
        classification_n_classes: int | None = None,
        classification_positive_class: str | None = None,
        classification_betas: Sequence[float] | None = None,
        suffix: str | None = None,
        check_if_files_exist: bool = True,
        method: Method = "supervised",
        beta: float | None = None,
        options: TrainingOptions | None = None,
        seed: int | None = None,
        metadata: Mapping[str, str] | None = None,
        budget: float | None = None,
    ) -> FineTuneJob:
        """Check the data, start a fine-tuning job and return without waiting for it.

        `model` is a base model, an alias such as `davinci` (the job's first event tells what stands in for it), or an
        earlier fine-tuned model to train further. `batch_size`, `learning_rate_multiplier` and `prompt_loss_weight` are
        the backend's own choice if left out; the card tells what was taken. `suffix` becomes part of the model's name,
        `metadata` stay with the job.

        With `compute_classification_metrics`, `job.results().classification` tells how well the labels of the
        validation set are told apart: of several, with `classification_n_classes`; of two, with the one that counts
        as found as `classification_positive_class`, and F-beta for each of `classification_betas`. `method="dpo"`
        learns from preference pairs; `beta` says how closely it keeps to the base. `options` are LoRA's rank, early
        stopping and more, where the host takes them. With `check_if_files_exist`, a file that is at the host already is
        not sent again. With `budget`, in US dollars, a training that may cost more is refused; on this machine nothing
        costs anything.

        Raises `ValidationError` with one report of all faults in the data, `UnknownModelError`, `ModelClosedError`,
        `BudgetError`, `ParameterError`, or what keeps the backend from working, such as `MissingExtraError`; nothing
        has been uploaded or started then. Warns with `ShutdownWarning` of a model that closes within 90 days.
        """
        wanted = Wanted(
            model=model,
            validators=validators,
            n_epochs=n_epochs,
            batch_size=batch_size,
            learning_rate_multiplier=learning_rate_multiplier,
            prompt_loss_weight=prompt_loss_weight,
            compute_classification_metrics=compute_classification_metrics,
            classification_n_classes=classification_n_classes,
            classification_positive_class=classification_positive_class,
            classification_betas=classification_betas,
            suffix=suffix,
            check_if_files_exist=check_if_files_exist,
            method=method,
            beta=beta,
            options=options,
            seed=seed,
            metadata=metadata,
            budget=budget,
        )
        return FineTuneJob(*train(self._sides, wanted, backend=backend))


def _sides_of(split: Split) -> EarlierSides:
    held_out = (None if side is None else side.rows for side in (split.validation, split.test))
    return EarlierSides(split.training.rows, *held_out)
