"""New data sets of old ones: every row keeps its file and line, nothing is lost unsaid, faults name the row."""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit.dataset import Dataset
from finetune_kit.errors import ParameterError, ValidationError
from finetune_kit.records import ChatExample, CompletionExample, Example, Message
from finetune_kit.rows import Origin, Rows, RowsBuilder
from finetune_kit.transforms import sample_rows
from tests.rows_of import PAIRS, many

SEVEN: Any = 7
FILES = st.sampled_from([None, "a.csv", "b.jsonl"])


def table(folder: Path, name: str, *rows: str) -> Dataset:
    path = folder / name
    path.write_text("\n".join(["prompt,completion", *rows]) + "\n", encoding="utf-8")
    return Dataset.from_csv(path)


def origins(data: Dataset) -> list[tuple[str | None, int]]:
    found = [data.rows.origin(row) for row in range(len(data))]
    return [(origin.path and Path(origin.path).name, origin.line) for origin in found]


def shouted(example: CompletionExample) -> CompletionExample:
    return replace(example, completion=example.completion.upper())


@pytest.fixture
def two(tmp_path: Path) -> tuple[Dataset, Dataset]:
    return table(tmp_path, "a.csv", "one,1", "two,2", "three,3"), table(tmp_path, "b.csv", "four,4", "five,5")


# origins


def test_each_row_keeps_its_file_and_line_through_a_whole_chain(two: tuple[Dataset, Dataset]) -> None:
    first, second = two
    data = second.concat(first).filter(lambda example: example.completion != "1").map(shouted)[1:].take([2, 0])
    assert list(data) == [CompletionExample("three", "3"), CompletionExample("five", "5")]
    assert origins(data) == [("a.csv", 4), ("b.csv", 3)]
    again: Dataset = pickle.loads(pickle.dumps(data))
    assert (list(again), origins(again)) == (list(data), origins(data))


@given(st.lists(st.tuples(FILES, st.integers(1, 2**40), st.text(max_size=3)), max_size=12), st.data())
def test_copied_rows_are_the_same_in_every_respect(
    added: list[tuple[str | None, int, str]], data: st.DataObject
) -> None:
    builder = RowsBuilder("completion")
    for path, line, text in added:
        builder.add_from(CompletionExample(text, text, {"n": line} if line % 2 else {}), Origin(path, line))
    rows = builder.build()
    chosen = data.draw(st.lists(st.integers(0, len(added) - 1), max_size=12)) if added else []
    view = rows.take(chosen)
    for copied in (copy_of(rows, view), pickle.loads(pickle.dumps(view))):
        some = copied[len(copied) - len(view) :]
        numbers = range(len(view))
        assert list(some) == list(view)
        assert some.records(numbers) == view.records(numbers)
        assert (some.row_keys(), some.flags()) == (view.row_keys(), view.flags())
        assert [some.origin(row) for row in numbers] == [view.origin(row) for row in numbers]
        assert [view.origin(row) for row in numbers] == [Origin(*added[row][:2]) for row in chosen]


def copy_of(*parts: Rows) -> Rows:
    builder = RowsBuilder("completion", path="c.csv")
    builder.add(CompletionExample("first", "of all"), line=1)  # so that the files get other numbers
    for rows in parts:
        builder.copy(rows, range(len(rows)))
    return builder.build()


def test_more_files_than_two_bytes_can_number_keep_their_names() -> None:
    builder = RowsBuilder("completion")
    for number in range(65_540):
        builder.add_from(CompletionExample("q", "a"), Origin(str(number), 1))
    rows = builder.build()
    assert [rows.origin(number).path for number in (0, 65_535, 65_539)] == ["0", "65535", "65539"]


# map


def test_map_may_change_the_kind() -> None:
    def as_chat(example: CompletionExample) -> ChatExample:
        return ChatExample((Message("user", example.prompt), Message("assistant", example.completion)))

    data = Dataset.from_records(PAIRS).map(as_chat)
    assert (data.kind, len(data)) == ("chat", len(PAIRS))
    assert data.source.notes[-1] == "To each of 20 examples, as_chat() was applied."


def test_map_leaves_the_old_set_as_it_was() -> None:
    data = Dataset.from_records(PAIRS)
    before = list(data)
    assert list(data.map(shouted)) == [shouted(example) for example in data if isinstance(example, CompletionExample)]
    assert list(data) == before


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        (None, "record 2: odd() returned nothing"),
        ({"prompt": "q"}, "record 2: odd() returned dict"),
        (CompletionExample("q", SEVEN), "record 2: odd() returned an example that cannot be kept: completion is not"),
        (ChatExample(()), "record 2: odd() returned a chat example, and completion examples for the rows before"),
    ],
)
def test_a_function_that_returns_no_fitting_example_is_told_with_the_row(returned: Any, told: str) -> None:
    def odd(example: CompletionExample) -> Any:
        return returned if example.prompt == PAIRS[1][0] else example

    with pytest.raises(ParameterError) as raised:
        Dataset.from_records(PAIRS).map(odd)
    assert str(raised.value).startswith(told)


def test_a_function_that_raises_is_told_with_the_row_and_chained(two: tuple[Dataset, Dataset]) -> None:
    def third(example: CompletionExample) -> Any:
        return {"one": example, "two": example}[example.prompt]

    for method in (two[0].map, lambda fn: two[0].filter(lambda example: bool(fn(example)))):
        with pytest.raises(ParameterError, match=r"a\.csv row 4: .* raised KeyError: 'three'") as raised:
            method(third)
        assert isinstance(raised.value.__cause__, KeyError)


# filter


