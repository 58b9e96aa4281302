"""Host profiles say what a model name means, what it costs, until when, and what there is where it means nothing."""

from __future__ import annotations

import json
import os
import pickle
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

import finetune_kit
from finetune_kit.errors import FormatError, ModelClosedError, ParameterError, SourceNotFoundError, UnknownModelError
from finetune_kit.hosts import SHIPPED, Resolved, check_dates, host_profile, host_profiles, models

LOCAL = host_profile("local")
OPENAI = host_profile("openai")


def test_a_base_model_stands_for_itself() -> None:
    assert LOCAL.resolve("smollm2-135m") == Resolved(requested="smollm2-135m", model="smollm2-135m")


def test_a_stand_in_says_so() -> None:
    resolved = LOCAL.resolve("davinci")
    assert resolved.model == "smollm2-135m"
    assert "'davinci' does not exist on 'local': 'smollm2-135m' stands in for it" in resolved.note


@pytest.mark.parametrize("name", SHIPPED)
def test_every_alias_of_a_shipped_profile_leads_to_a_model_of_it(name: str) -> None:
    profile = host_profile(name)
    assert set(profile.aliases.values()) <= profile.models.keys()
    both = profile.aliases.keys() & profile.models.keys()
    assert {profile.models[model].state(profile.as_of) for model in both} <= {"closed"}, "open models need no stand-in"
    assert profile.knows("davinci") == (name in ("openai", "azure", "local"))


@pytest.mark.parametrize("name", SHIPPED)
def test_no_fact_is_without_a_source_or_from_the_future(name: str) -> None:
    profile = host_profile(name)
    for facts in profile.models.values():
        assert facts.source
        assert facts.as_of <= profile.as_of
        if facts.prices is not None:
            assert facts.prices.source
            assert facts.prices.as_of <= facts.as_of
        if facts.training_ends is not None and facts.shuts_down is not None:
            assert facts.training_ends <= facts.shuts_down


def test_an_unknown_name_is_told_with_what_there_is_and_what_is_near() -> None:
    with pytest.raises(UnknownModelError, match=r"Did you mean 'davinci'\?") as raised:
        LOCAL.resolve("davinchi")
    assert "'smollm2-135m'" in str(raised.value)
    assert raised.value.model == "davinchi"
    assert "curie" in raised.value.known
    assert pickle.loads(pickle.dumps(raised.value)).known == raised.value.known


@pytest.mark.parametrize("name", ["nowhere", "", "../local", "local.json"])
def test_an_unknown_host_is_told_with_those_there_are(name: str) -> None:
    with pytest.raises(
        ParameterError,
        match="there are openai, azure, nebius, crusoe, bedrock, litellm, generic, together, dashscope, local",
    ):
        host_profile(name)


# dates


@pytest.mark.parametrize(
    ("on", "state"),
    [
        (date(2027, 1, 5), "trainable"),
        (date(2027, 1, 6), "inference only"),
        (date(2027, 1, 13), "inference only"),
        (date(2027, 1, 14), "closed"),
    ],
)
def test_a_model_is_trainable_then_answers_only_then_is_closed(on: date, state: str) -> None:
    assert OPENAI.models["gpt-4.1-2025-04-14"].state(on) == state


def test_a_closed_model_is_refused_with_its_date_and_source() -> None:
    with pytest.raises(ModelClosedError, match=r"shut down on 2024-01-04.*as of 2026-11-22") as raised:
        check_dates(OPENAI, "davinci", on=date(2026, 11, 24))
    assert raised.value.model == "davinci"
    with pytest.raises(ModelClosedError, match="takes no new training since 2027-01-06"):
        check_dates(OPENAI, "gpt-4.1-2025-04-14", on=date(2027, 1, 6))


def test_ninety_days_before_each_date_a_warning_is_given() -> None:
    model = "gpt-4.1-2025-04-14"
    assert check_dates(OPENAI, model, on=date(2026, 10, 7)) is None
    training = check_dates(OPENAI, model, on=date(2026, 10, 8)) or ""
    assert "takes no new training from 2027-01-06 on, in 90 days (" in training
    assert "can train. To move elsewhere: job.migrate(to=...)." in training
    both = check_dates(OPENAI, model, on=date(2026, 11, 24)) or ""
    assert "in 43 days, and is shut down on 2027-01-14, with all that was trained from it, in 51 days (" in both


