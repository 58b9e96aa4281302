"""Following jobs until they end: one for all, whether it is one job or thousands, in an event loop or not."""

from finetune_kit.following.desk import Desk, Told, Wishes
from finetune_kit.following.detaching import attach_line, detached
from finetune_kit.following.driving import Patience, Steps, drive, drive_async, steps
from finetune_kit.following.news import Lost, News, Notice, OnNotice, StateChange, Stuck, Trouble
from finetune_kit.following.pace import place_key
from finetune_kit.following.watch import Watch

__all__ = [
    "Desk",
    "Lost",
    "News",
    "Notice",
    "OnNotice",
    "Patience",
    "StateChange",
    "Steps",
    "Stuck",
    "Told",
    "Trouble",
    "Watch",
    "Wishes",
    "attach_line",
    "detached",
    "drive",
    "drive_async",
    "place_key",
    "steps",
]
