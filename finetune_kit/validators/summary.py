"""The text of a report for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from finetune_kit.rows import Origin
from finetune_kit.validators.issue import Issue, Severity

Tally = Mapping[tuple[Severity, str], int]
"""How often each code was found, kept in full or not."""

_MESSAGES_SHOWN = 5
_PLACES_SHOWN = 3
_HINT_INDENT = "    "


def headline(tally: Tally, rows: int) -> str:
    """How many examples were checked and what came of it, in one line without a full stop."""
    counts = dict.fromkeys(Severity, 0)
    for (severity, _), times in tally.items():
        counts[severity] += times
    nouns = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
    found = [_counted(times, nouns[severity]) for severity, times in counts.items() if times]
    return f"{_counted(rows, 'example')} checked: {', '.join(found) or 'no issues'}"


def summarize(issues: Sequence[Issue], tally: Tally, rows: int) -> str:
    """The whole report: the headline, then each code with its messages, places and hint.

    `issues` are sorted by severity and code, as `Report` keeps them.
    """
    lines = [headline(tally, rows)]
    for (severity, code), group in groupby(issues, key=lambda issue: (issue.severity, issue.code)):
        lines.extend(_code_lines(list(group), tally[severity, code]))
    return "\n".join(_printable(line) for line in lines)


def _code_lines(issues: list[Issue], total: int) -> Iterator[str]:
    by_message: dict[str, list[Issue]] = {}
    for issue in issues:
        by_message.setdefault(issue.message, []).append(issue)
    label = f"{issues[0].severity} {issues[0].code}"
    if len(by_message) == 1:
        yield _message_line(label, issues, total)
    else:
        shown = list(by_message.values())[:_MESSAGES_SHOWN]
        yield from (_message_line(label, same, len(same)) for same in shown)
        if rest := total - sum(map(len, shown)):
            yield f"{label}: and {rest:,} more"
    yield from (_HINT_INDENT + hint for hint in dict.fromkeys(issue.hint for issue in issues) if hint)


def _message_line(label: str, same: list[Issue], times: int) -> str:
    places = list(_places(same[:_PLACES_SHOWN]))
    if places and times > len(places):
        places.append("…")
    counted = f"{times:,} times" if times > 1 else ""
    where = ": ".join(part for part in (counted, ", ".join(places)) if part)
    return f"{label}: {same[0].message}" + (f" ({where})" if where else "")


def _places(issues: list[Issue]) -> Iterator[str]:
    """Each row by file and line, the file named only where it changes."""
    path: str | None = None
    for issue in issues:
        place = _place(issue.row, issue.origin, path)
        if place is None:
            continue
        path = issue.origin.path if issue.origin is not None else None
        related = _place(issue.related, issue.related_origin, path)
        yield place if related is None else f"{place} like {related}"


def _place(row: int | None, origin: Origin | None, known_path: str | None) -> str | None:
    if origin is None:
        return None if row is None else f"example {row}"
    return f"row {origin.line}" if origin.path is not None and origin.path == known_path else str(origin)


def _counted(times: int, noun: str) -> str:
    return f"{times:,} {noun}{'' if times == 1 else 's'}"


def _printable(line: str) -> str:
    # Messages may quote the data: escape sequences and reversed text must not reach the terminal.
    if line.isprintable():
        return line
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)
