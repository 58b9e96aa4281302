"""Rules of other packages are found, asked with the default ones, and stop nobody where they are broken."""

from __future__ import annotations

import importlib
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from finetune_kit import Dataset
from finetune_kit.validators import Report, installed_rules

HOUSE = '''
from dataclasses import dataclass

from finetune_kit.validators import Issue, Severity, row_validator

@row_validator("house_links", severity=Severity.WARNING)
def links(example):
    return "there is a link" if "http" in str(example.content()) else None

@dataclass(frozen=True)
class Few:
    """The house wants more."""

    code: str = "house_few"

    def start(self):
        return Check()

class Check:
    def __init__(self):
        self.rows = 0

    def see(self, batch):
        self.rows += len(batch)
        return ()

    def finish(self):
        return [Issue("house_few", Severity.INFO, "few rows")] if self.rows < 1_000 else []

class Picky:
    code = "house_picky"

    def __init__(self, wanted):
        pass

    def check(self, batch):
        return ()

class Raises:
    @property
    def code(self):
        raise RuntimeError("no\\nname")

    def check(self, batch):
        return ()

class Nameless:
    code = None

    def check(self, batch):
        return ()

class Late:
    code = "house_late"

    def check(self, batch):
        raise OSError("the disk is gone")
'''
PAIRS = [(f"Where is parcel {number}? http://x", "At number 7.") for number in range(12)]


@pytest.fixture(autouse=True)
def _clean_imports() -> Iterator[None]:
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("house_"):
            del sys.modules[name]
    importlib.invalidate_caches()


def wheel(folder: Path, *, entries: str, module: str = "house_rules", source: str = HOUSE, name: str = "house") -> Path:
    """A real wheel with entry points."""
    path = folder / f"{name}-1.2-py3-none-any.whl"
    info = f"{name}-1.2.dist-info"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{module}.py", source)
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        file.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{info}/entry_points.txt", f"[finetune_kit.validators]\n{entries}\n")
        file.writestr(f"{info}/RECORD", "")
    return path


def install(monkeypatch: pytest.MonkeyPatch, folder: Path, wheel: Path) -> None:
    """Unpack a wheel where Python looks."""
    with zipfile.ZipFile(wheel) as file:
        file.extractall(folder)
    monkeypatch.syspath_prepend(str(folder))


def report_with(monkeypatch: pytest.MonkeyPatch, folder: Path, entries: str, source: str = HOUSE) -> Report:
    install(monkeypatch, folder, wheel(folder, entries=entries, source=source))
    return Dataset.from_records(PAIRS).validate()


def plugged(report: Report) -> dict[str, int]:
    return {code: times for code, times in report.counts.items() if code.startswith(("house", "plugin", "validator"))}


def test_rules_of_an_installed_package_are_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    report = report_with(monkeypatch, tmp_path, "links = house_rules:links\nfew = house_rules:Few")
    assert plugged(report) == {"house_links": 12, "house_few": 1}
    assert {"house_links", "house_few"} <= {rule.code for rule in report.rules}


def test_both_sides_of_a_split_are_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, tmp_path, wheel(tmp_path, entries="links = house_rules:links\nbroken = nowhere:x"))
    report = Dataset.from_records(PAIRS).split(0.5).validate()
    assert plugged(report) == {"house_links": 12, "plugin_failed": 1}


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("house_rules:nothing", "AttributeError: module 'house_rules' has no attribute 'nothing'"),
        ("house_nowhere:rule", "ModuleNotFoundError: No module named 'house_nowhere'"),
        ("house_rules:Picky", "TypeError: Picky.__init__() missing 1 required positional argument: 'wanted'"),
        ("house_rules:Raises", "RuntimeError: no name"),
        ("house_rules:Nameless", "TypeError: its code is None, not a name"),
        ("house_rules:HOUSE", "TypeError: it is int, not a rule with a `code` and `check(batch)` or `start()`"),
    ],
)
def test_a_broken_plugin_is_a_warning_that_names_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, entry: str, reason: str
) -> None:
    report = report_with(monkeypatch, tmp_path, f"good = house_rules:links\nodd = {entry}", f"{HOUSE}\nHOUSE = 7\n")
    assert plugged(report) == {"house_links": 12, "plugin_failed": 1}
    [issue] = [issue for issue in report.warnings if issue.code == "plugin_failed"]
    assert issue.message == f"the plug-in 'odd' of the package house 1.2 could not be loaded: {reason}"


@pytest.mark.parametrize("source", ["raise ValueError('bad day')", "import sys; sys.exit(3)", "def ("])
def test_a_package_that_cannot_be_imported_stops_nobody(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str
) -> None:
    assert plugged(report_with(monkeypatch, tmp_path, "links = house_rules:links", source)) == {"plugin_failed": 1}


def test_a_rule_that_raises_later_is_named_as_any_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    report = report_with(monkeypatch, tmp_path, "late = house_rules:Late")
    assert plugged(report) == {"validator_failed": 1}


def test_rules_that_are_named_leave_plugins_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, tmp_path, wheel(tmp_path, entries="links = house_rules:links"))
    assert Dataset.from_records(PAIRS).validate([]).counts == {}
    assert "house_rules" not in sys.modules


def test_the_order_is_that_of_package_and_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.mkdir()
    second.mkdir()
    entries = "z = house_zoo:links\na = house_zoo:Few"
    install(monkeypatch, first, wheel(first, entries=entries, module="house_zoo", name="zoo"))
    install(monkeypatch, second, wheel(second, entries="m = house_rules:links", name="ark"))
    codes = [rule.code for rule in installed_rules() if rule.code.startswith("house")]
    assert codes == ["house_links", "house_few", "house_links"]


def test_nothing_is_loaded_before_it_is_needed(tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel(tmp_path, entries="links = house_rules:links")) as file:
        file.extractall(tmp_path)
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import finetune_kit, finetune_kit.validators; "
        "assert 'house_rules' not in sys.modules; "
        "finetune_kit.Dataset.from_records([('a', 'b')]).validate(); assert 'house_rules' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
