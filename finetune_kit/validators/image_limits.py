"""How many examples bring images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from finetune_kit.rows import Batch
from finetune_kit.validators.image_parts import images
from finetune_kit.validators.issue import Issue, Severity


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """Hosts take only so many examples with images in one file; those with text alone do not count.

    The limit is that of OpenAI's guide to fine-tuning on images.

    Bad:  60,000 examples, each with a photograph
    Good: 50,000 examples with a photograph and as many without as you like
    """

    most: int = 50_000

    code = "image_limit"

    def start(self) -> ImageLimitsCheck:
        """Begin a run."""
        return ImageLimitsCheck(self)


@dataclass(slots=True)
class ImageLimitsCheck:
    """Counts."""

    rule: ImageLimits
    _seen: int = 0

    def see(self, batch: Batch) -> Iterable[Issue]:
        """Nothing is certain before the end."""
        self._seen += len({row for row, _, _ in batch.view(images)})
        return ()

    def finish(self) -> Iterable[Issue]:
        """One error where there are too many."""
        if self._seen <= self.rule.most:
            return ()
        message = f"{self._seen:,} examples have images, more than the {self.rule.most:,} that hosts take"
        return [Issue(self.rule.code, Severity.ERROR, message, hint="Leave some of them out.")]
