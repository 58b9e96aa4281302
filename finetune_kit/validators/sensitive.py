"""Words of a report, without what is secret or personal in them."""

from __future__ import annotations

from functools import lru_cache

from finetune_kit.validators.fields import masked
from finetune_kit.validators.personal_data import mails_in, numbers_in
from finetune_kit.validators.secrets import secrets_in


@lru_cache(maxsize=256)
def without_secrets(text: str) -> str:
    """The text with all that the rules about personal data and secrets know made unreadable."""
    found = [span for _, span in (*mails_in(text), *numbers_in(text))]
    found += [span for _, _, span in secrets_in(text)]
    for span in found:
        text = masked(text, span)
    return text
