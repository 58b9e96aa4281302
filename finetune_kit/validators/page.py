"""A report as one page for people who know nothing of this library, and as a card for notebooks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files

from finetune_kit._html import Html, element, joined, visible
from finetune_kit.records import Kind
from finetune_kit.validators.charts import label_table, length_chart
from finetune_kit.validators.excerpt import Excerpt, Part
from finetune_kit.validators.findings import CodeFindings, Finding
from finetune_kit.validators.illustrate import MESSAGES_SHOWN, ROWS_SHOWN
from finetune_kit.validators.issue import Issue, Severity
from finetune_kit.validators.report_data import ReportData
from finetune_kit.validators.rule_text import COMMON
from finetune_kit.validators.subject import Subject
from finetune_kit.validators.summary import NOUNS, counted, places_of

_ROWS_NAMED = 12
"""So many rows of one message are named at least, with an example or without."""

_KINDS: Mapping[Kind, str] = {
    "completion": "prompts, each with the completion that is to be learned",
    "chat": "conversations, of which the assistant's turns are learned",
    "preference": "questions, each with a better and a worse answer",
}
_DELIMITERS = {",": "commas", "\t": "tabs", ";": "semicolons"}
_MEANINGS = {
    Severity.ERROR: "must be mended: training on this data is refused.",
    Severity.WARNING: "training works, and the model is likely to be worse for it.",
    Severity.INFO: "worth knowing, nothing to mend.",
}
# Even if something got through the escaping, a browser would neither run it nor load anything.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def page(report: ReportData) -> str:
    """The whole page; equal reports give equal bytes."""
    paths = [subject.path for subject in report.subjects if subject.path]
    title = f"Data report: {', '.join(dict.fromkeys(map(_file_name, paths)))}" if paths else "Data report"
    found = report.findings
    body = element(
        "main",
        element("header", element("h1", title), _verdict(report), _tiles(report)),
        _checked(report.subjects),
        _glance(found),
        _details(found, {rule.code: rule.meaning for rule in report.rules}),
        _shapes(report.subjects),
        _passed(report),
        _legend(),
    )
    head = element(
        "head",
        element("meta", attributes={"charset": "utf-8"}),
        element("meta", attributes={"http-equiv": "Content-Security-Policy", "content": _POLICY}),
        element("meta", attributes={"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        element("title", title),
        element("style", Html(_style())),
    )
    document = element("html", head, element("body", body), attributes={"lang": "en"})
    return f"<!DOCTYPE html>\n{document}\n"


def card(report: ReportData) -> str:
    """The findings as a small table that takes its colours from the notebook."""
    rows = [
        element(
            "tr",
            _cell(NOUNS[code.severity]),
            _cell(element("code", code.code)),
            _cell(_prose(finding.message)),
            _cell(f"{finding.times:,}", align="right"),
            _cell(_places(finding)),
        )
        for code in report.findings
        for finding in code.findings[:MESSAGES_SHOWN]
    ]
    headings = ("", "rule", "what was found", "times", "first rows")
    style = {"scope": "col", "style": "text-align: left"}
    head = element("tr", *(element("th", name, attributes=style) for name in headings))
    table = element("table", element("thead", head), element("tbody", *rows)) if rows else Html("")
    more = element("small", 'report.to_html("report.html") shows examples, lengths and labels.')
    told = element("strong", _headline(report))
    return element("div", element("p", told), table, element("p", more))


@cache
def _style() -> str:
    return "\n" + (files("finetune_kit.validators") / "page.css").read_text(encoding="utf-8")


def _headline(report: ReportData) -> str:
    found = [counted(times, NOUNS[severity]) for severity, times in report.by_severity.items() if times]
    return f"{counted(report.rows, 'example')} checked: {', '.join(found) or 'no issues'}"


def _cell(content: str, *, align: str = "left") -> Html:
    return element("td", content, attributes={"style": f"text-align: {align}"})


def _verdict(report: ReportData) -> Html:
    counts = report.by_severity
    if errors := counts[Severity.ERROR]:
        css, verdict = "error", "Not ready for training"
        told = f"{counted(errors, 'error')} must be mended first; training on this data is refused."
    elif warnings := counts[Severity.WARNING]:
        css, verdict = "warning", "Can be trained on"
        them = "it is" if warnings == 1 else "they are"
        told = f"Nothing is refused. {counted(warnings, 'warning')}: the model is likely to be better if {them} mended."
    else:
        css, verdict = "good", "Ready for training"
        told = f"None of the {counted(len(report.rules), 'rule')} found anything to mend." if report.rules else ""
    return element("div", element("strong", verdict), element("p", told), css=f"verdict {css}")


def _tiles(report: ReportData) -> Html:
    refused = sum(subject.rows_refused for subject in report.subjects)
    tiles = [element("li", element("strong", f"{report.rows:,}"), "examples checked")]
    if refused:
        tiles.append(element("li", element("strong", f"{refused:,}"), "rows could not be read", css="error"))
    for severity, times in report.by_severity.items():
        noun = counted(times, NOUNS[severity]).split(" ", 1)[1]
        tiles.append(element("li", element("strong", f"{times:,}"), noun, css=str(severity) if times else ""))
    return element("ul", *tiles, css="tiles")


def _checked(subjects: Sequence[Subject]) -> Html:
    if not subjects:
        return Html("")
    told = [dict(_facts(subject)) for subject in subjects]
    names = dict.fromkeys(name for facts in told for name in facts)
    rows = [
        element(
            "tr",
            element("th", name, attributes={"scope": "row"}),
            *(element("td", facts.get(name, "")) for facts in told),
        )
        for name in names
    ]
    table = element("table", element("tbody", *rows), css="facts")
    return element("section", element("h2", "What was checked"), element("div", table, css="wide"))


def _facts(subject: Subject) -> Iterator[tuple[str, Html]]:
    if subject.name is not None:
        yield "Side", element("strong", _sentence(subject.name))
    yield "From", element("bdi", subject.path or "records in memory")
    if subject.format is not None:
        yield "Read as", joined([subject.format, *_encoding(subject)])
    yield "Examples", joined([f"{subject.rows:,} {_KINDS[subject.kind]}"])
    if subject.format is not None:
        refused = f"{subject.rows_refused:,}" if subject.rows_refused else "none"
        yield "Rows that could not be read", joined([refused])
    if subject.host is not None:
        yield "By the limits of", joined([subject.host])
    if subject.columns:
        columns = (joined([field, " is ", element("q", name)]) for field, name in subject.columns.items())
        yield "Columns", joined(columns, ", ")
    if subject.notes:
        yield "Noted on reading", joined(subject.notes, " ")


def _encoding(subject: Subject) -> Iterator[str]:
    if subject.encoding is not None:
        yield f" in {subject.encoding}"
        if subject.confidence is not None and subject.confidence < 1:
            yield f" (a guess, {subject.confidence:.0%} sure)"
    if subject.bom:
        yield ", with a byte-order mark"
    if subject.delimiter is not None:
        yield ", cells separated by "
        yield _DELIMITERS.get(subject.delimiter, element("code", visible(subject.delimiter)))


def _glance(found: Sequence[CodeFindings]) -> Html:
    if not found:
        return Html("")
    head = element(
        "tr",
        *(element("th", name, attributes={"scope": "col"}) for name in ("", "What was found", "Rule")),
        element("th", "Times", css="number", attributes={"scope": "col"}),
    )
    rows = [
        element(
            "tr",
            element("td", _badge(code.severity)),
            element("th", _prose(_several(code)), attributes={"scope": "row"}),
            element("td", element("a", element("code", code.code), attributes={"href": f"#finding-{number}"})),
            element("td", f"{code.times:,}", css="number"),
        )
        for number, code in enumerate(found, 1)
    ]
    table = element("table", element("thead", head), element("tbody", *rows), css="glance")
    return element("section", element("h2", "At a glance"), element("div", table, css="wide"))


def _several(code: CodeFindings) -> str:
    message, more = _sentence(code.findings[0].message), len(code.findings) - 1
    return f"{message} (and {more} more of this kind)" if more else message


def _details(found: Sequence[CodeFindings], meanings: Mapping[str, str]) -> Html:
    if not found:
        return Html("")
    parts = [_detail(number, code, meanings.get(code.code, "")) for number, code in enumerate(found, 1)]
    return element("section", element("h2", "What was found"), *parts)


def _detail(number: int, code: CodeFindings, meaning: str) -> Html:
    shown = code.findings[:MESSAGES_SHOWN]
    alone = len(code.findings) == 1
    rest = code.times - sum(finding.times for finding in shown)
    meaning = meaning or COMMON.get(code.code, "")
    advice = "Good to know: " if code.severity is Severity.INFO else "What to do: "
    heading = element(
        "h3",
        _badge(code.severity),
        _prose(_sentence(shown[0].message)) if alone else element("code", code.code),
        _often(code),
    )
    return element(
        "section",
        heading,
        element("p", element("code", code.code), ": " if meaning else "", _prose(meaning), css="quiet")
        if alone or meaning
        else "",
        *(element("p", element("strong", advice), _prose(hint), css="todo") for hint in code.hints),
        *(_finding(finding, alone=alone) for finding in shown),
        element("p", f"And {rest:,} more under this rule.", css="quiet") if rest else "",
        css="finding",
        attributes={"id": f"finding-{number}"},
    )


def _often(code: CodeFindings) -> Html:
    """How often; what is said of the set as a whole is said once, and that needs no words."""
    if code.times > 1:
        return element("span", f"{code.times:,} times", css="count")
    of_a_row = any(issue.origin is not None for finding in code.findings for issue in finding.issues)
    return element("span", "once", css="count") if of_a_row else Html("")


def _finding(finding: Finding, *, alone: bool) -> Html:
    """The rows of one message, those with an example by the example's caption."""
    pieces: list[Html] = []
    if not alone:
        often = element("span", f" {finding.times:,} times", css="count") if finding.times > 1 else ""
        pieces.append(element("h4", _prose(_sentence(finding.message)), often))
    shown = finding.issues[:ROWS_SHOWN]
    pieces += [_example(issue) for issue in shown if issue.excerpt is not None]
    places = _places(finding)
    if places and not all(issue.excerpt is not None for issue in shown):
        pieces.append(element("p", "In ", places, css="quiet"))
    elif places and (more := finding.times - len(shown)) > 0:
        further = ", ".join(places_of(finding.issues[ROWS_SHOWN:_ROWS_NAMED]))
        named = min(len(finding.issues), _ROWS_NAMED) - len(shown)
        told = [
            f"And {more:,} more",
            ": " if further else "",
            visible(further),
            " …" if further and more > named else "",
        ]
        pieces.append(element("p", *told, css="quiet"))
    return joined(pieces)


