"""Hosts of other packages are known everywhere; a broken one is told with its package, and stops no other."""

from __future__ import annotations

import importlib
import json
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from finetune_kit.errors import FormatError, ParameterError
from finetune_kit.hosts import SHIPPED, HostProfile, host_profile, host_profiles, models

FACTS = {
    "source": "its docs",
    "as_of": "2026-11-01",
    "byte_order_mark": False,
    "min_examples": None,
    "max_file_bytes": 10**9,
    "models": {"big-1": {"kinds": ["chat"], "source": "its docs", "as_of": "2026-11-01"}},
}
CODE = f"""
import json
from pathlib import Path
from finetune_kit.hosts import HostProfile

FACTS = json.loads({json.dumps(FACTS)!r})
PROFILE = HostProfile.model_validate({{"name": "ours", **FACTS}})
FILE = Path(__file__).with_name("facts.json")
TEXT = str(FILE)
CHEAPER = {{"models": {{"gpt-4.1-2025-04-14": {{"prices": {{"training": 20}}}}}}}}
WRONG = {{"max_fle_bytes": 5}}
OTHER = {{**FACTS, "name": "theirs"}}
NUMBER = 5
MISSING = "no/such/file.json"
"""
Install = Callable[[str, dict[str, str]], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a package that brings hosts along, each an attribute of its module, or another module's by its path."""

    def installed(package: str, hosts: dict[str, str]) -> None:
        site = tmp_path / package
        info = site / f"{package}-1.2.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n", encoding="utf-8")
        lines = [f"{host} = {value if ':' in value else f'{package}:{value}'}" for host, value in hosts.items()]
        (info / "entry_points.txt").write_text("\n".join(("[finetune_kit.hosts]", *lines, "")), encoding="utf-8")
        (site / f"{package}.py").write_text(CODE, encoding="utf-8")
        (site / "facts.json").write_text(json.dumps(FACTS), encoding="utf-8-sig")
        monkeypatch.syspath_prepend(str(site))

    before = set(sys.modules)
    yield installed
    for name in set(sys.modules) - before:
        if name.startswith("some_"):
            del sys.modules[name]
    importlib.invalidate_caches()


@pytest.mark.parametrize("value", ["FACTS", "PROFILE", "FILE", "TEXT"])
def test_a_mapping_a_profile_or_a_file_is_a_host(install: Install, value: str) -> None:
    install("some_host", {"ours": value})
    assert host_profile("ours") == HostProfile.model_validate({"name": "ours", **FACTS})
    assert [*host_profiles()] == [*SHIPPED, "ours"]
    assert [row.model for row in models("ours")] == ["big-1"]


def test_what_a_plugin_says_of_a_shipped_host_replaces_that_key_by_key(install: Install, tmp_path: Path) -> None:
    install("some_prices", {"openai": "CHEAPER"})
    told = host_profile("openai").models["gpt-4.1-2025-04-14"].prices
    assert told is not None
    assert (told.training, told.input) == (20, 3)
    path = tmp_path / "mine.json"
    path.write_text('{"openai": {"models": {"gpt-4.1-2025-04-14": {"prices": {"training": 10}}}}}', encoding="utf-8")
    mine = host_profile("openai", hosts=path)
    told = mine.models["gpt-4.1-2025-04-14"].prices
    assert told is not None
    assert told.training == 10, "the user's own file has the last word"


def test_the_users_file_may_say_a_word_about_a_plugins_host(install: Install, tmp_path: Path) -> None:
    install("some_host", {"ours": "FACTS"})
    path = tmp_path / "mine.json"
    path.write_text('{"ours": {"hosting_per_hour": 2}}', encoding="utf-8")
    profile = host_profile("ours", hosts=path)
    assert (profile.hosting_per_hour, [*profile.models]) == (2, ["big-1"])


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("WRONG", "ours.source: Field required"),
        ("OTHER", "the host 'ours' calls itself 'theirs'"),
        ("NUMBER", "TypeError: it is int, not a mapping, a HostProfile or the path of a JSON file"),
        ("MISSING", "No such file or directory"),
        ("NOTHING", "has no attribute 'NOTHING'"),
        ("some_nowhere:FACTS", "No module named 'some_nowhere'"),
    ],
)
def test_a_broken_plugin_is_told_with_its_package_when_its_host_is_asked_for(
    install: Install, value: str, reason: str
) -> None:
    install("some_host", {"ours": value})
    with pytest.raises(FormatError, match=r"the package some_host 1\.2") as raised:
        host_profile("ours")
    assert reason in str(raised.value)
    assert host_profile("openai").name == "openai"
    with pytest.warns(UserWarning, match=r"some_host 1\.2"):
        assert [*host_profiles()] == [*SHIPPED]


def test_two_packages_for_one_host_are_told(install: Install) -> None:
    install("some_host", {"ours": "FACTS"})
    install("some_other", {"ours": "FACTS"})
    with pytest.raises(FormatError, match=r"more than one package brings along the host 'ours': .*some_other 1\.2"):
        host_profile("ours")


def test_a_host_is_gone_with_its_package(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("some_host", {"ours": "FACTS"})
    host_profile("ours")
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if not folder.endswith("some_host")])
    with pytest.raises(ParameterError, match="host='ours' is not known"):
        host_profile("ours")
    with warnings.catch_warnings(action="error"):
        assert "ours" not in host_profiles()
