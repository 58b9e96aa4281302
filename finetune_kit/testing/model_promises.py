"""What every backend promises about a job that has succeeded, and about its model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

from finetune_kit.backends import Sampling
from finetune_kit.results import Results
from finetune_kit.testing.trial import LABELS, PROMPTS, TEMPLATE, Run, Trial, adds_up, promise

_MAX_TOKENS = 12


def the_job_is_listed(trial: Trial, run: Run) -> None:
    """The newest first, and what has ended stays as it is."""
    listed = trial.backend.jobs()
    promise(run.state.id in [state.id for state in listed], "`jobs` does not list a job that has succeeded.")
    rising = _rising([state.created_at.timestamp() for state in reversed(listed)])
    promise(rising, "`jobs` does not list the newest first.")
    state = trial.backend.job(run.state.id)
    promise(state == run.state, f"a job that has ended changed from {run.state!r} to {state!r}.")
    promise(state.finished_at is not None, "a job that has succeeded has no `finished_at`.")


def no_event_is_missed_or_repeated(trial: Trial, run: Run) -> None:
    """Asked for one after another with `after`, they are the same as asked for at once."""
    at_once = [event.id for event in trial.backend.events(run.state.id)]
    promise(bool(at_once), "a job that has succeeded has no events.")
    promise(len(set(at_once)) == len(at_once), "two events of a job have the same id.")
    seen = [event.id for event in run.events]
    promise(seen == at_once, f"events by `after` were {seen}, all together they are {at_once}.")
    promise(not trial.backend.events(run.state.id, after=at_once[-1]), "there are events behind the last one.")
    promise(_rising([event.created_at.timestamp() for event in run.events]), "events do not come the oldest first.")


def events_tell_stand_in_and_progress(_trial: Trial, run: Run) -> None:
    """The first events say what stands in for the requested model; the metrics come step by step."""
    note = run.spec.model.note
    told = any(note in event.message for event in run.events)
    promise(not note or told, "no event tells which model stands in for the requested one.")
    steps = [event.data.get("step") for event in run.events if event.type == "metrics"]
    numbers = [step for step in steps if isinstance(step, int)]
    promise(len(numbers) == len(steps), "an event of type 'metrics' has no whole number as its 'step'.")
    promise(_rising(numbers), f"the steps of the metrics do not rise: {numbers}.")


def the_card_is_filled_in(trial: Trial, run: Run) -> None:
    """With name, job, dates and the values chosen; the rest stays as it was given."""
    card, given = trial.backend.card(run.model), run.spec.card
    promise(card.name == run.model, f"the card's name is {card.name!r}, the model's {run.model!r}.")
    promise(card.job_id == run.state.id and card.created_at is not None, "the card lacks its job or date.")
    for field in ("base", "requested_model", "kind", "template", "labels"):
        was, now = getattr(given, field), getattr(card, field)
        promise(was == now, f"the card's {field} was {was!r} and came back as {now!r}.")
    asked, taken = run.spec.hyperparameters.n_epochs, card.hyperparameters.n_epochs
    promise(taken == asked, f"the card tells of {taken} epochs where {asked} were asked for.")
    promise(card.hyperparameters.batch_size is not None, "the card does not tell the batch size that was chosen.")


def the_result_file_holds_the_losses(trial: Trial, run: Run) -> None:
    """A step in each row, and a training loss."""
    promise(bool(run.state.result_files), "a job that has succeeded names no result file.")
    results = Results.parse(trial.backend.file_content(run.state.result_files[0]))
    promise(_rising([row.step for row in results.metrics]), "the steps of the result file do not rise.")
    measured = any(row.train_loss is not None for row in results.metrics)
    promise(measured, "the result file holds no training loss.")


def checkpoints_answer(trial: Trial, run: Run) -> None:
    """Those there are can be called by name, and come the oldest first."""
    checkpoints = trial.backend.checkpoints(run.state.id)
    promise(_rising([checkpoint.step for checkpoint in checkpoints]), "checkpoints do not come the oldest first.")
    for checkpoint in checkpoints:
        kept = trial.backend.card(checkpoint.name).template == trial.template
        promise(kept, f"{checkpoint.name} lost its template.")
        trial.answers(checkpoint.name, PROMPTS[:1], Sampling(max_tokens=1))


def completions_keep_to_their_limits(trial: Trial, run: Run) -> None:
    """One for each prompt, of at most so many tokens, up to the stop sequence."""
    free = trial.answers(run.model, PROMPTS, Sampling(max_tokens=_MAX_TOKENS))
    promise(len(free) == len(PROMPTS), f"complete gives {len(free)} answers to {len(PROMPTS)} prompts.")
    promise(not trial.answers(run.model, [], Sampling()), "complete answers where nothing is asked.")
    promise(all(one.completion_tokens <= _MAX_TOKENS for one in free), "complete writes more than `max_tokens`.")
    [short] = trial.answers(run.model, PROMPTS[:1], Sampling(max_tokens=1))
    promise(short.completion_tokens <= 1, "complete writes more than `max_tokens`.")
    for prompt, one in zip(PROMPTS, free, strict=True):
        stop = one.text[len(one.text) // 2 :][:1]  # any model is stopped by what it is known to write
        if stop:
            sampling = Sampling(max_tokens=_MAX_TOKENS, stop=("\0never", stop))
            [stopped] = trial.answers(run.model, [prompt], sampling)
            promise(stop not in stopped.text, f"a completion holds its stop sequence {stop!r}: {stopped.text!r}.")
            promise(
                stopped.finish_reason == "stop", f"a completion that was stopped ends by {stopped.finish_reason!r}."
            )


def probabilities_add_up(trial: Trial, run: Run) -> None:
    """One for each completion, in each list."""
    if trial.kind != "completion":  # another check asks the same of conversations
        return
    prompts, completions = map(TEMPLATE.prompt, PROMPTS), [TEMPLATE.completion(label) for label in LABELS]
    adds_up("rank", trial.backend.rank(run.model, list(prompts), completions), rows=len(PROMPTS))


def another_instance_knows_it_all(trial: Trial, run: Run) -> None:
    """The job, its events and its model, as another process sees them."""
    other = trial.make()
    promise(other.job(run.state.id) == run.state, "another instance sees another state of the job.")
    seen = [event.id for event in other.events(run.state.id)]
    promise(seen == [event.id for event in run.events], "another instance sees other events of the job.")
    promise(other.resolve(run.model).model == run.model, "another instance does not know the model.")
    promise(other.card(run.model) == trial.backend.card(run.model), "another instance has another card of the model.")
    there = replace(trial, make=lambda: other)
    promise(len(there.answers(run.model, PROMPTS[:1], Sampling(max_tokens=1))) == 1, "it does not answer there.")


def _rising(numbers: Sequence[float]) -> bool:
    return all(one <= other for one, other in pairwise(numbers))


CHECKS: tuple[Callable[[Trial, Run], None], ...] = (
    the_job_is_listed,
    no_event_is_missed_or_repeated,
    events_tell_stand_in_and_progress,
    the_card_is_filled_in,
    the_result_file_holds_the_losses,
    checkpoints_answer,
    completions_keep_to_their_limits,
    probabilities_add_up,
    another_instance_knows_it_all,
)
