"""One round through the pages of a host's list of jobs, the newest first, until all that are followed were seen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from finetune_kit.backends import JobPage, JobState
from finetune_kit.following.watch import Watch

PAGE = 100


@dataclass(slots=True)
class Sweep:
    """Which jobs are still to come, and where the next page begins."""

    missing: dict[str, Watch]
    oldest: float
    """When the first of them was created."""
    after: str | None = None
    pages: int = 0
    _seen: set[str] = field(default_factory=set[str])

    @classmethod
    def over(cls, watches: Iterable[Watch]) -> Sweep:
        """A round for these."""
        missing = {watch.id: watch for watch in watches}
        return cls(missing, min(watch.state.created_at.timestamp() for watch in missing.values()))

    def take(self, page: JobPage) -> tuple[list[tuple[Watch, JobState]], bool]:
        """The followed jobs on a page, and whether a further page can hold more of them."""
        self.pages += 1
        found = [(self.missing.pop(state.id), state) for state in page.jobs if state.id in self.missing]
        news = [state.id for state in page.jobs if state.id not in self._seen]
        self._seen.update(news)
        if not self.missing or not page.more or not news:  # a page that repeats would repeat for ever
            return found, False
        self.after = page.jobs[-1].id
        passed = page.jobs[-1].created_at.timestamp() < self.oldest - 1
        return found, not passed and self.pages < 2 + len(found) + len(self.missing)