def _places(finding: Finding) -> Html:
    places = list(places_of(finding.issues[:ROWS_SHOWN]))
    if places and finding.times > len(places):
        places.append(f"and {finding.times - len(places):,} more")
    return joined([element("bdi", visible(place)) for place in places], ", ")


def _example(issue: Issue) -> Html:
    caption = next(places_of([replace(issue, related=None, related_origin=None)]), "")
    shown = [_excerpt(issue.excerpt)] if issue.excerpt is not None else []
    if issue.related_excerpt is not None:
        like = next(places_of([Issue("", issue.severity, "", row=issue.related, origin=issue.related_origin)]), "")
        shown += [element("p", "like ", element("bdi", visible(like)), css="caption"), _excerpt(issue.related_excerpt)]
    return element("figure", element("figcaption", element("bdi", visible(caption))), *shown)


def _excerpt(excerpt: Excerpt) -> Html:
    parts = [piece for part in excerpt.parts for piece in _part(part)]
    if excerpt.left_out:
        parts.append(element("div", f"and {counted(excerpt.left_out, 'more part')}", css="left-out"))
    return element("dl", *parts, css="example")


def _part(part: Part) -> tuple[Html, Html]:
    css = "faulty" if part.faulty else ""
    name = (
        element("b", part.field)
        if part.role is None
        else joined([element("b", part.role), part.field.removesuffix(".content")])
    )
    return element("dt", name, css=css), element("dd", _text(part), css=css, attributes={"dir": "auto"})


