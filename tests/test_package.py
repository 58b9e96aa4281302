"""The public face of the package: its names, its weight, its version, its habits."""

from __future__ import annotations

import ast
import importlib.metadata
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import finetune_kit

PACKAGE = Path(finetune_kit.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

PUBLIC = [
    "Archive",
    "Backend",
    "ChangeLog",
    "ChatExample",
    "Classification",
    "Completion",
    "CompletionExample",
    "Dataset",
    "Evaluation",
    "FineTuneJob",
    "FinetuneKitError",
    "HostedBackend",
    "Issue",
    "Label",
    "LocalBackend",
    "Message",
    "Migration",
    "ModelCard",
    "ModelClient",
    "PreferenceExample",
    "PromptTemplate",
    "Report",
    "Results",
    "Severity",
    "Split",
    "Splitter",
    "ToolCall",
    "TrainingOptions",
    "Validator",
    "WrittenFile",
    "__version__",
    "archive_all",
    "connect",
    "errors",
    "evaluate",
    "follow",
    "follow_async",
    "jobs",
    "migrate",
    "models",
    "refresh_models",
    "row_fix",
    "row_validator",
]

HEAVY = {"accelerate", "matplotlib", "openai", "peft", "rich", "torch", "transformers"}
NOT_AT_THE_DOOR = HEAVY | {"chardet", "numpy", "orjson", "pydantic", "python_calamine", "tenacity"}


def loaded_by(code: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after `code`."""
    script = f"import sys\n{code}\nprint(*sys.modules, sep='\\n')"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def imports_in_functions(path: Path) -> Iterator[str]:
    """Each import of an own module that stands inside a function of `path`."""
    for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            else:
                continue
            for name in names:
                if name.partition(".")[0] == "finetune_kit":
                    yield f"{path.name}:{node.lineno} imports {name} in {function.name}"


def names_for_type_checkers() -> set[str]:
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    return {alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}


def test_public_names_are_pinned() -> None:
    assert finetune_kit.__all__ == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_public_name_is_there(name: str) -> None:
    assert getattr(finetune_kit, name) is not None
    assert name in dir(finetune_kit)


def test_type_checkers_see_every_public_name() -> None:
    assert names_for_type_checkers() == set(PUBLIC) - {"__version__"}


def test_unknown_name_is_an_attribute_error_that_names_it() -> None:
    """Type checkers see it too: they would find the two comments unused otherwise."""
    with pytest.raises(AttributeError, match="no attribute 'Datasets'"):
        _ = finetune_kit.Datasets  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


def test_import_is_light() -> None:
    assert loaded_by("import finetune_kit") & NOT_AT_THE_DOOR == set()


def test_no_public_name_loads_a_heavy_package() -> None:
    assert loaded_by("from finetune_kit import *") & HEAVY == set()


def test_import_time_is_shown() -> None:
    """Printed for whoever reads the log; asserted only far above what it should be, since machines differ."""
    code = "import time; t = time.perf_counter(); import finetune_kit; print(time.perf_counter() - t)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    print(f"import finetune_kit: {float(run.stdout) * 1000:.1f} ms")
    assert float(run.stdout) < 2


def test_version_is_that_of_the_installed_package() -> None:
    assert finetune_kit.__version__ == importlib.metadata.version("finetune_kit")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_own_module_is_imported_inside_a_function(path: Path) -> None:
    assert list(imports_in_functions(path)) == []


def test_no_module_is_called_utils() -> None:
    banned = {"utils", "util", "helpers", "common", "core", "manager", "misc"}
    assert [path for path in MODULES if banned & set(path.relative_to(PACKAGE).with_suffix("").parts)] == []
