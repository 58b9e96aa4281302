"""Costs: tokens by epochs by a dated price, the whole of it or the reason why not; budgets hold before an upload."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit import Dataset
from finetune_kit.backends import FileState
from finetune_kit.cards import ModelCard
from finetune_kit.costs import check_budget, estimate_cost
from finetune_kit.counts import Interval, TokenCounts, count_tokens
from finetune_kit.errors import BudgetError, ModelClosedError, ParameterError, ShutdownWarning
from finetune_kit.hosts import HostProfile, ModelFacts, Prices, host_profile
from finetune_kit.testing import MemoryBackend
from finetune_kit.testing.memory_backend import BASE
from finetune_kit.tokens import Estimate, HostedTokens
from finetune_kit.uploads import SpooledFile
from tests.rows_of import PAIRS, completions
from tests.tokens.words import Words

OPENAI = host_profile("openai")
MODEL = "gpt-4.1-mini-2025-04-14"
ON = date(2026, 11, 24)


def counted(tokens: float, *, trained: float = 0, spread: float = 0, rows: int = 100, images: int = 0) -> TokenCounts:
    """Counts with a total of `tokens`, give or take `spread`."""
    return TokenCounts(
        host="openai",
        model=MODEL,
        tokenizer="words",
        rows=rows,
        counted_rows=rows,
        exact=not spread,
        total=Interval(tokens, tokens - spread, tokens + spread),
        trained=Interval(trained, trained, trained),
        mean=tokens / rows,
        max=9,
        percentiles={50: 5},
        mean_trained=trained / rows,
        limit=None,
        over_limit=None,
        uncounted_parts=images,
    )


def test_training_is_tokens_by_epochs_by_price() -> None:
    estimate = estimate_cost(OPENAI, MODEL, counted(1_000_000), n_epochs=3, on=ON)
    assert estimate.total == Interval(15, 15, 15), "$5 for a million tokens"
    assert estimate.as_of == date(2026, 10, 1)
    shown = str(estimate)
    assert "prices of 2026-10-01 (a copy of OpenAI's pricing page, October 2026)" in shown
    assert "1,000,000 tokens x 3 epochs x $5.00 for a million" in shown
    assert "Not asked for, and not in the estimate: calls of the model (calls=)." in shown
    assert repr(estimate) == shown
    assert "<td>$15.00</td>" in estimate._repr_html_()


def test_the_davinci_of_2023_costs_what_it_cost_then() -> None:
    """$0.03 for a thousand tokens."""
    estimate = estimate_cost(OPENAI, "davinci", counted(100_000), n_epochs=4, on=date(2023, 6, 1))
    assert estimate.total is not None
    assert estimate.total.value == pytest.approx(100 * 0.03 * 4)
    assert estimate.as_of == date(2023, 1, 1)


def test_an_estimate_of_tokens_is_an_interval_of_dollars() -> None:
    estimate = estimate_cost(OPENAI, MODEL, counted(1_000_000, spread=100_000), n_epochs=1, on=ON)
    assert estimate.total is not None
    assert (estimate.total.low, estimate.total.high) == pytest.approx((4.5, 5.5))
    assert "$5.00 ($4.50 to $5.50)" in str(estimate)


def test_hosting_and_use_are_part_of_it_where_they_are_asked_for() -> None:
    counts = counted(1_000_000, trained=400_000, rows=1_000)
    estimate = estimate_cost(OPENAI, MODEL, counts, n_epochs=1, hours_hosted=10, calls=1_000_000, on=ON)
    training, hosting, use = estimate.items
    assert training.dollars == Interval(5, 5, 5)
    assert hosting.dollars == Interval(0, 0, 0), "OpenAI keeps them ready without a price"
    # 600 tokens in at $0.80 and 400 out at $3.20 for a million, a million times
    assert use.dollars == Interval(600 * 0.8 + 400 * 3.2, *[600 * 0.8 + 400 * 3.2] * 2)
    told = estimate_cost(
        OPENAI, MODEL, counts, calls=1_000_000, input_tokens_per_call=100, output_tokens_per_call=10, on=ON
    )
    assert told.items[1].dollars == Interval(112, 112, 112)


@pytest.mark.parametrize(
    ("host", "model", "asked", "reason"),
    [
        ("azure", "gpt-4.1-2025-04-14", {}, "the training price of .* on azure is not on file"),
        ("azure", "gpt-4.1-2025-04-14", {"calls": 5}, "calling the model on azure is not on file"),
        ("openai", "o4-mini-2025-04-16", {}, r"billed at \$100.00 an hour, and how long it trains is not known"),
        ("nebius", "anything", {"hours_hosted": 1}, "hosting on nebius is not on file"),
    ],
)
def test_where_one_price_is_not_known_there_is_no_total_but_a_reason(
    host: str, model: str, asked: Any, reason: str
) -> None:
    estimate = estimate_cost(host_profile(host), model, counted(1_000), on=ON, **asked)
    assert estimate.total is None
    with pytest.raises(BudgetError, match=reason) as raised:
        check_budget(estimate, 1e9)
    assert raised.value.estimate == estimate
    assert "not known" in str(estimate)


def test_a_known_part_of_an_unknown_sum_is_no_total() -> None:
    estimate = estimate_cost(host_profile("azure"), "gpt-4.1-2025-04-14", counted(1_000), hours_hosted=100, on=ON)
    assert estimate.items[1].dollars == Interval(170, 170, 170)
    assert estimate.total is None


def test_images_are_billed_so_that_their_training_has_no_price_here() -> None:
    estimate = estimate_cost(OPENAI, MODEL, counted(1_000, images=3), on=ON)
    assert estimate.total is None
    assert "images" in estimate.reason


def test_this_machine_is_free() -> None:
    local = host_profile("local")
    estimate = estimate_cost(local, "somebody/own-base", counted(1e9, images=2), hours_hosted=9, calls=9, on=ON)
    assert estimate.total == Interval(0, 0, 0)
    check_budget(estimate, 0)


@given(
    tokens=st.integers(0, 10**10),
    epochs=st.integers(1, 50),
    spread=st.floats(0, 1),
    calls=st.none() | st.integers(0, 10**6),
)
def test_a_total_lies_in_its_interval_and_grows_with_the_epochs(
    tokens: int, epochs: int, spread: float, calls: int | None
) -> None:
    counts = counted(tokens, trained=tokens // 2, spread=tokens * spread)
    one, more = (
        estimate_cost(OPENAI, MODEL, counts, n_epochs=n, calls=calls, on=ON).total for n in (epochs, epochs + 1)
    )
    assert one is not None
    assert more is not None
    assert 0 <= one.low <= one.value * 1.000001
    assert one.value <= one.high * 1.000001
    assert one.high <= more.high


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_epochs": 0}, "n_epochs=0"),
        ({"hours_hosted": -1}, "hours_hosted=-1"),
        ({"calls": 1.5}, "calls=1.5"),
        ({"calls": 1, "input_tokens_per_call": float("nan")}, "input_tokens_per_call=nan"),
    ],
)
def test_numbers_out_of_range_are_refused_by_name(settings: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        estimate_cost(OPENAI, MODEL, counted(10), on=ON, **settings)


# through the split


def test_a_split_is_estimated_by_its_training_set() -> None:
    split = Dataset.from_records(PAIRS).split(0.8)
    estimate = split.estimate_cost("gpt-4.1-mini", 2)
    assert estimate.counts.rows == len(split.training)
    assert estimate.total is not None
    assert estimate.total.value == pytest.approx(estimate.counts.total.value * 2 * 5 / 1e6)


def test_prices_of_ones_own_are_taken_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "hosts.json"
    mine = {"training": 10, "source": "our contract", "as_of": "2026-11-20"}
    path.write_text(json.dumps({"azure": {"models": {"gpt-4.1-2025-04-14": {"prices": mine}}}}), encoding="utf-8")
    estimate = Dataset.from_records(PAIRS).split(0.8).estimate_cost("gpt-4.1", host="azure", hosts=path)
    assert estimate.total is not None
    assert "prices of 2026-11-20 (our contract)" in str(estimate)


# the door of train


class Paid(MemoryBackend):
    """A backend whose host has a price, and whose dates can be set."""

    def __init__(self, price: float | None, **facts: Any) -> None:
        super().__init__()
        self.uploads = 0
        told: dict[str, Any] = {"source": "a test", "as_of": date(2026, 11, 1)}
        prices = None if price is None else Prices(training=price, **told)
        self.facts = ModelFacts(prices=prices, **told, **facts)

    @property
    def profile(self) -> HostProfile:
        return super().profile.model_copy(update={"free_of_charge": False, "models": {BASE: self.facts}})

    def upload(self, file: SpooledFile, **more: Any) -> FileState:
        self.uploads += 1
        return super().upload(file, **more)


SPLIT = Dataset.from_records(PAIRS).split(0.8)


def test_a_training_above_the_budget_is_refused_before_anything_is_uploaded() -> None:
    backend = Paid(price=1_000)
    with pytest.raises(
        BudgetError, match=r"may cost \$.*more than the budget of \$0.50.*Nothing was uploaded"
    ) as raised:
        SPLIT.train(backend=backend, budget=0.5)
    assert backend.uploads == 0
    assert raised.value.budget == 0.5
    assert raised.value.estimate.total.high > 0.5


def test_a_training_within_the_budget_starts() -> None:
    backend = Paid(price=1_000)
    upper_end = SPLIT.estimate_cost(BASE, backend=backend).total
    assert upper_end is not None
    assert SPLIT.train(backend=backend, budget=upper_end.high).wait().status == "succeeded"


def test_a_training_of_unknown_cost_is_refused_where_there_is_a_budget() -> None:
    backend = Paid(price=None)
    with pytest.raises(BudgetError, match="nobody can say"):
        SPLIT.train(backend=backend, budget=1e6)
    assert backend.uploads == 0
    SPLIT.train(backend=backend)
    assert backend.uploads == 2, "without a budget it is the user's own affair"


def test_any_budget_is_enough_where_nothing_is_paid() -> None:
    assert SPLIT.train(backend=MemoryBackend(), budget=0).wait().status == "succeeded"


@pytest.mark.parametrize("budget", [-1, float("nan"), "20", True])
def test_what_is_no_budget_is_refused(budget: Any) -> None:
    with pytest.raises(ParameterError, match="budget="):
        SPLIT.train(backend=Paid(price=1), budget=budget)


def test_training_further_is_priced_by_the_base_model() -> None:
    class Further(Paid):
        def card(self, model: str) -> ModelCard:
            return super().card(model).model_copy(update={"base": BASE})

    backend = Further(price=1_000)
    name = SPLIT.train(backend=backend).wait().model().name
    with pytest.raises(BudgetError):
        SPLIT.train(name, backend=backend, budget=0.001)


def test_a_closed_model_is_refused_and_one_that_closes_soon_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = Paid(price=1, shuts_down=date(2027, 1, 14), training_ends=date(2027, 1, 6))
    days = {"today": date(2026, 9, 1)}
    monkeypatch.setattr("finetune_kit.hosts.calendar.today", lambda: days["today"])
    SPLIT.train(backend=backend)
    days["today"] = date(2026, 12, 1)
    with pytest.warns(ShutdownWarning) as warned:
        SPLIT.train(backend=backend)
    [warning] = warned
    assert "takes no new training from 2027-01-06 on, in 36 days, and is shut down on 2027-01-14" in str(
        warning.message
    )
    assert warning.filename == __file__, "it points at the caller's own line"
    days["today"] = date(2027, 1, 6)
    uploads = backend.uploads
    with pytest.raises(ModelClosedError, match="takes no new training since 2027-01-06"):
        SPLIT.train(backend=backend)
    assert backend.uploads == uploads


def test_an_estimated_count_is_judged_by_its_upper_end() -> None:
    counts = count_tokens(completions(*PAIRS), HostedTokens(Estimate(None)), host="openai", model=MODEL)
    exact = count_tokens(completions(*PAIRS), HostedTokens(Words()), host="openai", model=MODEL)
    estimate = estimate_cost(OPENAI, MODEL, counts, on=ON)
    assert exact.exact
    assert estimate.total is not None
    with pytest.raises(BudgetError):
        check_budget(estimate, (estimate.total.value + estimate.total.high) / 2)
