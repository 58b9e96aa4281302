"""What may be asked of a backend to follow jobs there; nothing else of this package talks to one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias, cast

from finetune_kit.backends import Backend, Event, JobPage, JobState, ListsJobs
from finetune_kit.following.watch import Watch


@dataclass(frozen=True, slots=True)
class AskState:
    """How one job is."""

    watch: Watch

    def put(self, backend: Backend) -> JobState:
        """Ask."""
        return backend.job(self.watch.id)


@dataclass(frozen=True, slots=True)
class AskPage:
    """How many jobs are, by one request."""

    after: str | None
    limit: int

    def put(self, backend: Backend) -> JobPage:
        """Ask."""
        return cast("ListsJobs", backend).job_page(after=self.after, limit=self.limit)


@dataclass(frozen=True, slots=True)
class AskEvents:
    """What happened to a job since."""

    watch: Watch

    def put(self, backend: Backend) -> list[Event]:
        """Ask."""
        watch = self.watch  # at the end all are read once more: a host's list may have repeated or misplaced some
        return backend.events(watch.id, after=watch.first_after if watch.state.finished else watch.after)


@dataclass(frozen=True, slots=True)
class AskToKeep:
    """Have saved what the host may delete."""

    watch: Watch

    def put(self, backend: Backend) -> None:  # noqa: ARG002 - like its siblings
        """Ask."""
        if self.watch.keep is not None:
            self.watch.keep()


Ask: TypeAlias = AskState | AskPage | AskEvents | AskToKeep
Answer: TypeAlias = JobState | JobPage | list[Event] | None