def test_a_model_without_dates_is_never_warned_of() -> None:
    assert check_dates(LOCAL, "smollm2-135m", on=date(2100, 1, 1)) is None
    assert check_dates(LOCAL, "somebody's own", on=date(2100, 1, 1)) is None


# a file of the user's own


def test_own_facts_replace_those_of_the_package_key_by_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "hosts.json"
    told = {"openai": {"models": {"gpt-4.1-2025-04-14": {"prices": {"training": 20}}}}}
    path.write_text(json.dumps(told), encoding="utf-8-sig")
    mine = host_profile("openai", hosts=path).models["gpt-4.1-2025-04-14"]
    assert mine.prices is not None
    assert (mine.prices.training, mine.prices.input, mine.training_context_tokens) == (20, 3, 65536)
    assert host_profile("openai").models["gpt-4.1-2025-04-14"].prices != mine.prices
    monkeypatch.setenv("FINETUNE_KIT_HOSTS", str(path))
    assert host_profile("openai").models["gpt-4.1-2025-04-14"] == mine
    path.write_text("{}", encoding="utf-8")
    os.utime(path, (0, 0))
    assert host_profile("openai") == OPENAI, "a changed file is read again"


def test_a_host_of_ones_own_is_known_everywhere(tmp_path: Path) -> None:
    path = tmp_path / "hosts.json"
    told = {"source": "our contract", "as_of": "2026-11-01"}
    facts = {**told, "prices": {"training": 2, **told}}
    ours = {
        **told,
        "byte_order_mark": False,
        "min_examples": None,
        "max_file_bytes": 10**9,
        "models": {"big-1": facts},
    }
    path.write_text(json.dumps({"ours": ours}), encoding="utf-8")
    assert [*host_profiles(path)] == [*SHIPPED, "ours"]
    (row,) = models("ours", hosts=path, on=date(2026, 11, 24))
    assert (row.model, row.state, row.training_price, row.age_days) == ("big-1", "trainable", 2, 23)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "is one object"),
        ('{"openai": 5}', "openai is not an object"),
        ('{"openai": {"max_fle_bytes": 5}}', "openai.max_fle_bytes: Extra inputs are not permitted"),
        ('{"openai": {"models": {"gpt-4.1-2025-04-14": {"prices": {"training": -1}}}}}', "prices.training: .*greater"),
        (
            '{"openai": {"models": {"davinci": {"shuts_down": "soon"}}}}',
            "openai.models.davinci.shuts_down: a day such as",
        ),
        ('{"openai": {"models": {"davinci": {"shuts_down": 0}}}}', "davinci.shuts_down: a day such as 2027-01-14"),
        ('{"openai": {"models": {"davinci": {"as_of": "2027-1-4"}}}}', "davinci.as_of: a day such as 2027-01-14"),
        ('{"openai": {"n_epochs_range": [50, 1]}}', r"n_epochs_range: the least comes first: \[1, 50\]"),
        ('{"openai": {"batch_size_range": [-5, 0]}}', r"batch_size_range\.0: .*greater than or equal to 1"),
        ('{"openai": {"learning_rate_multiplier_max": 0}}', "learning_rate_multiplier_max: .*greater than 0"),
        ('{"openai": {"max_file_bytes": true}}', "max_file_bytes: a number is wanted"),
        ('{"openai": {"max_file_bytes": "12"}}', "max_file_bytes: a number is wanted"),
        ('{"openai": {"can_pause": "yes"}}', "can_pause: .*valid boolean"),
        ('{"openai": {"aliases": {"x": "nope"}}}', "aliases.x: 'nope' is none of the models here"),
        ('{"openai": {"aliases": {"x": "gpt-4.1"}}}', "aliases.x: 'gpt-4.1' is none of the models here"),
        ('{"nebius": {"aliases": {"x": "y", "y": "x"}}}', "aliases.x: 'y' is none of the models here"),
        ('{"openai": {"aliases": {"": "gpt-4.1-2025-04-14"}}}', "aliases.*at least 1 character"),
        ('{"openai": {"base_url": "api.openai.com"}}', "base_url: an address such as https"),
        ('{"openai": {"base_url": "file:///etc/hosts"}}', "base_url: an address such as https"),
        ('{"openai": {"content_type": "a\\r\\nb"}}', "content_type: .*pattern"),
        ('{"openai": {"keys": ["A KEY"]}}', r"keys\.0: .*pattern"),
        ('{"openai": {"status_words": {"DONE": "finished"}}}', "status_words.DONE: Input should be 'validating_files'"),
        ('{"openai": {"file_status_words": {"DONE": "ready"}}}', "file_status_words.DONE: Input should be 'uploaded'"),
        ('{"openai": {"result_columns": {"loss": ["a"]}}}', "result_columns.loss.*'train_loss'"),
        ('{"mine": {}}', "mine.source: Field required"),
        ('{"openai": {"name": "other"}}', "calls itself 'other'"),
        ('{"openai": {"fine_tuned_pattern": "("}}', "fine_tuned_pattern: .*no regular expression"),
        ('{"openai": {"fine_tuned_pattern": "ft:.*"}}', r"fine_tuned_pattern: .*with a group \(\?P<base>"),
    ],
)
def test_a_faulty_file_is_told_with_the_place_of_the_fault(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "hosts.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FormatError, match=message) as raised:
        host_profiles(path)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize("hosts", [5, True, [], b"hosts.json", "", object()])
def test_what_is_no_path_of_a_file_is_told(hosts: Any) -> None:
    with pytest.raises(ParameterError, match=r"hosts=.*give the path of a JSON file") as raised:
        models(hosts=hosts)
    assert raised.value.parameter == "hosts"


@pytest.mark.parametrize("hosts", ["a\0b", "x" * 5000, ".", "~nobody-of-that-name/hosts.json"])
def test_a_path_that_leads_nowhere_is_told(hosts: str) -> None:
    with pytest.raises(SourceNotFoundError, match="cannot be read"):
        models(hosts=hosts)


def test_a_host_that_takes_any_model_may_have_a_stand_in_of_any_name(tmp_path: Path) -> None:
    path = tmp_path / "hosts.json"
    path.write_text(json.dumps({"nebius": {"aliases": {"curie": "any/8b"}}}))
    assert host_profile("nebius", hosts=path).resolve("curie").model == "any/8b"


def test_a_missing_file_is_told_with_what_named_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceNotFoundError, match="named by hosts="):
        host_profiles(tmp_path / "none.json")
    monkeypatch.setenv("FINETUNE_KIT_HOSTS", str(tmp_path / "none.json"))
    with pytest.raises(SourceNotFoundError, match="FINETUNE_KIT_HOSTS"):
        host_profile("local")


