"""Rules about the data, and the report of what they found."""

from __future__ import annotations

from finetune_kit.validators.chat_echo import EchoedQuestion
from finetune_kit.validators.chat_order import ChatOrder
from finetune_kit.validators.chat_roles import ChatRoles
from finetune_kit.validators.content_parts import ContentParts
from finetune_kit.validators.contradictions import Contradictions
from finetune_kit.validators.defaults import DEFAULT, ESSENTIAL, default_rules, essential_rules
from finetune_kit.validators.disjoint import check_disjoint
from finetune_kit.validators.duplicates import Duplicates
from finetune_kit.validators.empty import EmptyCompletion, EmptyMessage, EmptyPrompt
from finetune_kit.validators.file_size import FileSize
from finetune_kit.validators.file_source import FileSource
from finetune_kit.validators.image_limits import ImageLimits
from finetune_kit.validators.image_parts import ImageParts
from finetune_kit.validators.issue import Issue, Severity
from finetune_kit.validators.message_keys import MessageKeys
from finetune_kit.validators.message_name import MessageName
from finetune_kit.validators.message_tokens import ReservedTokens
from finetune_kit.validators.message_weight import MessageWeight
from finetune_kit.validators.preference_pairs import PreferencePairs
from finetune_kit.validators.protocols import AnyValidator, SetCheck, SetValidator, Validator
from finetune_kit.validators.report import Report
from finetune_kit.validators.row_rule import RowRule, row_validator
from finetune_kit.validators.run import validate
from finetune_kit.validators.set_size import MinimumExamples
from finetune_kit.validators.tool_calls import ToolCalls
from finetune_kit.validators.tool_definitions import ToolDefinitions

__all__ = [
    "DEFAULT",
    "ESSENTIAL",
    "AnyValidator",
    "ChatOrder",
    "ChatRoles",
    "ContentParts",
    "Contradictions",
    "Duplicates",
    "EchoedQuestion",
    "EmptyCompletion",
    "EmptyMessage",
    "EmptyPrompt",
    "FileSize",
    "FileSource",
    "ImageLimits",
    "ImageParts",
    "Issue",
    "MessageKeys",
    "MessageName",
    "MessageWeight",
    "MinimumExamples",
    "PreferencePairs",
    "Report",
    "ReservedTokens",
    "RowRule",
    "SetCheck",
    "SetValidator",
    "Severity",
    "ToolCalls",
    "ToolDefinitions",
    "Validator",
    "check_disjoint",
    "default_rules",
    "essential_rules",
    "row_validator",
    "validate",
]
