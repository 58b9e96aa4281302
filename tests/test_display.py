"""What a person sees."""

from __future__ import annotations

import pytest

from finetune_kit import Dataset, FineTuneJob, Split
from finetune_kit.display import Display, PlainDisplay, RichDisplay, display, score_text
from finetune_kit.evaluation import Evaluation, Prediction
from finetune_kit.testing import MemoryBackend

PAIRS = [(f"question {number}", f"answer {number}") for number in range(12)]
SCORE = Evaluation("fine-tuned", tuple(Prediction("?", "yes", answer) for answer in ["yes"] * 9 + ["no"]))


def new_job() -> FineTuneJob:
    return Split(training=Dataset.from_records(PAIRS)).train("davinci", backend=MemoryBackend())


@pytest.fixture(params=[PlainDisplay, RichDisplay])
def screen(request: pytest.FixtureRequest) -> Display:
    if request.param is RichDisplay:
        pytest.importorskip("rich")
    made: Display = request.param()
    return made


def test_rich_is_taken_where_it_is_installed() -> None:
    pytest.importorskip("rich")
    assert isinstance(display(), RichDisplay)


def test_score_tells_count_and_interval() -> None:
    assert score_text(SCORE) == " 90%  9/10, 95 % interval 60% to 98%"


def test_scores_stand_side_by_side(screen: Display, capsys: pytest.CaptureFixture[str]) -> None:
    screen.scores([Evaluation("majority class", SCORE.predictions[8:]), SCORE])
    lines = capsys.readouterr().out.splitlines()
    for line, words in zip(lines, [("majority class", "50%", "1/2"), ("fine-tuned", "90%", "9/10")], strict=True):
        assert all(word in line for word in words)


def test_markup_in_the_data_is_shown_not_obeyed(screen: Display, capsys: pytest.CaptureFixture[str]) -> None:
    screen.answers([("is [bold]this[/bold] [red]safe?", "[link=x]yes[/link]")])
    shown = capsys.readouterr().out
    assert "is [bold]this[/bold] [red]safe?" in shown
    assert "[link=x]yes[/link]" in shown


def test_job_is_followed_to_its_end(screen: Display, capsys: pytest.CaptureFixture[str]) -> None:
    job = new_job()
    screen.follow(job)
    assert job.state.status == "succeeded"
    assert "loss" in capsys.readouterr().out


def test_report_is_shown(screen: Display, capsys: pytest.CaptureFixture[str]) -> None:
    screen.report(Dataset.from_records([("a", "")] * 2).validate())
    assert "empty_completion" in capsys.readouterr().out


def test_preview_is_shown(screen: Display, capsys: pytest.CaptureFixture[str]) -> None:
    screen.preview(Dataset.from_records([("where [bold]is it", "he\x1b[31mre")]).preview(1))
    shown = capsys.readouterr().out
    assert "where [bold]is it ->⟦ he\\x1b[31mre⏎" in shown


def test_plain_progress_is_sparing(capsys: pytest.CaptureFixture[str]) -> None:
    screen = PlainDisplay()
    for share in range(100):
        screen.progress("downloading", share / 100)
    screen.progress("downloading", 1.0)
    assert capsys.readouterr().out.splitlines() == ["  downloading: 0%", "  downloading: 100%"]
