"""Which fixes there are by name, and which run when none is named."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, cast

from finetune_kit.errors import ParameterError
from finetune_kit.fixes.drops import EmptyCompletions, EmptyConversations, EmptyPrompts
from finetune_kit.fixes.edges import ControlCharacters, InvisibleEdges, TrailingSpace
from finetune_kit.fixes.protocols import AnyFix, DropFix, RowFix, SetFix
from finetune_kit.fixes.redaction import RedactPersonalData, RedactSecrets
from finetune_kit.fixes.repeats import Duplicates
from finetune_kit.fixes.spelling import LabelSpelling
from finetune_kit.fixes.turns import MergeTurns
from finetune_kit.fixes.wording import HtmlEntities, LowerCase, Mojibake, UnicodeForm
from finetune_kit.validators import Report

SAFE: Final[tuple[AnyFix, ...]] = (
    ControlCharacters(),
    InvisibleEdges(),
    TrailingSpace(),
    EmptyCompletions(),
    EmptyConversations(),
    Duplicates(),
)
"""What nobody can object to, and therefore done unasked."""

NAMED: Final[dict[str, AnyFix]] = {
    "control_characters": SAFE[0],
    "invisible_edges": SAFE[1],
    "trailing_space": SAFE[2],
    "empty_completion": SAFE[3],
    "empty_conversation": SAFE[4],
    "duplicate": SAFE[5],
    "empty_prompt": EmptyPrompts(),
    "html_entities": HtmlEntities(),
    "label_spelling": LabelSpelling(),
    "lower_case": LowerCase(),
    "merge_turns": MergeTurns(),
    "mojibake": Mojibake(),
    "redact_personal_data": RedactPersonalData(),
    "redact_secrets": RedactSecrets(),
    "unicode_form": UnicodeForm(),
}
"""Every fix that needs no parameter, by the name under which it is asked for."""

_ALL_SAFE = "safe"
_WITH_PARAMETERS = {
    "drop_flagged": "DropFlagged(NearDuplicates())",
    "long_example": "LongExamples(max_characters=...)",
    "strip_prefix": 'StripPrefix("...")',
    "strip_suffix": 'StripSuffix("...")',
}


def chosen(fixes: object, report: object) -> tuple[AnyFix, ...]:
    """The fixes that are meant: the safe ones where none are given, with a report only those for what it found."""
    if report is not None and not isinstance(report, Report):
        raise ParameterError(
            f"{type(report).__name__} is not a report, which validate() gives. Pass what to do as fixes=[...].",
            parameter="report",
        )
    if fixes is None:
        found = list(SAFE)
    elif isinstance(fixes, str) or not isinstance(fixes, Iterable):
        raise ParameterError(f"{fixes!r} is not a list of fixes. Put it into one.", parameter="fixes")
    else:
        found = [one for fix in cast("Iterable[object]", fixes) for one in _resolved(fix)]
    meant: list[AnyFix] = []
    for fix in found:
        if fix not in meant and (report is None or fix.code in report.counts):
            meant.append(fix)
    # Mending comes before dropping, and both before what looks at the whole set, so that a second run finds nothing.
    return tuple(sorted(meant, key=lambda fix: (isinstance(fix, SetFix), isinstance(fix, DropFix))))


def _resolved(fix: object) -> tuple[AnyFix, ...]:
    if fix == _ALL_SAFE:
        return SAFE
    if isinstance(fix, str):
        if fix in NAMED:
            return (NAMED[fix],)
        raise ParameterError(_unknown(fix), parameter="fixes")
    if isinstance(fix, RowFix | DropFix | SetFix) and not isinstance(fix, type):
        return (fix,)
    raise ParameterError(
        f"{fix!r} is not a fix. Pass a name such as 'lower_case', an object with a `code` and `mend`, `drops` or "
        "`plan`, or a function decorated with @row_fix.",
        parameter="fixes",
    )


def _unknown(name: str) -> str:
    if name in _WITH_PARAMETERS:
        return f"{name!r} needs to know more: pass finetune_kit.fixes.{_WITH_PARAMETERS[name]}."
    return f"{name!r} is no fix. There are 'safe', which stands for all that are safe, and {', '.join(NAMED)}."