def test_filter_is_a_view_of_the_same_store() -> None:
    data = Dataset.from_records(PAIRS)
    kept = data.filter(lambda example: example.completion == "track")
    assert [example.completion for example in kept if isinstance(example, CompletionExample)] == ["track"] * 10
    assert kept.rows._index is data.rows._index
    assert kept.source.notes[-1] == "Of 20 examples, the function kept 10."


@pytest.mark.parametrize("answer", [None, "yes", 1, [True]])
def test_filter_takes_no_other_answer_for_true(answer: Any) -> None:
    """A forgotten `return` would leave out all rows."""
    with pytest.raises(ParameterError, match=r"record 1: the function returned .*Return True for a row that stays"):
        Dataset.from_records(PAIRS).filter(lambda example: answer)


def test_a_filter_may_keep_nothing() -> None:
    data = Dataset.from_records(PAIRS).filter(lambda example: False)
    assert (len(data), list(data), list(data.map(shouted))) == (0, [], [])


# concat


def test_refused_rows_stay_refused_each_in_its_own_file(tmp_path: Path) -> None:
    first, second = table(tmp_path, "a.csv", "one,1", "two"), table(tmp_path, "b.csv", "three,3", "four,4", "five")
    data = first.concat(second)
    assert (data.source.rows_read, data.source.rows_refused) == (3, 2)
    with pytest.raises(ValidationError, match=r"a\.csv row 3[\s\S]*b\.csv row 4"):
        data.validate().raise_if_errors()
    written = data.write_refused(tmp_path / "refused.jsonl")
    lines = Path(written.path).read_text(encoding="utf-8").splitlines()
    assert [("a.csv" in line, "b.csv" in line) for line in lines] == [(True, False), (False, True)]
    assert data.without_refused().validate().counts.get("ragged_row", 0) == 0


def test_the_source_of_joined_sets_names_all_of_them(two: tuple[Dataset, Dataset]) -> None:
    data = two[0].concat(two[1], Dataset.from_records(PAIRS))
    assert len(data) == 25
    assert repr(data).endswith("a.csv, " + str(two[1].source.path) + " and records>")
    assert data.source.path is None
    text = str(data.source)
    assert text.count("rows read") == 3
    assert text.endswith("20 of records.")


def test_sides_of_one_file_join_to_a_set_of_that_file() -> None:
    split = Dataset.from_records(PAIRS).split(0.8)
    assert split.validation is not None
    data = split.training.concat(split.validation)
    assert sorted(map(str, data)) == sorted(map(str, Dataset.from_records(PAIRS)))
    assert (data.source.format, data.source.rows_read) == ("records", 20)


def test_many_files_are_named_in_part() -> None:
    sets = [Dataset(many(1)[:], replace(Dataset.from_records(PAIRS).source, path=f"{n}.csv")) for n in range(6)]
    assert sets[0].concat(*sets[1:]).source.name == "0.csv, 1.csv, 2.csv and 3 more"


def test_kinds_that_do_not_mix_are_refused_with_a_hint() -> None:
    chat: list[Example] = [ChatExample((Message("user", "q"), Message("assistant", "a")))]
    with pytest.raises(ParameterError, match=r"completion examples and the others chat examples.*to_chat\(\)"):
        Dataset.from_records(PAIRS).concat(Dataset.from_records(chat))
    no_set: Any = PAIRS
    with pytest.raises(ParameterError, match="tuple is not a Dataset"):
        Dataset.from_records(PAIRS).concat(no_set)


# sample


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 2**32 - 1))
def test_a_sample_has_its_size_and_no_row_twice(count: int, n: int, seed: int) -> None:
    n = min(n, count)
    chosen = list(sample_rows(count, n, seed=seed))
    assert len(chosen) == n
    assert chosen == sorted(set(chosen))
    assert chosen == list(sample_rows(count, n, seed=seed))
    assert all(0 <= number < count for number in chosen)


def test_every_row_is_drawn_as_often_as_any_other() -> None:
    times = [0] * 10
    for seed in range(4000):
        for number in sample_rows(10, 3, seed=seed):
            times[number] += 1
    assert all(1080 < often < 1320 for often in times), times  # 1,200 expected, four standard deviations are 116


def test_a_sample_is_the_same_in_another_process() -> None:
    code = "from finetune_kit.transforms import sample_rows; print(list(sample_rows(1000, 5, seed=7)))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert other == str(list(sample_rows(1000, 5, seed=7)))
    assert other == str([106, 130, 256, 422, 548])


def test_a_sample_tells_of_its_seed_and_of_what_it_cannot_give() -> None:
    data = Dataset.from_records(PAIRS)
    sample = data.sample(5, seed=3)
    assert len(sample) == 5
    assert sample.source.notes[-1] == "Of 20 examples, 5 were drawn with seed 3."
    with pytest.raises(ParameterError, match="n=21: give a whole number from 0 to 20"):
        data.sample(21)
    with pytest.raises(ParameterError, match="seed="):
        data.sample(2, seed=-1)


# memory


@pytest.mark.skipif(sys.platform == "win32", reason="memory is read by the resource module")
def test_rows_pass_through_in_flat_memory() -> None:
    """Seventy megabytes of rows in some ten of memory, the rows' index included."""
    program = """
import resource
from dataclasses import replace
from finetune_kit.dataset import Dataset
def grow(example): return replace(example, completion=example.completion + "!")
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
data = Dataset.from_records((f"q{n}", f"{n} " + "answer " * 500) for n in range(20_000))
before = peak()
data = data.map(grow).filter(lambda example: True).sample(19_000).concat(data)
assert len(data) == 39_000
print(peak() - before)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    grown = int(done.stdout) / (1024 if sys.platform == "linux" else 1024**2)
    assert grown < 45, f"{grown:.0f} MB more"
