"""Hosts that have files and jobs of their own, and models as OpenAI has them: what each says otherwise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from finetune_kit.backends.hosted.asking import Asker
from finetune_kit.backends.hosted.dialects.dashscope_files import DashScopeFiles
from finetune_kit.backends.hosted.dialects.dashscope_jobs import DashScopeJobs, check_dashscope
from finetune_kit.backends.hosted.dialects.together_files import TogetherFiles
from finetune_kit.backends.hosted.dialects.together_jobs import TogetherJobs, check_together
from finetune_kit.backends.hosted.files import Files
from finetune_kit.backends.hosted.jobs import Jobs
from finetune_kit.backends.hosted.preflight import check_before_start
from finetune_kit.hosts import Api, HostProfile, Resolved


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one kind of host is asked."""

    jobs: Callable[[Asker], Jobs] = Jobs
    files: Callable[[Asker], Files] = Files
    check_before_start: Callable[[Asker, Resolved], None] = check_before_start


_DIALECTS: Mapping[Api, Dialect] = {
    "openai": Dialect(),
    "azure": Dialect(),
    "together": Dialect(TogetherJobs, TogetherFiles, check_together),
    "dashscope": Dialect(DashScopeJobs, DashScopeFiles, check_dashscope),
}


def dialect_of(profile: HostProfile) -> Dialect:
    """The one that a host's profile names."""
    return _DIALECTS[profile.api]
