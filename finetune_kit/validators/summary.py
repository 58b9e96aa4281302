"""The text of a report for a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from finetune_kit.rows import Origin
from finetune_kit.validators.findings import CodeFindings, Finding, Tally
from finetune_kit.validators.illustrate import MESSAGES_SHOWN, ROWS_SHOWN
from finetune_kit.validators.issue import Issue, Severity

NOUNS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
"""What one finding is called."""

_PATH_LENGTH = 40
_SEPARATOR = re.compile(r"[/\\]")
_HINT_INDENT = "    "


def headline(tally: Tally, rows: int) -> str:
    """How many examples were checked and what came of it, in one line without a full stop."""
    counts = dict.fromkeys(Severity, 0)
    for (severity, _), times in tally.items():
        counts[severity] += times
    found = [counted(times, NOUNS[severity]) for severity, times in counts.items() if times]
    return f"{counted(rows, 'example')} checked: {', '.join(found) or 'no issues'}"


def summarize(found: Sequence[CodeFindings], tally: Tally, rows: int) -> str:
    """The whole report: the headline, then each code with its messages, places and hint."""
    lines = [headline(tally, rows)]
    told: set[str] = set()
    for code in found:
        lines.extend(_code_lines(code, told))
    return "\n".join(_printable(line) for line in lines)


def _code_lines(found: CodeFindings, told: set[str]) -> Iterator[str]:
    label = f"{found.severity} {found.code}"
    shown = found.findings[:MESSAGES_SHOWN]
    yield from (_message_line(label, finding, told) for finding in shown)
    if rest := found.times - sum(finding.times for finding in shown):
        yield f"{label}: and {rest:,} more"
    yield from (_HINT_INDENT + hint for hint in found.hints)


def _message_line(label: str, finding: Finding, told: set[str]) -> str:
    places = list(places_of(finding.issues[:ROWS_SHOWN], told))
    if places and finding.times > len(places):
        places.append("…")
    often = f"{finding.times:,} times" if finding.times > 1 else ""
    where = ": ".join(part for part in (often, ", ".join(places)) if part)
    return f"{label}: {finding.message}" + (f" ({where})" if where else "")


def places_of(issues: Iterable[Issue], told: set[str] | None = None) -> Iterator[str]:
    """Each row by file and line, the file named only where it changes.

    A long path is named in full where it is not among those that were `told` in full, else by its end.
    """
    path: str | None = None
    for issue in issues:
        place = _place(issue.row, issue.origin, path, told)
        if place is None:
            continue
        path = issue.origin.path if issue.origin is not None else None
        related = _place(issue.related, issue.related_origin, path, told)
        yield place if related is None else f"{place} like {related}"


def _place(row: int | None, origin: Origin | None, known_path: str | None, told: set[str] | None) -> str | None:
    if origin is None:
        return None if row is None else f"example {row}"
    path = origin.path
    if path is None:
        return str(origin)
    if path == known_path:
        return f"row {origin.line}"
    if told is not None and path not in told:
        told.add(path)
        return str(origin)
    return str(replace(origin, path=_short(path)))


def _short(path: str) -> str:
    """The path, or the end of a long one: it would push all else out of the line."""
    if len(path) <= _PATH_LENGTH:
        return path
    end = path[-_PATH_LENGTH:]
    separator = _SEPARATOR.search(end)
    return f"…{end if separator is None else end[separator.start() :]}"


def counted(times: int, noun: str) -> str:
    """A number with its noun, in the plural where that is right."""
    return f"{times:,} {noun}{'' if times == 1 else 's'}"


def _printable(line: str) -> str:
    # Messages may quote the data: escape sequences and reversed text must not reach the terminal.
    if line.isprintable():
        return line
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)
