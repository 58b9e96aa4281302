"""Rules about the data, and the report of what they found."""

from __future__ import annotations

from finetune_kit.validators.chat_roles import ChatRoles
from finetune_kit.validators.contradictions import Contradictions
from finetune_kit.validators.defaults import DEFAULT, ESSENTIAL, default_rules, essential_rules
from finetune_kit.validators.disjoint import check_disjoint
from finetune_kit.validators.duplicates import Duplicates
from finetune_kit.validators.empty import EmptyCompletion, EmptyMessage, EmptyPrompt
from finetune_kit.validators.file_size import FileSize
from finetune_kit.validators.file_source import FileSource
from finetune_kit.validators.issue import Issue, Severity
from finetune_kit.validators.preference_pairs import PreferencePairs
from finetune_kit.validators.protocols import AnyValidator, SetCheck, SetValidator, Validator
from finetune_kit.validators.report import Report
from finetune_kit.validators.row_rule import RowRule, row_validator
from finetune_kit.validators.run import validate
from finetune_kit.validators.set_size import MinimumExamples

__all__ = [
    "DEFAULT",
    "ESSENTIAL",
    "AnyValidator",
    "ChatRoles",
    "Contradictions",
    "Duplicates",
    "EmptyCompletion",
    "EmptyMessage",
    "EmptyPrompt",
    "FileSize",
    "FileSource",
    "Issue",
    "MinimumExamples",
    "PreferencePairs",
    "Report",
    "RowRule",
    "SetCheck",
    "SetValidator",
    "Severity",
    "Validator",
    "check_disjoint",
    "default_rules",
    "essential_rules",
    "row_validator",
    "validate",
]
