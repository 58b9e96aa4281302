"""Jobs move from OpenAI to a host with files and jobs of its own, and home from there."""

from __future__ import annotations

from pathlib import Path

import pytest

import finetune_kit
from finetune_kit import FineTuneJob
from finetune_kit.testing import HostSimulator
from tests.archiving.places import backend_of, chat_rows, ended, lines, started
from tests.backends.hosted.dialects.fake_host import serving
from tests.backends.hosted.dialects.fake_together import FakeTogether

pytestmark = pytest.mark.filterwarnings("ignore::finetune_kit.errors.ShutdownWarning")


def test_a_job_moves_to_together_once_and_home_from_there(tmp_path: Path) -> None:
    training, validation = lines(chat_rows(range(20))), lines(chat_rows(range(20, 24)))
    with HostSimulator() as host, backend_of(host) as old:
        job_id = ended(host, started(host, training, validation, suffix="parcels"))
        FineTuneJob.attach(job_id, old).archive(tmp_path / "old")
    fake = FakeTogether()
    with serving(fake, "together") as (together, _):
        migration = finetune_kit.migrate(tmp_path / "old", to=together, model="test/base-1")
        assert finetune_kit.migrate(tmp_path / "old", to=together, model="test/base-1").job.id == migration.job.id
        name = migration.job.wait().state.fine_tuned_model
        assert name is not None
        fake.deploy(name, name="acme/parcels-bb04c904")
        again = finetune_kit.migrate(tmp_path / "old", to=together, model="test/base-1")
        assert again.job.id == migration.job.id
        assert len(fake.jobs) == 1
        assert len(migration.compare(deployment="acme/parcels-bb04c904").compared) == 4
        archive = migration.job.archive(tmp_path / "new", budget=None, deployment="acme/parcels-bb04c904")
        assert archive.verify() == ()
        named = {file.part for file in archive.files} | {one.part for one in archive.not_archived}
        assert named >= {"training", "validation", "job", "card", "checkpoints", "events", "answers", "weights"}
        assert archive.whole
