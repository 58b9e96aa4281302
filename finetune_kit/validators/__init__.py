"""Rules about the data, and the report of what they found."""

from __future__ import annotations

from finetune_kit.validators.boilerplate_answers import BoilerplateAnswers
from finetune_kit.validators.chat_echo import EchoedQuestion
from finetune_kit.validators.chat_order import ChatOrder
from finetune_kit.validators.chat_roles import ChatRoles
from finetune_kit.validators.columns import ColumnTypes, ExtraColumns
from finetune_kit.validators.content_parts import ContentParts
from finetune_kit.validators.contradictions import Contradictions
from finetune_kit.validators.control_characters import ControlCharacters
from finetune_kit.validators.defaults import DEFAULT, ESSENTIAL, default_rules, essential_rules
from finetune_kit.validators.disjoint import LEAK_CODES, check_disjoint
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
from finetune_kit.validators.issue import Issue, Severity
from finetune_kit.validators.label_balance import LabelBalance
from finetune_kit.validators.label_classes import OneClass
from finetune_kit.validators.label_likeness import LookAlikeLabels
from finetune_kit.validators.label_rarity import RareLabels
from finetune_kit.validators.label_sides import check_labels
from finetune_kit.validators.leading_space import LeadingSpace
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
from finetune_kit.validators.plugins import installed_rules
from finetune_kit.validators.preference_pairs import PreferencePairs
from finetune_kit.validators.prefixes import CompletionPrefix, PromptPrefix
from finetune_kit.validators.protocols import AnyValidator, SetCheck, SetValidator, Validator
from finetune_kit.validators.repeated_answers import RepeatedAnswers
from finetune_kit.validators.report import Report
from finetune_kit.validators.row_rule import RowRule, row_validator
from finetune_kit.validators.run import validate
from finetune_kit.validators.secrets import Secrets
from finetune_kit.validators.separators import Prepared, Separator, StopSequence
from finetune_kit.validators.set_size import MinimumExamples
from finetune_kit.validators.suffixes import CompletionSuffix, PromptSuffix
from finetune_kit.validators.task_type import TaskType
from finetune_kit.validators.token_limit import TokenLimit
from finetune_kit.validators.tool_calls import ToolCalls
from finetune_kit.validators.tool_definitions import ToolDefinitions
from finetune_kit.validators.unheeded_weight import UnheededWeight

__all__ = [
    "DEFAULT",
    "ESSENTIAL",
    "LEAK_CODES",
    "AnyValidator",
    "BoilerplateAnswers",
    "ChatOrder",
    "ChatRoles",
    "ColumnTypes",
    "CompletionPrefix",
    "CompletionSuffix",
    "ContentParts",
    "Contradictions",
    "ControlCharacters",
    "Duplicates",
    "EchoedQuestion",
    "EmptyCompletion",
    "EmptyMessage",
    "EmptyPrompt",
    "ExtraColumns",
    "FileSize",
    "FileSource",
    "HostKind",
    "HtmlRemains",
    "IdenticalPrompts",
    "ImageLimits",
    "ImageParts",
    "InvisibleCharacters",
    "Issue",
    "LabelBalance",
    "LeadingSpace",
    "LetterCase",
    "LongAnswer",
    "LookAlikeLabels",
    "MessageKeys",
    "MessageName",
    "MessageWeight",
    "MinimumExamples",
    "Mojibake",
    "NearContradictions",
    "NearDuplicates",
    "OneClass",
    "PersonalData",
    "Placeholders",
    "PreferencePairs",
    "Prepared",
    "PromptPrefix",
    "PromptSuffix",
    "RareLabels",
    "RepeatedAnswers",
    "Report",
    "ReservedTokens",
    "RowRule",
    "Secrets",
    "Separator",
    "SetCheck",
    "SetValidator",
    "Severity",
    "StopSequence",
    "TaskType",
    "TokenLimit",
    "ToolCalls",
    "ToolDefinitions",
    "UnheededWeight",
    "Validator",
    "check_disjoint",
    "check_labels",
    "default_rules",
    "essential_rules",
    "installed_rules",
    "row_validator",
    "validate",
]
