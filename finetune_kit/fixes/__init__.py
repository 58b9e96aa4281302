"""Fixes: what is done about the rules' findings, unasked only where nobody can object."""

from finetune_kit.fixes.cleaned import Cleaned
from finetune_kit.fixes.drops import EmptyCompletions, EmptyConversations, EmptyPrompts, LongExamples
from finetune_kit.fixes.edges import ControlCharacters, InvisibleEdges, TrailingSpace
from finetune_kit.fixes.flagged import DropFlagged
from finetune_kit.fixes.protocols import AnyFix, DropFix, RowFix, SetFix
from finetune_kit.fixes.redaction import RedactPersonalData, RedactSecrets
from finetune_kit.fixes.registry import NAMED, SAFE, chosen
from finetune_kit.fixes.repeats import Duplicates
from finetune_kit.fixes.row_fix import FunctionFix, row_fix
from finetune_kit.fixes.spelling import LabelSpelling
from finetune_kit.fixes.turns import MergeTurns
from finetune_kit.fixes.wording import HtmlEntities, LowerCase, Mojibake, StripPrefix, StripSuffix, UnicodeForm

__all__ = [
    "NAMED",
    "SAFE",
    "AnyFix",
    "Cleaned",
    "ControlCharacters",
    "DropFix",
    "DropFlagged",
    "Duplicates",
    "EmptyCompletions",
    "EmptyConversations",
    "EmptyPrompts",
    "FunctionFix",
    "HtmlEntities",
    "InvisibleEdges",
    "LabelSpelling",
    "LongExamples",
    "LowerCase",
    "MergeTurns",
    "Mojibake",
    "RedactPersonalData",
    "RedactSecrets",
    "RowFix",
    "SetFix",
    "StripPrefix",
    "StripSuffix",
    "TrailingSpace",
    "UnicodeForm",
    "chosen",
    "row_fix",
]
