"""Which course a job takes: the backend's own, or one that the simulator makes for it."""

from __future__ import annotations

from finetune_kit.testing.simulator.desk import Desk
from finetune_kit.testing.simulator.job import Course, Job
from finetune_kit.testing.simulator.mirrored import MirroredCourse
from finetune_kit.testing.simulator.stretched import StretchedCourse
from finetune_kit.testing.simulator.training import Trained


def course_of(job: Job, desk: Desk, earlier: Trained | None) -> Course:
    """The course of a new job."""
    course = StretchedCourse if desk.trainer.at_once else MirroredCourse
    return course(job, desk, earlier)
