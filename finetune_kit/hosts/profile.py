"""What a host's data file says: limits, methods, and the models that can be fine-tuned there."""

from __future__ import annotations

import re
from datetime import date
from difflib import get_close_matches
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from finetune_kit._quoting import quoted
from finetune_kit.errors import UnknownModelError
from finetune_kit.hosts.calendar import today
from finetune_kit.hosts.fields import (
    LONGEST_NAME,
    Address,
    BasePattern,
    ContentType,
    Count,
    Day,
    Dollars,
    FileWord,
    Flag,
    JobWord,
    Measure,
    Multiplier,
    Name,
    Range,
    Share,
    Variable,
)
from finetune_kit.records import Kind
from finetune_kit.training_options import OptionName

Method: TypeAlias = Literal["supervised", "dpo", "reinforcement"]
Api: TypeAlias = Literal["openai", "azure", "together", "dashscope"]
MessageWeights: TypeAlias = Literal["assistant", "every", "none"]
PreferenceRows: TypeAlias = Literal["openai", "chosen"]
State: TypeAlias = Literal["trainable", "inference only", "closed"]


class _Data(BaseModel):
    """A misspelt key is an error, not a value that nobody reads."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Resolved(BaseModel):
    """What a model name means on a host."""

    model_config = ConfigDict(frozen=True)

    requested: str
    model: str
    note: str = ""
    """Why they differ, for the job's first event and the card; empty where they do not."""
    base: str = ""
    """The base of `model`, where that is a fine-tuned model to train further; empty where it is a base itself."""


class FileRules(_Data):
    """What a host wants of the files that are uploaded to it."""

    name: Name
    source: str
    as_of: Day
    byte_order_mark: Flag
    """Whether uploaded files must begin with one."""
    min_examples: Count | None
    """None where the host names no number."""
    max_file_bytes: Count


class Prices(_Data):
    """US dollars; None where a price is not known, which is not the same as 0."""

    training: Dollars | None = None
    """For each million tokens of the training file, each epoch."""
    training_per_hour: Dollars | None = None
    """Where training is paid by the hour instead."""
    input: Dollars | None = None
    """For each million tokens that the fine-tuned model reads."""
    cached_input: Dollars | None = None
    """For each million of them that it read just before."""
    output: Dollars | None = None
    """For each million tokens that it writes."""
    source: str
    as_of: Day


class ModelFacts(_Data):
    """What is known of one base model on one host; None where it is not."""

    about: str = ""
    kinds: tuple[Kind, ...] = ()
    """Which examples it learns from; nothing where the host does not say."""
    methods: tuple[Method, ...] = ()
    tokenizer: str | None = None
    """Which tokens its limits and prices count, such as `o200k_base`."""
    training_context_tokens: Count | None = None
    """The limit for each single example."""
    max_output_tokens: Count | None = None
    """The longest answer that it gives."""
    prices: Prices | None = None
    training_ends: Day | None = None
    """The first day on which no new training can be started."""
    shuts_down: Day | None = None
    """The first day on which neither it nor what was trained from it answers."""
    source: str
    as_of: Day

    def days_left(self, on: date) -> int | None:
        """How long it, and what was trained from it, answers from a day on; None where no end is known."""
        return None if self.shuts_down is None else max(0, (self.shuts_down - on).days)

    def state(self, on: date) -> State:
        """What can be done with it on a day."""
        if self.shuts_down is not None and on >= self.shuts_down:
            return "closed"
        if self.training_ends is not None and on >= self.training_ends:
            return "inference only"
        return "trainable"


