"""Which rules run when none are named."""

from __future__ import annotations

from finetune_kit.validators.chat_roles import ChatRoles
from finetune_kit.validators.contradictions import Contradictions
from finetune_kit.validators.duplicates import Duplicates
from finetune_kit.validators.empty import EmptyCompletion, EmptyMessage, EmptyPrompt
from finetune_kit.validators.preference_pairs import PreferencePairs
from finetune_kit.validators.protocols import AnyValidator
from finetune_kit.validators.set_size import MinimumExamples

ESSENTIAL: tuple[AnyValidator, ...] = (
    MinimumExamples(),
    EmptyCompletion(),
    EmptyMessage(),
    ChatRoles(),
    PreferencePairs(),
)
"""What the door of `train` asks: without these the training fails or teaches nothing."""

DEFAULT: tuple[AnyValidator, ...] = (*ESSENTIAL, EmptyPrompt(), Duplicates(), Contradictions())
"""What `validate` asks: the essential rules and those that advise."""