# the table


def test_the_old_prices_are_in_the_table_with_their_dates() -> None:
    table = finetune_kit.models("openai", on=date(2026, 11, 24))
    rows = {row.model: row for row in table}
    found = {
        name: (rows[name].training_price, rows[name].input_price) for name in ("ada", "babbage", "curie", "davinci")
    }
    assert found == {"ada": (0.4, 1.6), "babbage": (0.6, 2.4), "curie": (3, 12), "davinci": (30, 120)}
    assert {rows[name].state for name in found} == {"closed"}
    assert {rows[name].shuts_down for name in found} == {date(2024, 1, 4)}
    assert rows["davinci"].as_of.year == 2023


def test_the_day_of_a_table_may_have_a_time_and_lie_at_the_end_of_time() -> None:
    evening = datetime(2026, 11, 24, 23, 59, tzinfo=UTC)
    assert finetune_kit.models("openai", on=evening).on == date(2026, 11, 24)
    for day in (date.min, date.max):
        assert len(finetune_kit.models(on=day)) == len(finetune_kit.models())


def test_the_table_is_aligned_and_tells_its_age() -> None:
    table = finetune_kit.models("local", on=date(2026, 11, 24))
    head, row, note = str(table).splitlines()
    assert head.startswith("host   model         state      training ends  shuts down  training  input")
    assert row.startswith("local  smollm2-135m  trainable  -              -               0.00   0.00")
    assert note.endswith("The oldest facts are of 2026-11-22, 2 days before.")
    assert str(table) == repr(table)
    assert "<td>smollm2-135m</td>" in table._repr_html_()


def test_all_hosts_stand_in_one_table_and_those_without_models_are_named() -> None:
    table = finetune_kit.models(on=date(2026, 11, 24))
    assert {row.host for row in table} == {"openai", "azure", "dashscope", "local"}
    assert "No models are on file for nebius, crusoe, bedrock, litellm, generic, together." in str(table)
    assert str(table[:0]).splitlines()[0].startswith("host")
    with pytest.raises(ParameterError, match=r"give a datetime\.date"):
        finetune_kit.models(on="2026-11-24")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
