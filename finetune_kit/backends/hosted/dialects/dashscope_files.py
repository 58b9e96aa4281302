"""Files at DashScope, by its calls that are compatible with OpenAI's.

Its documentation has the upload, the list and the deletion; that a training file can be fetched again is not confirmed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from finetune_kit.backends.hosted.dialects.dashscope_jobs import DashScopeJobs
from finetune_kit.backends.hosted.dialects.measured import job_of, result_file
from finetune_kit.backends.hosted.files import Files
from finetune_kit.records import JsonValue


@dataclass(frozen=True, slots=True)
class DashScopeFiles(Files):
    """The training files of one account at DashScope."""

    def list_query(self) -> dict[str, JsonValue]:
        """Its list can be asked for other purposes, not for this one."""
        return {}

    def content(self, file_id: str) -> bytes:
        """A stored file's bytes, or what a job measured."""
        job_id = job_of(file_id)
        if job_id is None:
            return Files.content(self, file_id)
        return result_file(DashScopeJobs(self.asker).measured(job_id), file_id, self.asker.host.profile)

    def pieces(self, file_id: str) -> Iterator[bytes]:
        """The same piece by piece."""
        if job_of(file_id) is None:
            yield from Files.pieces(self, file_id)
        else:
            yield self.content(file_id)
