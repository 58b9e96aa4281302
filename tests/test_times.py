"""Dates are read as they are written, and never guessed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit._times import Times, UnreadableTimeError, shown


def read(*values: object) -> list[float]:
    times = Times()
    for value in values:
        times.add(value)
    return list(times.finish())


DAY = datetime(2024, 3, 5, tzinfo=UTC).timestamp()
NOON = DAY + 12.5 * 3600


@pytest.mark.parametrize(
    "text",
    [
        *("2024-03-05", "20240305", 20240305, "2024/3/5", "2024.03.05", "2024年3月5日", "5.3.2024", "05.03.2024"),
        *("5 March 2024", "5th Mar 2024", "Mar 5, 2024", "Tuesday, March 5th, 2024", "05-Mar-2024", "Tue 5 mar 2024"),
        *(DAY, str(int(DAY)), int(DAY * 1e3), DAY * 1e6, str(int(DAY)) + "000000000", " 2024-03-05 "),
        *("2024-03-05T00:00:00Z", "2024-03-05 01:00+01:00", "2024-03-05T00:00:00.000Z", "2024-W10-2"),
    ],
)
def test_a_day_is_known_in_all_these_forms(text: object) -> None:
    assert read(text) == [DAY]


@pytest.mark.parametrize(
    "text",
    [
        *("2024-03-05T12:30", "2024-03-05 12:30:00", "2024/3/5 12:30 PM", "5.3.2024, 12:30", "2024年3月5日 12:30"),
        *("Tue, 05 Mar 2024 12:30:00 GMT", "Tue, 05 Mar 2024 14:30:00 +0200", "Mar 5, 2024 12:30 p.m."),
        *("2024-03-05 12:30:00 UTC", "2024-03-05T07:30:00-05:00", "2024/03/05 18:00:00 +0530"),
    ],
)
def test_a_time_of_day_is_known_in_all_these_forms(text: str) -> None:
    assert read(text) == [NOON]


def test_a_month_and_a_year_are_their_first_day() -> None:
    assert read("2024-03", "2024年3月") == [DAY - 4 * 86_400] * 2
    assert read("2024", 2024) == [datetime(2024, 1, 1, tzinfo=UTC).timestamp()] * 2


def test_another_row_tells_whether_the_day_or_the_month_is_first() -> None:
    assert read("5/3/2024", "31/12/2023")[0] == DAY
    assert read("3/5/2024", "12/31/2023")[0] == DAY
    assert read("12/31/2023", "03-05-2024 12:30")[1] == NOON
    assert read("4/4/2024") == read("2024-04-04")


@pytest.mark.parametrize("values", [("5/3/2024",), ("13/1/2024", "5/3/2024", "1/13/2024")])
def test_what_may_be_day_or_month_is_refused(values: tuple[str, ...]) -> None:
    with pytest.raises(UnreadableTimeError, match="may begin with the day or with the month") as raised:
        read(*values)
    assert raised.value.value == "5/3/2024"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "soon",
        "2024-13-01",
        "31.2.2024",
        "32/1/2024",
        "1 Foo 2024",
        "12:30",
        True,
        None,
        [],
        {},
        float("nan"),
        "1e5",
    ],
)
def test_what_is_no_date_is_refused_with_its_number(value: Any) -> None:
    with pytest.raises(UnreadableTimeError) as raised:
        read("2024-03-05", value)
    assert raised.value.number == 1


MOMENTS = st.integers(40_000_000, 4_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@given(MOMENTS, st.integers(-14, 14))
def test_every_form_of_a_moment_is_that_moment(moment: datetime, hours: int) -> None:
    there = moment.astimezone(timezone(timedelta(hours=hours)))
    forms = ("%Y-%m-%dT%H:%M:%S%z", "%Y/%m/%d %H:%M:%S %z", "%d.%m.%Y %H:%M:%S %z", "%a, %d %b %Y %H:%M:%S %z")
    assert set(read(*(there.strftime(form) for form in forms))) == {there.timestamp()}


@given(st.text() | st.integers() | st.floats() | st.from_regex(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}", fullmatch=True))
def test_any_value_is_a_number_or_refused(value: object) -> None:
    times = Times()
    try:
        times.add(value)
        assert all(isinstance(shown(time), str) for time in times.finish())
    except UnreadableTimeError:
        pass


def test_times_are_shown_as_days_where_they_are_days() -> None:
    assert (shown(DAY), shown(NOON), shown(1e300)) == ("2024-03-05", "2024-03-05 12:30:00", "1e+300")
