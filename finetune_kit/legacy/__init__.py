"""Scripts of 2023 as they are, but for one line: `import finetune_kit.legacy as openai`.

Jobs run on the engine of this machine or at any host; docs/old-scripts.md says which, and what cannot be carried.
"""

from __future__ import annotations

import os
from contextvars import ContextVar
from typing import TYPE_CHECKING

from finetune_kit.backends import Backend
from finetune_kit.legacy import error
from finetune_kit.legacy.chats import ChatCompletion
from finetune_kit.legacy.completions import Completion
from finetune_kit.legacy.error import APIError, InvalidRequestError, OpenAIError
from finetune_kit.legacy.files import File
from finetune_kit.legacy.fine_tunes import FineTune
from finetune_kit.legacy.fine_tuning_jobs import FineTuningJob
from finetune_kit.legacy.models import Engine, Model
from finetune_kit.legacy.settings import OPENAI_ADDRESS

__all__ = [
    "APIError",
    "ChatCompletion",
    "Completion",
    "Engine",
    "File",
    "FineTune",
    "FineTuningJob",
    "InvalidRequestError",
    "Model",
    "OpenAIError",
    "__version__",
    "aiosession",
    "api_base",
    "api_key",
    "api_key_path",
    "api_type",
    "api_version",
    "backend",
    "error",
    "organization",
]

backend: Backend | None = None
"""Where jobs run and models answer; None for what docs/old-scripts.md says."""
api_key: str | None = os.environ.get("OPENAI_API_KEY")
api_key_path: str | None = os.environ.get("OPENAI_API_KEY_PATH")
api_base: str = os.environ.get("OPENAI_API_BASE", OPENAI_ADDRESS)
api_type: str = os.environ.get("OPENAI_API_TYPE", "open_ai")
api_version: str | None = os.environ.get("OPENAI_API_VERSION")
organization: str | None = os.environ.get("OPENAI_ORGANIZATION")
aiosession: ContextVar[object] = ContextVar("aiosession", default=None)
"""Scripts for asyncio set a session of theirs here, which has no effect any more."""
__version__ = "0.28.1"
"""Of the package whose calls these are, for scripts that look at it."""

_NOT_CARRIED = frozenset({"Audio", "Customer", "Deployment", "Edit", "Embedding", "Image", "Moderation"})

if not TYPE_CHECKING:  # with it, type checkers would take any misspelt name for an object

    def __getattr__(name: str) -> object:
        if name in _NOT_CARRIED:
            raise AttributeError(
                f"finetune_kit.legacy has no {name}: it carries what trains and calls fine-tuned models. For this, "
                "call the host with the openai package of today."
            )
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
