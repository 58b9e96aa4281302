"""Which rules run when none are named."""

from __future__ import annotations

from finetune_kit.hosts import FileRules, HostProfile, file_rules
from finetune_kit.rows import Source
from finetune_kit.validators.boilerplate_answers import BoilerplateAnswers
from finetune_kit.validators.chat_echo import EchoedQuestion
from finetune_kit.validators.chat_order import ChatOrder
from finetune_kit.validators.chat_roles import ChatRoles
from finetune_kit.validators.columns import ColumnTypes, ExtraColumns
from finetune_kit.validators.content_parts import ContentParts
from finetune_kit.validators.contradictions import Contradictions
from finetune_kit.validators.control_characters import ControlCharacters
from finetune_kit.validators.duplicates import Duplicates
from finetune_kit.validators.empty import EmptyCompletion, EmptyMessage, EmptyPrompt
from finetune_kit.validators.file_size import FileSize
from finetune_kit.validators.file_source import FileSource
from finetune_kit.validators.host_kind import HostKind
from finetune_kit.validators.html_remains import HtmlRemains
from finetune_kit.validators.identical_prompts import IdenticalPrompts
from finetune_kit.validators.image_limits import ImageLimits
from finetune_kit.validators.image_parts import ImageParts
from finetune_kit.validators.invisible_characters import InvisibleCharacters
from finetune_kit.validators.label_balance import LabelBalance
from finetune_kit.validators.label_classes import OneClass
from finetune_kit.validators.label_likeness import LookAlikeLabels
from finetune_kit.validators.label_rarity import RareLabels
from finetune_kit.validators.leading_space import OLD_MODELS, LeadingSpace
from finetune_kit.validators.letter_case import LetterCase
from finetune_kit.validators.long_answer import LongAnswer
from finetune_kit.validators.message_keys import MessageKeys
from finetune_kit.validators.message_name import MessageName
from finetune_kit.validators.message_tokens import ReservedTokens
from finetune_kit.validators.message_weight import MessageWeight
from finetune_kit.validators.mojibake import Mojibake
from finetune_kit.validators.near_contradictions import NearContradictions
from finetune_kit.validators.near_duplicates import NearDuplicates
from finetune_kit.validators.personal_data import PersonalData
from finetune_kit.validators.placeholders import Placeholders
from finetune_kit.validators.preference_pairs import PreferencePairs
from finetune_kit.validators.prefixes import CompletionPrefix, PromptPrefix
from finetune_kit.validators.protocols import AnyValidator
from finetune_kit.validators.repeated_answers import RepeatedAnswers
from finetune_kit.validators.secrets import Secrets
from finetune_kit.validators.separators import Prepared, Separator, StopSequence
from finetune_kit.validators.set_size import MinimumExamples
from finetune_kit.validators.suffixes import CompletionSuffix, PromptSuffix
from finetune_kit.validators.task_type import TaskType
from finetune_kit.validators.token_limit import TokenLimit
from finetune_kit.validators.tool_calls import ToolCalls
from finetune_kit.validators.tool_definitions import ToolDefinitions
from finetune_kit.validators.unheeded_weight import UnheededWeight

# Without these the training fails or teaches nothing.
_ESSENTIAL: tuple[AnyValidator, ...] = (
    EmptyCompletion(),
    EmptyMessage(),
    ChatRoles(),
    MessageWeight(),
    MessageName(),
    ReservedTokens(),
    ContentParts(),
    ImageParts(),
    ImageLimits(),
    ToolDefinitions(),
    ToolCalls(),
    PreferencePairs(),
)

# The same for every host and model.
_ADVICE: tuple[AnyValidator, ...] = (
    ChatOrder(),
    EchoedQuestion(),
    MessageKeys(),
    EmptyPrompt(),
    Duplicates(),
    Contradictions(),
    NearDuplicates(small_sets_only=True),
    NearContradictions(small_sets_only=True),
    IdenticalPrompts(),
    TaskType(),
    PromptPrefix(),
    CompletionPrefix(),
    PromptSuffix(),
    CompletionSuffix(),
    Prepared(),
    LetterCase(),
    OneClass(),
    LabelBalance(),
    RareLabels(),
    LookAlikeLabels(),
    ExtraColumns(),
    ColumnTypes(),
    Mojibake(),
    ControlCharacters(),
    InvisibleCharacters(),
    HtmlRemains(),
    Placeholders(),
    PersonalData(),
    Secrets(),
    BoilerplateAnswers(),
    RepeatedAnswers(),
)

# For files that are uploaded as they are: this library's own engine gets what the template has rendered.
_RAW_UPLOAD: tuple[AnyValidator, ...] = (Separator(), StopSequence())


def essential_rules(host: str | FileRules = "openai") -> tuple[AnyValidator, ...]:
    """What the door of `train` asks: without these the training fails or teaches nothing."""
    profile = _profile(host)
    more = (UnheededWeight(profile),) if isinstance(profile, HostProfile) and profile.message_weights == "none" else ()
    return (MinimumExamples(minimum=profile.min_examples or 1), *_ESSENTIAL, *more)


def default_rules(
    host: str | FileRules = "openai", *, model: str | None = None, source: Source | None = None
) -> tuple[AnyValidator, ...]:
    """What `validate` asks: the essential rules, those that advise, and those that `host`, `model` and `source` add."""
    return (*essential_rules(host), *_ADVICE, *_for_host(_profile(host), model, source))


def _profile(host: str | FileRules) -> FileRules:
    return file_rules(host) if isinstance(host, str) else host


def _for_host(host: FileRules, model: str | None, source: Source | None) -> tuple[AnyValidator, ...]:
    """The rules that depend on where the file goes, which model learns from it and where it came from."""
    rules: list[AnyValidator] = [FileSize(host)]
    rules += [rule for rule in (TokenLimit.of(host, model), LongAnswer.of(host, model)) if rule is not None]
    if host.name != "local":
        rules += _RAW_UPLOAD
    if isinstance(host, HostProfile):
        rules.append(HostKind(host))
    if model in OLD_MODELS:
        rules.append(LeadingSpace())
    if source is not None:
        rules.append(FileSource(host, source))
    return tuple(rules)


# For those who run rules by `validate` themselves; no host's data file is read for them.
ESSENTIAL: tuple[AnyValidator, ...] = (MinimumExamples(), *_ESSENTIAL)
"""The essential rules, with the numbers that most hosts share."""

DEFAULT: tuple[AnyValidator, ...] = (*ESSENTIAL, *_ADVICE, *_RAW_UPLOAD)
"""`ESSENTIAL` and the rules that advise, without those that need to know host, model or source."""
