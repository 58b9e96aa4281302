"""Backends: the one seam to the outside."""

from finetune_kit.backends.connect import connect, usual_backend
from finetune_kit.backends.hosted import HostedBackend
from finetune_kit.backends.local import LocalBackend
from finetune_kit.backends.protocol import (
    AnswersAsync,
    Backend,
    Checkpoint,
    CountsTokens,
    DetailsJobs,
    Event,
    FileState,
    FindsOrders,
    Generation,
    JobDetails,
    JobFault,
    JobPage,
    JobSpec,
    JobState,
    ListsJobs,
    PartJournal,
    Sampling,
    Streams,
    TellsShutdowns,
    TellsTime,
)

__all__ = [
    "AnswersAsync",
    "Backend",
    "Checkpoint",
    "CountsTokens",
    "DetailsJobs",
    "Event",
    "FileState",
    "FindsOrders",
    "Generation",
    "HostedBackend",
    "JobDetails",
    "JobFault",
    "JobPage",
    "JobSpec",
    "JobState",
    "ListsJobs",
    "LocalBackend",
    "PartJournal",
    "Sampling",
    "Streams",
    "TellsShutdowns",
    "TellsTime",
    "connect",
    "usual_backend",
]
