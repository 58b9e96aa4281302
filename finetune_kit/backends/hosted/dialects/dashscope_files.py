"""Files at DashScope, by its calls that are compatible with OpenAI's.

Its documentation has the upload, the list and the deletion; that a training file can be fetched again is not confirmed.
"""

from __future__ import annotations

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

    def made(self, file_id: str) -> bytes | None:
        """What a job measured, where the file is that."""
        job_id = job_of(file_id)
        if job_id is None:
            return None
        return result_file(DashScopeJobs(self.asker).measured(job_id), file_id, self.asker.host.profile)
