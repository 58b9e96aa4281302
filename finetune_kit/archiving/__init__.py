"""Archiving: everything that a host still has of a job, in a folder that outlives the host."""

from finetune_kit.archiving.answers import MOST_PROMPTS, Answers, Questions, answers_of
from finetune_kit.archiving.archive import Archive, Damage, verify
from finetune_kit.archiving.archives import ArchivedJob, Archives
from finetune_kit.archiving.data import Data, JobFacts, read_data
from finetune_kit.archiving.every import archive_all, folder_name
from finetune_kit.archiving.folder import folder_of, held, opened, put
from finetune_kit.archiving.job import USUAL_BUDGET, Wanted, archive_job, with_files
from finetune_kit.archiving.manifest import ArchivedFile, Manifest, NotArchived

__all__ = [
    "MOST_PROMPTS",
    "USUAL_BUDGET",
    "Answers",
    "Archive",
    "ArchivedFile",
    "ArchivedJob",
    "Archives",
    "Damage",
    "Data",
    "JobFacts",
    "Manifest",
    "NotArchived",
    "Questions",
    "Wanted",
    "answers_of",
    "archive_all",
    "archive_job",
    "folder_name",
    "folder_of",
    "held",
    "opened",
    "put",
    "read_data",
    "verify",
    "with_files",
]
