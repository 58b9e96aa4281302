"""What a person sees in a terminal. It reads results and decides nothing.

With the extra `rich` there are a live progress bar, colours and tables; without it, the same facts as plain lines.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from finetune_kit._extras import installed
from finetune_kit.backends import Event
from finetune_kit.evaluation import Evaluation
from finetune_kit.job import FineTuneJob
from finetune_kit.preview import Preview
from finetune_kit.validators import Report

_PLAIN_SECONDS = 5.0
"""Without a live bar, a line of progress is printed so often at most."""
_BAR_WIDTH = 20


class Display(Protocol):
    """Where the words go."""

    def heading(self, text: str) -> None:
        """Begin a part."""
        ...

    def line(self, text: str = "") -> None:
        """Say something."""
        ...

    def code(self, text: str) -> None:
        """Show lines of Python to copy."""
        ...

    def answers(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Show questions with their answers."""
        ...

    def scores(self, evaluations: Sequence[Evaluation]) -> None:
        """Show accuracies side by side."""
        ...

    def report(self, report: Report) -> None:
        """Show a data report."""
        ...

    def preview(self, preview: Preview) -> None:
        """Show what examples are trained on."""
        ...

    def progress(self, what: str, share: float) -> None:
        """Show how far something has come, from 0 to 1; drawn again and again."""
        ...

    def follow(self, job: FineTuneJob) -> None:
        """Show a job's progress until it has ended."""
        ...


def display() -> Display:
    """The best that this installation can show."""
    return RichDisplay() if installed("rich") else PlainDisplay()


class PlainDisplay:
    """Plain lines on standard output."""

    def __init__(self, write: Callable[[str], None] = print) -> None:
        self._write = write
        self._next_line = 0.0

    def heading(self, text: str) -> None:
        self._write(f"\n== {text}")

    def line(self, text: str = "") -> None:
        self._write(text)

    def code(self, text: str) -> None:
        self._write("\n".join(f"    {line}" for line in text.splitlines()))

    def answers(self, pairs: Iterable[tuple[str, str]]) -> None:
        for question, answer in pairs:
            self._write(f"  {question}\n    -> {answer}")

    def scores(self, evaluations: Sequence[Evaluation]) -> None:
        width = max(len(evaluation.name) for evaluation in evaluations)
        for evaluation in evaluations:
            self._write(f"  {evaluation.name:{width}}  {score_text(evaluation)}")

    def report(self, report: Report) -> None:
        self._write(report.summary())

    def preview(self, preview: Preview) -> None:
        self._write(preview.plain())

    def progress(self, what: str, share: float) -> None:
        if share >= 1 or time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + _PLAIN_SECONDS
            self._write(f"  {what}: {share:.0%}")

    def follow(self, job: FineTuneJob) -> None:
        for event in job.follow():
            step, total = event.data.get("step"), event.data.get("total_steps")
            if not isinstance(step, int) or not isinstance(total, int):
                self._write(f"  {event.message}")
            elif "full_valid_loss" in event.data or step == total or time.monotonic() >= self._next_line:
                self._next_line = time.monotonic() + _PLAIN_SECONDS
                self._write(f"  {event.message}{_left(job)}")


class RichDisplay:
    """The same with rich: colours, tables and a live bar where the terminal can."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(highlight=False)

    def heading(self, text: str) -> None:
        self._console.print()
        self._console.rule(f"[bold]{_escaped(text)}", align="left", style="cyan")

    def line(self, text: str = "") -> None:
        self._console.print(_escaped(text))

    def code(self, text: str) -> None:
        from rich.padding import Padding
        from rich.syntax import Syntax

        syntax = Syntax(text, "python", background_color="default", word_wrap=True)
        self._console.print(Padding(syntax, (0, 0, 0, 4)))

    def answers(self, pairs: Iterable[tuple[str, str]]) -> None:
        for question, answer in pairs:
            self._console.print(f"  [dim]{_escaped(question)}[/dim]\n    → [bold green]{_escaped(answer)}[/bold green]")

    def scores(self, evaluations: Sequence[Evaluation]) -> None:
        from rich.table import Table

        table = Table(box=None, show_header=False, padding=(0, 1))
        best = max(evaluation.accuracy for evaluation in evaluations)
        for evaluation in evaluations:
            style = "bold green" if evaluation.accuracy == best else ""
            bar = "█" * round(evaluation.accuracy * _BAR_WIDTH)
            table.add_row(_escaped(evaluation.name), f"[green]{bar or '▏'}", score_text(evaluation), style=style)
        self._console.print(table)

    def report(self, report: Report) -> None:
        colour = "green" if report.ok and not report.warnings else "yellow" if report.ok else "red"
        self._console.print(f"[{colour}]{_escaped(report.summary())}")

    def preview(self, preview: Preview) -> None:
        from rich.text import Text

        colours = self._console.color_system is not None
        self._console.print(Text.from_ansi(preview.coloured()) if colours else _escaped(preview.plain()))

    def progress(self, what: str, share: float) -> None:
        if not self._console.is_terminal:
            if share >= 1:
                self.line(f"  {what}: done")
            return
        bar = ("━" * round(share * _BAR_WIDTH)).ljust(_BAR_WIDTH, "╌")
        self._console.print(f"  {what} [green]{bar}[/green] {share:4.0%}", end="\n" if share >= 1 else "\r")

    def follow(self, job: FineTuneJob) -> None:
        if not self._console.is_terminal:  # a log file: lines, not a bar that is drawn over
            PlainDisplay(self.line).follow(job)
            return
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=_BAR_WIDTH),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._console) as bar:
            task = bar.add_task("starting", total=None, note="")
            for event in job.follow():
                step, total = event.data.get("step"), event.data.get("total_steps")
                if isinstance(step, int) and isinstance(total, int):
                    note = f"step {step}/{total} · loss {_loss(event)}{_left(job)}"
                    bar.update(task, description="training", completed=step, total=total, note=note)
                elif event.level == "info":
                    bar.update(task, note=event.message)
                else:
                    bar.console.print(f"  [yellow]{_escaped(event.message)}")


def score_text(evaluation: Evaluation) -> str:
    """An accuracy in words, with the interval that its few rows allow."""
    low, high = evaluation.interval
    return f"{evaluation.accuracy:4.0%}  {evaluation.correct}/{evaluation.rows}, 95 % interval {low:.0%} to {high:.0%}"


def _loss(event: Event) -> str:
    loss = event.data.get("train_loss")
    return f"{loss:.3f}" if isinstance(loss, int | float) else "?"


def _left(job: FineTuneJob) -> str:
    seconds = job.state.seconds_left
    if seconds is None:
        return ""
    return f" · {int(seconds) // 60}:{int(seconds) % 60:02d} left"


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
