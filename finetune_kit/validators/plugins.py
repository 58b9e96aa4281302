"""Rules that other packages bring along, found by their entry points and imported when the default rules run."""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from finetune_kit.rows import Batch
from finetune_kit.validators.issue import Issue, Severity
from finetune_kit.validators.protocols import AnyValidator, SetValidator, Validator

GROUP = "finetune_kit.validators"
"""The entry-point group: each entry names a rule, or a class that gives one when it is called without arguments."""

_REASON_LENGTH = 200


def installed_rules() -> tuple[AnyValidator, ...]:
    """The rules of all installed packages, by package and name; one that cannot be loaded is a rule that says so."""
    found = sorted(entry_points(group=GROUP), key=lambda point: (_package(point), point.name, point.value))
    return tuple(map(_loaded, found))


@dataclass(frozen=True, slots=True)
class BrokenPlugin:
    """A rule that another package brings along could not be loaded, so it was not asked.

    Bad:  an entry point `house = "house_rules:NoLinks"` where the package has no `NoLinks`
    Good: an entry point that names a rule
    """

    entry: str = ""
    """The entry point, and the package that has it."""
    reason: str = ""

    code = "plugin_failed"

    def start(self) -> BrokenPlugin:
        """There is nothing to remember."""
        return self

    def see(self, batch: Batch) -> Iterable[Issue]:  # noqa: ARG002 - a protocol's
        """It has nothing to do with the rows."""
        return ()

    def finish(self) -> Iterable[Issue]:
        """One warning that names the plug-in."""
        message = f"the plug-in {self.entry} could not be loaded: {self.reason}"
        hint = "Update the package or uninstall it; all other rules were checked."
        return [Issue(self.code, Severity.WARNING, message, hint=hint)]


def _loaded(point: EntryPoint) -> AnyValidator:
    try:
        return _as_rule(point.load())
    except (Exception, SystemExit) as error:  # noqa: BLE001 - anybody's code: this is the edge between it and ours
        reason = traceback.format_exception_only(error)[-1].strip()
        shown = " ".join(reason.split())
        shown = shown if len(shown) <= _REASON_LENGTH else f"{shown[:_REASON_LENGTH]}…"
        return BrokenPlugin(f"{point.name!r} of the package {_package(point) or 'without a name'}", shown)


def _as_rule(loaded: object) -> AnyValidator:
    rule: object = loaded() if isinstance(loaded, type) else loaded
    if not isinstance(rule, Validator | SetValidator):
        raise TypeError(f"it is {type(rule).__name__}, not a rule with a `code` and `check(batch)` or `start()`")
    code = cast("object", rule.code)
    if not isinstance(code, str) or not code:
        raise TypeError(f"its code is {code!r}, not a name")
    return rule


def _package(point: EntryPoint) -> str:
    return "" if point.dist is None else f"{point.dist.name} {point.dist.version}"
