"""How a data set became clean: what it was before, and each cleaning that it went through."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from finetune_kit.changes import Pass
from finetune_kit.fixes.protocols import AnyFix
from finetune_kit.fixes.run import Stage, apply_fixes
from finetune_kit.rows import Rows, Source


@dataclass(frozen=True, slots=True)
class Cleaned:
    """Rows, and what was done to them."""

    before: Rows
    source: Source
    """As it was before."""
    stages: tuple[Stage, ...] = ()

    @property
    def passes(self) -> tuple[Pass, ...]:
        """All that was done, in order."""
        return tuple(each for stage in self.stages for each in stage.passes)

    @property
    def rows(self) -> Rows:
        """What came out."""
        return self.stages[-1].passes[-1].made if self.stages else self.before

    def clean(self, fixes: Sequence[AnyFix]) -> Cleaned:
        """The same after one more cleaning; itself where there is nothing to apply."""
        changed = self.stages[-1].passes[-1].changed if self.stages else None
        stage = apply_fixes(self.rows, fixes, changed)
        return replace(self, stages=(*self.stages, stage)) if stage.passes else self

    def without(self, codes: Collection[str]) -> Cleaned:
        """The same without the fixes of these rules; the others are applied again."""
        again = replace(self, stages=())
        for stage in self.stages:
            again = again.clean([fix for fix in stage.fixes if fix.code not in codes])
        return again

    def notes(self) -> list[str]:
        """What each cleaning did, in a sentence."""
        return [stage.summary() for stage in self.stages]