class HostProfile(FileRules):
    """One host: its limits, its methods and its models."""

    base_url: Address | None = None
    """Where its API answers; None where each account has its own address, or there is none."""
    openai_api: Flag = False
    """Whether the OpenAI SDK drives its files and fine-tuning jobs."""
    free_of_charge: Flag = False
    """Whether nothing that is done there is ever billed."""
    methods: tuple[Method, ...] = ()
    needs_deployment: Flag = False
    """Whether a fine-tuned model must be deployed before it answers."""
    how_to_deploy: str = ""
    """How, for whoever asks for the model; MODEL in it stands for its name."""
    hosting_per_hour: Dollars | None = None
    """US dollars for keeping one fine-tuned model ready; 0 where that is free, None where it is not known."""
    learning_rate_is_absolute: Flag = False
    """Whether it takes a learning rate, not a multiplier of its own choice."""
    beyond_context: str = ""
    """What it does with an example that is too long, to be read after "the host"."""
    max_suffix_characters: Count | None = None
    n_epochs_range: Range | None = None
    batch_size_range: Range | None = None
    learning_rate_multiplier_max: Multiplier | None = None
    dates_told: Day | None = None
    """The day on which the host itself was asked for the shut-down dates of its models (`refresh_models`)."""
    models: dict[Name, ModelFacts]
    """Base models that can be fine-tuned there, or could."""
    kinds: tuple[Kind, ...] = ()
    """Which examples its models learn from, where nothing else is said of one; nothing where that is not known."""
    any_model: Flag = False
    """Whether a model that this file does not name is passed on to the host, which then decides."""
    fine_tuned_pattern: BasePattern | None = None
    """A regular expression for the names of models fine-tuned there; its group `base` is the base model's name."""
    keys: tuple[Variable, ...] = ()
    """Environment variables that may hold the API key, the first that is set wins."""
    address_keys: tuple[Variable, ...] = ()
    """Environment variables that may hold another address of it, such as that of a region."""
    api: Api = "openai"
    """`azure` where an address without `/openai/v1` takes deployments in its paths, and `api-version`; `together` and
    `dashscope` have files and jobs of their own, and models as OpenAI has them."""
    api_path: str = ""
    """What its address ends with, also where another one is given without it, such as that of a region."""
    jobs_path: str = ""
    """What stands there instead before its own calls for jobs, where these have another root than models."""
    content_type: ContentType = "application/jsonl"
    """Of uploaded files."""
    max_upload_bytes: Count | None = None
    """What it takes of one file in parts; None where it takes none in parts."""
    upload_part_bytes: Count = 64_000_000
    """The largest part."""
    keeps_metadata: Flag = False
    """Whether a job's metadata are kept, and jobs can be listed by them."""
    max_metadata_pairs: Count = 16
    max_metadata_key_characters: Count = 64
    max_metadata_value_characters: Count = 512
    max_seed: Count = 2**31 - 1
    hyperparameters_in: Literal["method", "job"] = "method"
    """Where a job's hyperparameters stand: within `method`, or beside the model as in 2023."""
    extra_body: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])
    """What a job's creation holds besides."""
    extra_hyperparameters: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])
    """What its hyperparameters hold where nothing else was chosen, since it has no values of its own for them."""
    validation_body: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])
    """What a job's creation holds besides where there is a validation file."""
    method_words: dict[Method, str] = Field(default_factory=dict[Method, str])
    """The host's own words for how a job trains."""
    takes_seed: Flag = True
    """Whether a training can be made repeatable there."""
    takes_beta: Flag = True
    """Whether preference optimization can be told how far to go."""
    training_options: tuple[OptionName, ...] = ()
    """Which of `TrainingOptions` can be chosen."""
    more_examples_than_batch: Flag = False
    """Whether a job fails unless it trains on more examples than one batch holds."""
    held_out_share: Share = 0.0
    """The share of the training file that the host keeps for validation where no file is given for it."""
    row_keys: tuple[str, ...] | None = None
    """What a conversation's row may hold beside its messages, the rest being left out; None where that is not known."""
    message_weights: MessageWeights = "assistant"
    """Which messages a `weight` of 0 keeps from being learned: the assistant's, all others being never learned; every
    message's, where all are learned as soon as one has a weight; or none's, where every answer is learned."""
    preference_rows: PreferenceRows = "openai"
    """Preference pairs as OpenAI has them, or as `messages` with one `chosen` and one `rejected` message."""
    top_logprobs: Count = 20
    """Of how many tokens at each place its chat tells how probable they are."""
    counts_logprobs: Flag = False
    """Whether its chat takes that number as `logprobs`, as the completions API does, not as `top_logprobs`."""
    prompt_loss_weight: Flag = False
    """Whether the loss weight of prompts can be chosen."""
    has_events: Flag = True
    has_checkpoints: Flag = True
    can_pause: Flag = False
    lists_models: Flag = True
    """Whether `GET /models` tells which base models there are."""
    tells_job_limits: Flag = False
    """Whether `GET /fine_tuning/model_limits` tells how many jobs may wait at once."""
    status_words: dict[str, JobWord] = Field(default_factory=dict[str, JobWord])
    """The host's own words for a job's status, and ours."""
    file_status_words: dict[str, FileWord] = Field(default_factory=dict[str, FileWord])
    """The same for a file's."""
    result_columns: dict[Measure, tuple[str, ...]] = Field(default_factory=dict[Measure, tuple[str, ...]])
    """The host's own columns of a result file for our fields, such as `train_loss`."""
    requests_per_minute: Count = 60
    """How often it may be asked about jobs."""
    aliases: dict[Name, Name] = Field(default_factory=dict[str, str])
    """Names that cannot exist there, and the model that stands in for each."""
    alias_note: str = ""

    @model_validator(mode="after")
    def _stand_ins_exist(self) -> HostProfile:
        for name, model in self.aliases.items():
            if model not in self.models and (model == name or model in self.aliases or not self.any_model):
                raise ValueError(f"aliases.{name}: {model!r} is none of the models here")
        return self

    @property
    def runs_jobs(self) -> bool:
        """Whether `HostedBackend` trains there: by OpenAI's API, or by one of the host's own that it knows."""
        return self.openai_api or self.api in {"together", "dashscope"}

    def resolve(self, model: str, *, on: Day | None = None) -> Resolved:
        """What `model` is on a day, by default today; `UnknownModelError` says which there are.

        A base model, one fine-tuned there (by the pattern of its name), or a stand-in for a name that does not exist
        there or is closed. Where `any_model` says so, an unknown name is left to the host.
        """
        if not model or len(model) > LONGEST_NAME or not model.isprintable():
            raise self.unknown(model)
        facts, stand_in = self.models.get(model), self.aliases.get(model)
        if stand_in is not None and (facts is None or facts.state(on or today()) != "trainable"):
            return Resolved(requested=model, model=stand_in, note=self._stands_in(model, facts, stand_in))
        base = "" if facts is not None else self.fine_tuned_base(model)
        if facts is not None or base or self.any_model:
            return Resolved(requested=model, model=model, base=base)
        raise self.unknown(model)

    def fine_tuned_base(self, model: str) -> str:
        """The base of a fine-tuned model, by its name; empty where it does not look like one of this host's."""
        found = None if self.fine_tuned_pattern is None else re.fullmatch(self.fine_tuned_pattern, model)
        if found is None or found["base"] in self.models:
            return "" if found is None else found["base"]
        # On some hosts the user's suffix follows the base, with nothing that tells one from the other.
        known = [name for name in self.models if found["base"].startswith(f"{name}-")]
        return max(known, key=len, default=found["base"])

    def _stands_in(self, model: str, facts: ModelFacts | None, stand_in: str) -> str:
        if stand_in.startswith(model):
            told = f"{model!r} on {self.name!r} is {stand_in!r}, its dated version."
        elif facts is None:
            told = f"{model!r} does not exist on {self.name!r}: {stand_in!r} stands in for it."
        else:
            since = facts.training_ends or facts.shuts_down
            told = f"{model!r} takes no training on {self.name!r} since {since}: {stand_in!r} stands in for it. "
            now, then = _training_price(self.models.get(stand_in)), _training_price(facts)
            cost = "What training costs is not on file" if now is None else f"Training costs {now} for a million tokens"
            told += cost + ("." if then is None else f"; {model!r} cost {then}.")
        return f"{told} {self.alias_note}".strip()

    @property
    def most_bytes(self) -> int:
        """What it takes of one file, in one piece or in parts."""
        return max(self.max_file_bytes, self.max_upload_bytes or 0)

    def kinds_of(self, model: str) -> tuple[Kind, ...]:
        """Which examples a base model learns from; nothing where that is not known."""
        facts = self.models.get(model)
        return facts.kinds if facts is not None and facts.kinds else self.kinds

    def facts_of(self, model: str) -> ModelFacts | None:
        """What is on file of a base, given by its name with or without a date, or of a fine-tuned model's base."""
        name = model if self.knows(model) else self.fine_tuned_base(model)
        dated = self.aliases.get(name, "")
        return self.models.get(name) or (self.models.get(dated) if dated.startswith(f"{name}-") else None)

    def knows(self, model: str) -> bool:
        """Whether `model` means anything there."""
        return model in self.models or model in self.aliases

    def unknown(self, model: str, *, others: tuple[str, ...] = ()) -> UnknownModelError:
        """The error for a name that means nothing there."""
        known = (*self.models, *others)
        names = ", ".join(map(repr, known)) or "none"
        near = get_close_matches(model[:LONGEST_NAME], (*known, *self.aliases), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return UnknownModelError(
            f"the backend {self.name!r} knows no model {quoted(model)}.{hint} It knows {names}, "
            f"and stand-ins for {', '.join(map(repr, self.aliases)) or 'no other name'}.",
            model=model,
            known=(*known, *self.aliases),
        )


def _training_price(facts: ModelFacts | None) -> str | None:
    """For a million tokens."""
    price = None if facts is None or facts.prices is None else facts.prices.training
    return None if price is None else f"${price:,.2f}"
