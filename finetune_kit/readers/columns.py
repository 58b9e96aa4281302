"""Which column is the prompt and which the completion: as named, or guessed from a documented list."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from finetune_kit.errors import ColumnError, FormatError, ParameterError

PAIRS = (
    ("prompt", "completion"),
    ("prompt", "response"),
    ("prompt", "answer"),
    ("question", "answer"),
    ("questions", "answers"),
    ("q", "a"),
    ("instruction", "output"),
    ("instruction", "response"),
    ("input", "output"),
    ("query", "response"),
    ("query", "answer"),
    ("text", "label"),
    ("text", "category"),
    ("text", "intent"),
    ("text", "class"),
    ("utterance", "intent"),
    ("message", "label"),
    ("sentence", "label"),
    ("问题", "答案"),
    ("问题", "回答"),
    ("提问", "回答"),
    ("问", "答"),
    ("指令", "输出"),
    ("输入", "输出"),
    ("文本", "标签"),
    ("文本", "类别"),
    ("内容", "标签"),
    ("問題", "答案"),
    ("問題", "回答"),
    ("提問", "回答"),
    ("文本", "標籤"),
    ("質問", "回答"),
)
"""Names that are taken for prompt and completion when none are given; the first pair that is there wins."""

_NAMES_SHOWN = 30
_NAME_LENGTH = 60


@dataclass(frozen=True, slots=True)
class Fields:
    """The columns that became prompt and completion."""

    prompt: str
    completion: str
    notes: tuple[str, ...] = ()
    context: str | None = None
    """A column whose text, where there is any, follows that of the prompt, as `input` follows `instruction`."""

    def as_mapping(self) -> dict[str, str]:
        """Field to column."""
        return {"prompt": self.prompt, "completion": self.completion}

    def places(self, header: Sequence[str]) -> tuple[int, int, int | None]:
        """The numbers of the columns of prompt, completion and context."""
        context = None if self.context is None else header.index(self.context)
        return header.index(self.prompt), header.index(self.completion), context


def joined(prompt: str, context: str) -> str:
    """The prompt with what belongs under it."""
    return f"{prompt}\n{context}" if context else prompt


def header_names(cells: Sequence[str], *, path: str, row: int) -> list[str]:
    """The names of the columns, blank ones at the end left out, blank ones between called by their position."""
    count = max((number for number, cell in enumerate(cells, 1) if cell.strip()), default=0)
    names = [cell if cell.strip() else f"column {number}" for number, cell in enumerate(cells[:count], 1)]
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise FormatError(
            f"{path} row {row}: the header has names more than once: {shown(twice)}. Rename or delete them.",
            path=path,
            row=row,
        )
    return names


def numbered_names(count: int) -> list[str]:
    """The names of the columns of a table without a header."""
    return [f"column {number}" for number in range(1, count + 1)]


def choose_fields(
    names: Sequence[str], *, prompt: str | None, completion: str | None, where: str, by_position: bool = True
) -> Fields:
    """The two columns among `names`; `ColumnError` beginning with `where` when they are not there.

    Without names they are guessed from `PAIRS`; failing that, and `by_position`, two columns are taken in their order.
    """
    chosen_prompt = None if prompt is None else _named(prompt, names, parameter="prompt", where=where)
    chosen_completion = None if completion is None else _named(completion, names, parameter="completion", where=where)
    if chosen_prompt is None or chosen_completion is None:
        chosen = _guessed(names, chosen_prompt, chosen_completion, by_position=by_position)
        if chosen is None:
            missing = [name for name, column in (("prompt=", prompt), ("completion=", completion)) if column is None]
            raise ColumnError(
                f"{where}: which columns are prompt and completion is not clear from their names: {shown(names)}. "
                f"Pass {' and '.join(missing)}.",
                path=where,
            )
        return chosen
    if chosen_prompt == chosen_completion:
        raise ParameterError(
            f"prompt= and completion= both name the column {chosen_prompt!r}. Name two columns.", parameter="completion"
        )
    return Fields(chosen_prompt, chosen_completion)


def prompt_column(names: Sequence[str]) -> tuple[str | None, str | None]:
    """The column that the first of `PAIRS` takes for the prompt, and that of the text which follows it."""
    for wanted in dict.fromkeys(first for first, _ in PAIRS):
        if found := _find(wanted, names):
            return found, (_find("input", names) or "input") if _fold(found) == "instruction" else None
    return None, None


def shown(names: Sequence[str]) -> str:
    """The names for a message, shortened where they are many or long."""
    if not names:
        return "none"
    parts = [repr(name if len(name) <= _NAME_LENGTH else f"{name[:_NAME_LENGTH]}…") for name in names[:_NAMES_SHOWN]]
    more = len(names) - _NAMES_SHOWN
    return ", ".join(parts) + (f" and {more} more" if more > 0 else "")


def _fold(name: str) -> str:
    return name.strip().casefold()


def _find(wanted: str, names: Sequence[str]) -> str | None:
    if wanted in names:
        return wanted
    alike = [name for name in names if _fold(name) == _fold(wanted)]
    return alike[0] if len(alike) == 1 else None


def _named(wanted: str, names: Sequence[str], *, parameter: str, where: str) -> str:
    found = _find(wanted, names)
    if found is not None:
        return found
    folded = {_fold(name): name for name in names}
    close = difflib.get_close_matches(_fold(wanted), folded, n=1)
    meant = f" Did you mean {parameter}={folded[close[0]]!r}?" if close else f" Pass {parameter}= with one of them."
    raise ColumnError(f"{where}: there is no column {wanted!r}. The columns are: {shown(names)}.{meant}", path=where)


def _guessed(names: Sequence[str], prompt: str | None, completion: str | None, *, by_position: bool) -> Fields | None:
    known = [(_find(first, names), _find(second, names)) for first, second in PAIRS]
    for first, second in known:
        if first and second and prompt in (None, first) and completion in (None, second):
            context = _find("input", names) if prompt is None and _fold(first) == "instruction" else None
            return Fields(first, second, _told(first, second, "by their names", context=context), context)
    if len(names) == 2 and by_position:
        orders = [(names[0], names[1]), (names[1], names[0])]  # the second only where one of them was named
        for first, second in orders:
            if prompt in (None, first) and completion in (None, second):
                return Fields(first, second, notes=_told(first, second, "as there are just two"))
    return None


def _told(prompt: str, completion: str, why: str, *, context: str | None = None) -> tuple[str, ...]:
    if (prompt, completion) == PAIRS[0]:
        return ()
    taken = (
        shown([prompt])
        if context is None
        else f"{shown([prompt])}, with {shown([context])} on a new line where there is any,"
    )
    guess = f"Column {taken} was taken as prompt and {shown([completion])} as completion, {why}."
    return (f"{guess} Pass prompt= and completion= to choose.",)
