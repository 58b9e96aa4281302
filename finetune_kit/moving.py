"""`migrate`: an archived job trained anew elsewhere, after its own host is gone as well."""

from __future__ import annotations

import os

from finetune_kit.archiving import Archive, with_files
from finetune_kit.backends import Backend
from finetune_kit.job import FineTuneJob
from finetune_kit.migrating import Given, Migration, move
from finetune_kit.training_options import TrainingOptions


def migrate(
    folder: str | os.PathLike[str],
    *,
    to: Backend,
    model: str | None = None,
    training: str | os.PathLike[str] | None = None,
    validation: str | os.PathLike[str] | None = None,
    n_epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate_multiplier: float | None = None,
    prompt_loss_weight: float | None = None,
    beta: float | None = None,
    options: TrainingOptions | None = None,
    suffix: str | None = None,
    seed: int | None = None,
    budget: float | None = None,
) -> Migration[FineTuneJob]:
    """Train an archived job's data on another backend; the host that they are from is not asked.

    Where the archive has no training or validation file, one of yours takes its place and is copied there. What you
    leave out is as in the old job, where the new host takes it; `.notes` tells what is otherwise and why. The data go
    by the door of `Split.train`, with its checks and its errors. The same call again finds the job that the first has
    started, on another day or machine too; to train once more, give another `seed` or `suffix`.

    >>> migration = migrate("archives/ftjob-abc", to=LocalBackend())  # doctest: +SKIP
    >>> migration.job.wait()  # doctest: +SKIP
    >>> print(migration.compare())  # doctest: +SKIP
    """
    given = Given(
        model=model,
        n_epochs=n_epochs,
        batch_size=batch_size,
        learning_rate_multiplier=learning_rate_multiplier,
        prompt_loss_weight=prompt_loss_weight,
        beta=beta,
        options=options,
        suffix=suffix,
        seed=seed,
        budget=budget,
    )
    archive = with_files(Archive.read(folder), training=training, validation=validation)
    return move(archive, to, given, make=FineTuneJob)
