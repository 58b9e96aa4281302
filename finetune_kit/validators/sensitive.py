"""Words of a report, without what is secret or personal in them."""

from __future__ import annotations

import re
from functools import lru_cache

from finetune_kit.validators.fields import masked
from finetune_kit.validators.personal_data import mails_in, numbers_in
from finetune_kit.validators.secrets import secrets_in

# What was shortened before it came here is no longer known as a key: a long word of all kinds of characters.
_CUT = re.compile(
    r"(?<![A-Za-z0-9_-])(?=[A-Za-z_-]*[0-9])(?=[a-z0-9_-]*[A-Z])(?=[A-Z0-9_-]*[a-z])([A-Za-z0-9_-]{20,200})…"
)


@lru_cache(maxsize=256)
def without_secrets(text: str) -> str:
    """The text with all that the rules about personal data and secrets know made unreadable."""
    found = [span for _, span in (*mails_in(text), *numbers_in(text))]
    found += [span for _, _, span in secrets_in(text)]
    found += [cut.span(1) for cut in _CUT.finditer(text)]
    for span in found:
        text = masked(text, span)
    return text
