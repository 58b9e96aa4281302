"""Host profiles: one host's limits, models, prices and dates, as data files with their source and date."""

from __future__ import annotations

from finetune_kit.hosts.calendar import DAYS_OF_WARNING, check_dates, today
from finetune_kit.hosts.loading import ENVIRONMENT_VARIABLE, SHIPPED, file_rules, host_profile, host_profiles
from finetune_kit.hosts.profile import (
    Api,
    FileRules,
    HostProfile,
    MessageWeights,
    Method,
    ModelFacts,
    PreferenceRows,
    Prices,
    Resolved,
    State,
)
from finetune_kit.hosts.table import ModelRow, ModelTable, models

FINE_TUNED_PREFIX = "ft:"

__all__ = [
    "DAYS_OF_WARNING",
    "ENVIRONMENT_VARIABLE",
    "FINE_TUNED_PREFIX",
    "SHIPPED",
    "Api",
    "FileRules",
    "HostProfile",
    "MessageWeights",
    "Method",
    "ModelFacts",
    "ModelRow",
    "ModelTable",
    "PreferenceRows",
    "Prices",
    "Resolved",
    "State",
    "check_dates",
    "file_rules",
    "host_profile",
    "host_profiles",
    "models",
    "today",
]
