"""Archiving: everything that a host still has of a job, in a folder that outlives the host."""

from finetune_kit.archiving.answers import MOST_PROMPTS, Answers
from finetune_kit.archiving.archive import Archive, Damage, verify
from finetune_kit.archiving.job import USUAL_BUDGET, Wanted, archive_job
from finetune_kit.archiving.manifest import ArchivedFile, Manifest, NotArchived

__all__ = [
    "MOST_PROMPTS",
    "USUAL_BUDGET",
    "Answers",
    "Archive",
    "ArchivedFile",
    "Damage",
    "Manifest",
    "NotArchived",
    "Wanted",
    "archive_job",
    "verify",
]
