"""The documents tell the truth: their Python runs, their links lead somewhere, their map is the tree.

Every ```python block of README.md and docs/*.md is run. The blocks of one file run in order, in one namespace, in a
folder of their own. What a block needs is said in HTML comments above it, which readers do not see:

    <!-- needs: real_model -->     carries the pytest marker of that name
    <!-- no-run: why -->           is not run
    <!-- python                    is run, but not shown: to lay down a file that the next block reads
    ...
    -->
"""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

FENCE = re.compile(r"^```.*?^```[ \t]*$", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(
    r"(?P<comments>(?:^<!-- (?:needs|no-run): [^\n]*? -->\n+)*)"
    r"(?:^```python[^\n]*\n(?P<shown>.*?)^```[ \t]*$|^<!-- python\n(?P<hidden>.*?)^-->[ \t]*$)",
    re.MULTILINE | re.DOTALL,
)
PYTHON_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[ \t]*(?:python|py)\b", re.MULTILINE | re.IGNORECASE)
COMMENT = re.compile(r"<!-- (needs|no-run): (.*?) -->")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
MAP = re.compile(r"<!-- map -->\s*```text\n(.*?)```\s*<!-- /map -->", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One Python block of a document."""

    document: Path
    line: int
    code: str
    needs: tuple[str, ...]
    no_run: str | None


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks_of(document: Path) -> Iterator[Block]:
    """The Python blocks of `document`, in order, each with the line on which its code begins."""
    text = document.read_text(encoding="utf-8")
    for match in BLOCK.finditer(text):
        group = "hidden" if match["shown"] is None else "shown"
        comments: list[tuple[str, str]] = COMMENT.findall(match["comments"])
        yield Block(
            document=document,
            line=text.count("\n", 0, match.start(group)) + 1,
            code=match[group],
            needs=tuple(what for key, what in comments if key == "needs"),
            no_run=next((what for key, what in comments if key == "no-run"), None),
        )


def as_parameter(block: Block) -> object:
    marks = [getattr(pytest.mark, need) for need in block.needs]
    if block.no_run is not None:
        marks.append(pytest.mark.skip(reason=block.no_run))
    return pytest.param(block, marks=marks, id=f"{name_of(block.document)}:{block.line}")


BLOCKS = [as_parameter(block) for document in DOCUMENTS for block in blocks_of(document)]


@dataclass(frozen=True)
class Desk:
    """Where the blocks of one document run."""

    folder: Path
    module: types.ModuleType


@pytest.fixture(scope="module")
def desks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Path, Desk]]:
    """The desk of each document; a real module, so that what a block defines can be pickled to a worker."""
    found: dict[Path, Desk] = {}
    for document in DOCUMENTS:
        name = "blocks_of_" + re.sub(r"\W", "_", name_of(document))
        found[document] = Desk(tmp_path_factory.mktemp(name), types.ModuleType(name))
        sys.modules[name] = found[document].module
    yield found
    for desk in found.values():
        del sys.modules[desk.module.__name__]


@pytest.mark.parametrize("block", BLOCKS)
def test_python_block_runs(
    block: Block, desks: dict[Path, Desk], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    desk = desks[block.document]
    home = desk.folder / "home"
    if "real_model" in block.needs and not (home / "bases").exists():
        home.mkdir(mode=0o700, exist_ok=True)
        weights = request.getfixturevalue("real_home") / "bases"
        (home / "bases").symlink_to(weights, target_is_directory=True)
    monkeypatch.chdir(desk.folder)
    monkeypatch.setenv("FINETUNE_KIT_HOME", str(home))
    padding = "\n" * (block.line - 1)  # so that a traceback shows the document's own line numbers
    exec(compile(padding + block.code, str(block.document), "exec"), desk.module.__dict__)


def test_blocks_are_found_with_their_comments_and_lines(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    lines = [
        "<!-- python",
        "a = 1",
        "-->",
        "<!-- needs: slow -->",
        "<!-- no-run: a key -->",
        "",
        "```python",
        "b = a",
        "```",
    ]
    document.write_text("\n".join(["# Page", "```console", "ls", "```", *lines, ""]), encoding="utf-8")
    hidden, shown = blocks_of(document)
    assert (hidden.code, hidden.line, hidden.needs, hidden.no_run) == ("a = 1\n", 6, (), None)
    assert (shown.code, shown.line, shown.needs, shown.no_run) == ("b = a\n", 12, ("slow",), "a key")


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_python_fence_is_taken_up(document: Path) -> None:
    """A fence with an indent, or with another spelling, would never be run."""
    text = document.read_text(encoding="utf-8")
    fences = len(PYTHON_FENCE.findall(text))
    shown = sum(match["shown"] is not None for match in BLOCK.finditer(text))
    assert shown == fences


def anchors_of(document: Path) -> set[str]:
    """The anchors that a renderer makes of the headings of `document`."""
    headings: list[str] = HEADING.findall(FENCE.sub("", document.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_between_files_lead_somewhere(document: Path) -> None:
    targets: list[str] = LINK.findall(FENCE.sub("", document.read_text(encoding="utf-8")))
    broken: list[str] = []
    for target in targets:
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        path = (document.parent / file).resolve() if file else document
        if not path.exists() or (anchor and anchor not in anchors_of(path)):
            broken.append(target)
    assert broken == []


def mapped() -> list[str]:
    """The paths that docs/architecture.md names in its map."""
    found = MAP.search((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"))
    assert found, "docs/architecture.md has no map between <!-- map --> and <!-- /map -->"
    return [line.split()[0] for line in found[1].splitlines() if line.strip()]


def test_map_names_only_what_is_there() -> None:
    assert [path for path in mapped() if not (ROOT / path).exists()] == []


def test_map_names_every_module() -> None:
    """A package is named by its folder, with a slash at the end."""
    modules = (path.relative_to(ROOT).as_posix() for path in (ROOT / "finetune_kit").rglob("*.py"))
    expected = {module.removesuffix("__init__.py") for module in modules}
    assert expected - set(mapped()) == set()


def test_map_names_nothing_twice() -> None:
    assert len(mapped()) == len(set(mapped()))


def test_test_command_is_one_line_that_continuous_integration_can_run() -> None:
    """`.ci/run` takes it from between these markers."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.findall(r"^<!-- test-command -->\n```\w*\n(.+)\n```\n<!-- /test-command -->$", text, re.MULTILINE)
    assert len(found) == 1
    assert "pip install" in found[0]
    assert "pytest" in found[0]
