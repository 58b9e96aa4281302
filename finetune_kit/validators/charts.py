"""Histograms as drawings that stretch with the page, their words beside them in plain HTML."""

from __future__ import annotations

from collections.abc import Sequence

from finetune_kit._html import Html, element, joined, visible
from finetune_kit.validators.profile import Labels, Lengths

_HEIGHT = 100
_BAR = 10
_GAP = 1


def length_chart(lengths: Lengths) -> Html:
    """A bar for each stretch of lengths, with the shortest, the middle and the longest in words."""
    bars = [*lengths.bars, lengths.beyond] if lengths.beyond else list(lengths.bars)
    names = [_stretch(lengths, place) for place in range(len(lengths.bars))]
    end = len(lengths.bars) * lengths.step
    if lengths.beyond:
        names.append(f"{end:,} {lengths.unit} and more")
    what = f"{lengths.part}: {lengths.unit}"
    told = (
        f"Half of them have at most {lengths.median:,} {lengths.unit}; "
        f"the shortest has {lengths.shortest:,}, the longest {lengths.longest:,}."
    )
    last = end - 1 if lengths.step == 1 and not lengths.beyond else end
    ticks = ["0", f"{last // 2:,}", f"{last:,} and more" if lengths.beyond else f"{last:,}"]
    return element(
        "section",
        element("h4", _capital(lengths.part)),
        element("p", told, css="quiet"),
        _drawing(bars, names, f"How many examples have how many {lengths.unit}, {what}", beyond=bool(lengths.beyond)),
        element("div", *(element("span", tick) for tick in ticks), css="axis", attributes={"aria-hidden": "true"}),
        element("p", f"{_capital(lengths.unit)}; the highest bar stands for {max(bars):,} examples.", css="quiet"),
        css="chart",
    )


def label_table(labels: Labels) -> Html:
    """A row with a bar for each label."""
    most = max(times for _, times in labels.shown)
    total = sum(times for _, times in labels.shown) + labels.others_rows
    head = element(
        "tr",
        element("th", "Label", attributes={"scope": "col"}),
        element("th", "Examples", css="number", attributes={"scope": "col"}),
        element("th", "Share", css="number", attributes={"scope": "col"}),
        element("td", attributes={"aria-hidden": "true"}),
    )
    rows = [_label_row(label, times, times / total, times / most) for label, times in labels.shown]
    if labels.others:
        name = "1 other label" if labels.others == 1 else f"{labels.others:,} other labels"
        rows.append(_label_row(name, labels.others_rows, labels.others_rows / total, None))
    table = element("table", element("thead", head), element("tbody", *rows))
    return element("div", table, css="wide")


def _label_row(label: str, times: int, share: float, width: float | None) -> Html:
    bar = "" if width is None else _bar(width)
    return element(
        "tr",
        element("th", element("bdi", visible(label)), attributes={"scope": "row"}),
        element("td", f"{times:,}", css="number"),
        element("td", f"{share:.1%}", css="number"),
        element("td", bar, css="share", attributes={"aria-hidden": "true"}),
    )


def _bar(width: float) -> Html:
    bar = element("rect", attributes={"width": f"{100 * width:.1f}", "height": "10", "rx": "0.5"})
    return element("svg", bar, attributes={"viewBox": "0 0 100 10", "preserveAspectRatio": "none"})


def _drawing(bars: Sequence[int], names: Sequence[str], title: str, *, beyond: bool) -> Html:
    most = max(bars)
    drawn = [
        element(
            "rect",
            element("title", f"{name}: {times:,} examples"),
            css="beyond" if beyond and place == len(bars) - 1 else "",
            attributes=_rectangle(place, max(_HEIGHT * times / most, 1.5)),
        )
        for place, (times, name) in enumerate(zip(bars, names, strict=True))
        if times
    ]
    attributes = {
        "viewBox": f"0 0 {len(bars) * _BAR} {_HEIGHT}",
        "preserveAspectRatio": "none",
        "role": "img",
        "aria-label": title,
    }
    return element("svg", joined(drawn), attributes=attributes)


def _rectangle(place: int, height: float) -> dict[str, str]:
    return {
        "x": str(place * _BAR + _GAP),
        "y": f"{_HEIGHT - height:.1f}",
        "width": str(_BAR - 2 * _GAP),
        "height": f"{height:.1f}",
    }


def _stretch(lengths: Lengths, place: int) -> str:
    first = place * lengths.step
    if lengths.step == 1:
        return f"{first:,} {lengths.unit}"
    return f"{first:,} to {first + lengths.step - 1:,} {lengths.unit}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