def _text(part: Part) -> Html:
    if not part.text:
        empty = element("span", "(empty)", css="unseen")
        return element("mark", empty) if part.faulty else empty
    pieces = [visible(part.text, part.marks)]
    if part.cut_before:
        pieces.insert(0, element("span", f"… {part.cut_before:,} characters before … ", css="cut"))
    if part.cut_after:
        pieces.append(element("span", f" … {part.cut_after:,} characters more", css="cut"))
    return joined(pieces)


def _shapes(subjects: Sequence[Subject]) -> Html:
    parts = [shape for subject in subjects for shape in _shape(subject, named=len(subjects) > 1)]
    return element("section", element("h2", "The shape of the data"), *parts) if parts else Html("")


def _shape(subject: Subject, *, named: bool) -> Iterator[Html]:
    profile = subject.profile
    if not profile.lengths:
        return
    if named:
        name = _sentence(subject.name or subject.path or "records")
        yield element("h3", element("bdi", name), f" ({counted(subject.rows, 'example')})")
    yield element("div", *map(length_chart, profile.lengths), css="charts")
    if profile.labels is not None:
        count = len(profile.labels.shown) + profile.labels.others
        yield element("h3", counted(count, "label"))
        yield element("p", "The answers are labels: a few texts that occur again and again.", css="quiet")
        yield label_table(profile.labels)


def _passed(report: ReportData) -> Html:
    found = {code.code for code in report.findings}
    passed = [rule for rule in report.rules if rule.code not in found]
    if not passed:
        return Html("")
    items = [
        element("li", element("code", rule.code), ": " if rule.meaning else "", _prose(rule.gist)) for rule in passed
    ]
    return element(
        "section",
        element("h2", "Rules that found nothing"),
        element("ul", *items, css="passed"),
    )


def _legend() -> Html:
    severities = (element("li", _badge(severity), f" {meaning}") for severity, meaning in _MEANINGS.items())
    return element(
        "footer",
        element("h2", "How to read this page"),
        element("ul", *severities),
        element(
            "p",
            "A row is named by its file and the line on which it starts, counted from 1. In the examples the fault is ",
            element("mark", "marked"),
            "; line feeds, tabs and characters that one does not see are shown as ",
            element("span", "↵", css="unseen"),
            " or by their number. What a rule takes for secret or personal is masked with •.",
        ),
        element("p", "Made by finetune_kit. This page holds no program and loads nothing."),
    )


def _badge(severity: Severity) -> Html:
    return element("span", _sentence(NOUNS[severity]), css=f"badge {severity}")


def _prose(text: str) -> Html:
    """Words in which backticks stand around code."""
    pieces = text.split("`")
    if len(pieces) % 2 == 0:
        return visible(text, at_ends=False)
    shown = (visible(piece, at_ends=False) for piece in pieces)
    return joined(element("code", piece) if place % 2 else piece for place, piece in enumerate(shown))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _file_name(path: str) -> str:
    return path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
