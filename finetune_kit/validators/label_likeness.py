"""Labels that are most likely one label, written in two ways."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from finetune_kit._quoting import quoted
from finetune_kit.rows import Batch
from finetune_kit.validators.at_the_end import AtTheEnd
from finetune_kit.validators.issue import Issue, Severity
from finetune_kit.validators.label_counts import Labels, labels_of

# Between letters they join words as a space does; before a number they may be a sign.
_JOIN = re.compile(r"(?<=[^\W\d_])[_\-\u2010\u2011\u2013]+(?=[^\W\d_])")
_AROUND = " .,:;!?\"'`“”‘’«»。，、：；！？（）()[]"
_RARE = 0.05  # of the other label's rows: above that both are meant
_SHORTEST_WORD = 5  # of shorter ones, too many honest pairs are one letter apart


@dataclass(frozen=True, slots=True)
class LookAlikeLabels:
    """Two ways to write one label are two labels to the model, and split its examples between them.

    Bad:  "Refund", "refund " and "ｒｅｆｕｎｄ", or 100 rows "refund" and one "refnud"
    Good: "refund" in all of them
    """

    code = "look_alike_label"

    def start(self) -> AtTheEnd:
        """Begin a run."""
        return AtTheEnd(self._judge)

    def _judge(self, last: Batch) -> Iterator[Issue]:
        labels = last.view(labels_of)
        if labels is None or not labels.short:
            return
        for label, likely in (*_same_but_for_writing(labels), *_misspelt(labels)):
            message = (
                f"the label {quoted(label)} has {_rows(labels.counts[label])} and looks like {quoted(likely)}, "
                f"which has {_rows(labels.counts[likely])}"
            )
            yield Issue(
                self.code,
                Severity.WARNING,
                message,
                row=labels.first[label],
                field=labels.field(label),
                hint='If they mean the same, write them alike: in the file, or by `clean(fixes=["label_spelling"])`.',
                related=labels.first[likely],
            )


def _rows(times: int) -> str:
    return "1 row" if times == 1 else f"{times:,} rows"


def _same_but_for_writing(labels: Labels) -> Iterator[tuple[str, str]]:
    """Each label beside the most frequent one that is written like it."""
    likely: dict[str, str] = {}
    ranked = sorted(labels.counts, key=lambda label: -labels.counts[label])
    for label in ranked:
        known = likely.setdefault(plain(label), label)
        if known != label:
            yield label, known


def plain(label: str) -> str:
    """A label without what is no part of its meaning: case, width, spacing, and punctuation around it."""
    text = unicodedata.normalize("NFKC", label).casefold()
    return "".join(_JOIN.sub("", text.strip().strip(_AROUND)).split()) or text.strip() or label


def _misspelt(labels: Labels) -> Iterator[tuple[str, str]]:
    """Each very rare label beside a frequent one that is one letter away."""
    ways: dict[str, list[str]] = {}
    words = {label: plain(label) for label in labels.counts}
    for label, word in words.items():
        if len(word) >= _SHORTEST_WORD and not any(map(str.isdigit, word)):
            for way in _shortened(word):
                ways.setdefault(way, []).append(label)
    found: dict[str, str] = {}
    for same in ways.values():
        frequent = max(same, key=lambda label: labels.counts[label])
        for label in same:
            if words[label] != words[frequent] and labels.counts[label] <= labels.counts[frequent] * _RARE:
                found.setdefault(label, frequent)
    return iter(sorted(found.items(), key=lambda pair: labels.first[pair[0]]))


def _shortened(word: str) -> set[str]:
    """The word, and what it is without any one of its letters; words one letter apart share one of these."""
    return {word, *(word[:place] + word[place + 1 :] for place in range(len(word)))}
