"""A report as JSON and back; docs/reports.md describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, cast

import orjson
from pydantic import BaseModel, TypeAdapter, ValidationError

from finetune_kit.errors import FormatError
from finetune_kit.records import Kind
from finetune_kit.validators.issue import Issue, Severity
from finetune_kit.validators.profile import Profile, surveyed
from finetune_kit.validators.report_data import ReportData
from finetune_kit.validators.rule_text import RuleText
from finetune_kit.validators.subject import Subject

_FORMAT = "finetune_kit.report"
_VERSION = 1


class _Message(BaseModel):
    message: str
    times: int


class _Code(BaseModel):
    severity: Severity
    code: str
    times: int
    messages: list[_Message]


class _Subject(BaseModel):
    path: str | None = None
    kind: Kind
    rows: int
    name: str | None = None
    host: str | None = None
    format: str | None = None
    encoding: str | None = None
    confidence: float | None = None
    bom: bool = False
    delimiter: str | None = None
    rows_refused: int = 0
    columns: dict[str, str] = {}
    notes: tuple[str, ...] = ()
    profile: Profile


class _File(BaseModel):
    """Keys that are not here are passed over: later releases may add some without a new version."""

    format: Literal["finetune_kit.report"]
    version: Literal[1]
    rows: int
    counts: list[_Code]
    issues: tuple[Issue, ...]
    subjects: list[_Subject]
    rules: tuple[RuleText, ...]


_READER = TypeAdapter(_File)


def as_json(report: ReportData) -> str:
    """The report as indented JSON, the same bytes for equal reports; what is null, empty or false is left out."""
    told = {
        "format": _FORMAT,
        "version": _VERSION,
        "ok": report.ok,
        "rows": report.rows,
        "severities": {str(severity): times for severity, times in report.by_severity.items()},
        "counts": [
            {
                "severity": str(severity),
                "code": code,
                "times": times,
                "messages": [
                    {"message": message, "times": count}
                    for (of_severity, of_code, message), count in report.messages.items()
                    if (of_severity, of_code) == (severity, code)
                ],
            }
            for (severity, code), times in report.tally.items()
        ],
        "issues": [_plain(issue) for issue in report.issues],
        "subjects": [
            {**cast("dict[str, Any]", _plain(subject)), "profile": _plain(subject.profile)}
            for subject in report.subjects
        ],
        "rules": [_plain(rule) for rule in report.rules],
    }
    options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(_without_surrogates(told), option=options).decode()


def from_json(text: str | bytes) -> ReportData:
    """What `as_json` gave."""
    try:
        read = _READER.validate_python(orjson.loads(text))
    except (orjson.JSONDecodeError, ValidationError) as error:
        raise FormatError(
            f"this is not a report as Report.to_json writes it, version {_VERSION}: {_first_line(error)}. "
            "Validate the data again to get one."
        ) from error
    return ReportData(
        issues=read.issues,
        tally={(count.severity, count.code): count.times for count in read.counts},
        rows=read.rows,
        messages={
            (count.severity, count.code, message.message): message.times
            for count in read.counts
            for message in count.messages
        },
        subjects=tuple(_subject(subject) for subject in read.subjects),
        rules=read.rules,
    )


def _subject(read: _Subject) -> Subject:
    given = {name: getattr(read, name) for name in _Subject.model_fields if name != "profile"}
    return Subject(**given, survey=surveyed(read.profile))


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'])) or 'it'}: {first['msg'].lower()}"
    return str(error)


def _plain(value: object) -> object:
    """Dataclasses as objects without those of their fields that are compared never or have their default."""
    if is_dataclass(value) and not isinstance(value, type):
        told = {each.name: getattr(value, each.name) for each in fields(value) if each.compare}
        kept = {name: held for name, held in told.items() if not _is_default(value, name, held)}
        return {name: _plain(held) for name, held in kept.items()}
    if isinstance(value, Mapping):
        return {str(key): _plain(held) for key, held in cast("Mapping[object, object]", value).items()}
    if isinstance(value, tuple):
        return [_plain(held) for held in cast("tuple[object, ...]", value)]
    return str(value) if isinstance(value, str) else value


def _is_default(holder: object, name: str, held: object) -> bool:
    [each] = [each for each in fields(cast("Any", holder)) if each.name == name]
    default = each.default_factory() if each.default_factory is not MISSING else each.default
    return default is not MISSING and held == default


def _without_surrogates(value: object) -> object:
    """Paths may hold bytes that are no text, which JSON cannot say."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        held = cast("dict[str, object]", value)
        return {_without_surrogates(key): _without_surrogates(item) for key, item in held.items()}
    if isinstance(value, list):
        return [_without_surrogates(item) for item in cast("list[object]", value)]
    return value
