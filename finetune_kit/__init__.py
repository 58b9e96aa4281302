"""From a table of examples to a fine-tuned language model you can call, in one typed chain.

    from finetune_kit import Dataset

    job = Dataset.from_csv("support.csv").split(0.8).train(model="davinci")
    print(job.wait().model().complete("今天晚上吃什么好呢?"))

Each name is imported when it is first used, so that `import finetune_kit` stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from finetune_kit._version import __version__

if TYPE_CHECKING:
    from finetune_kit import errors
    from finetune_kit.archiving import Archive, archive_all
    from finetune_kit.backends import Backend, HostedBackend, LocalBackend, ToolCall, connect
    from finetune_kit.cards import ModelCard
    from finetune_kit.changes import ChangeLog
    from finetune_kit.classification import Classification
    from finetune_kit.client import Completion, Label, ModelClient
    from finetune_kit.dataset import Dataset, Split
    from finetune_kit.errors import FinetuneKitError
    from finetune_kit.evaluation import Evaluation, evaluate
    from finetune_kit.fixes import row_fix
    from finetune_kit.history import jobs
    from finetune_kit.hosts import models
    from finetune_kit.job import FineTuneJob
    from finetune_kit.migrating import Migration
    from finetune_kit.moving import migrate
    from finetune_kit.records import ChatExample, CompletionExample, Message, PreferenceExample
    from finetune_kit.refreshing import refresh_models
    from finetune_kit.results import Results
    from finetune_kit.splitters import Splitter
    from finetune_kit.templates import PromptTemplate
    from finetune_kit.together import follow, follow_async
    from finetune_kit.training_options import TrainingOptions
    from finetune_kit.validators import Issue, Report, Severity, Validator, row_validator
    from finetune_kit.writing import WrittenFile

__all__ = [
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

_MODULE_OF = {
    "Archive": "archiving",
    "Backend": "backends",
    "ChangeLog": "changes",
    "ChatExample": "records",
    "Classification": "classification",
    "Completion": "client",
    "CompletionExample": "records",
    "Dataset": "dataset",
    "Evaluation": "evaluation",
    "FineTuneJob": "job",
    "FinetuneKitError": "errors",
    "HostedBackend": "backends",
    "Issue": "validators",
    "Label": "client",
    "LocalBackend": "backends",
    "Message": "records",
    "Migration": "migrating",
    "ModelCard": "cards",
    "ModelClient": "client",
    "PreferenceExample": "records",
    "PromptTemplate": "templates",
    "Report": "validators",
    "Results": "results",
    "Severity": "validators",
    "Split": "dataset",
    "Splitter": "splitters",
    "ToolCall": "backends",
    "TrainingOptions": "training_options",
    "Validator": "validators",
    "WrittenFile": "writing",
    "archive_all": "archiving",
    "connect": "backends",
    "errors": "errors",
    "evaluate": "evaluation",
    "follow": "together",
    "follow_async": "together",
    "jobs": "history",
    "migrate": "moving",
    "models": "hosts",
    "refresh_models": "refreshing",
    "row_fix": "fixes",
    "row_validator": "validators",
}


if not TYPE_CHECKING:  # with it, type checkers would take any misspelt name for an object

    def __getattr__(name: str) -> object:
        """Import a public name on its first use (PEP 562)."""
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = import_module(f"{__name__}.{_MODULE_OF[name]}")
        value = module if name == _MODULE_OF[name] else getattr(module, name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
