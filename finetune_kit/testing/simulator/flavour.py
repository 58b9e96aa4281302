"""How hosts differ that speak the same API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from finetune_kit.errors import ParameterError
from finetune_kit.hosts import host_profile

ResultFormat: TypeAlias = Literal["base64", "plain"]
ResultColumns: TypeAlias = Literal["openai", "azure", "legacy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flavour:
    """One kind of host. Take one of `FLAVOURS`, or change it with `dataclasses.replace`."""

    name: str = "openai"
    """The host profile whose models it has."""
    azure: bool = False
    """Paths, names and bodies as at Azure: below `/openai`, with `api-version` or as `/openai/v1`."""
    byte_order_mark: bool = False
    """Whether training files must begin with one; else such a file fails its job."""
    min_examples: int = 10
    max_file_bytes: int = 512 << 20
    max_upload_bytes: int | None = 8 << 30
    """Of one file in parts; None where the host takes none in parts."""
    max_part_bytes: int = 64_000_000
    max_suffix_characters: int = 64
    keeps_metadata: bool = True
    has_events: bool = True
    has_checkpoints: bool = True
    can_pause: bool = True
    lists_models: bool = True
    tells_job_limits: bool = True
    result_format: ResultFormat = "base64"
    result_columns: ResultColumns = "openai"
    status_words: Mapping[str, str] = field(default_factory=dict[str, str])
    """The host's own words for the API's statuses."""
    auto_deploys: bool = True
    """At Azure: whether a model answers under its own name as soon as it is trained, without being deployed."""
    omits_nulls: bool = False
    """Whether a job's fields that are not known yet are left out rather than null."""


_BARE = Flavour(
    name="generic",
    max_upload_bytes=None,
    keeps_metadata=False,
    has_events=False,
    has_checkpoints=False,
    can_pause=False,
    lists_models=False,
    tells_job_limits=False,
    result_format="plain",
)

FLAVOURS: Mapping[str, Flavour] = {
    "openai": Flavour(),
    "azure": Flavour(
        name="azure",
        azure=True,
        byte_order_mark=True,
        max_suffix_characters=18,
        keeps_metadata=False,
        tells_job_limits=False,
        result_format="plain",
        result_columns="azure",
        status_words={"validating_files": "pending", "queued": "pending"},
        omits_nulls=True,
    ),
    "bare": _BARE,
}
"""`bare` has files, jobs and models: no metadata, events, checkpoints, uploads in parts or lists of models."""


def flavour_of(host: str | Flavour) -> Flavour:
    """A flavour by its name, or by the name of a host profile."""
    if isinstance(host, Flavour):
        return host
    if host in FLAVOURS:
        return FLAVOURS[host]
    profile = host_profile(host)
    if not profile.openai_api:
        raise ParameterError(f"host={host!r} does not speak the OpenAI API and is not simulated.", parameter="host")
    return Flavour(
        name=host,
        azure=profile.api == "azure",
        byte_order_mark=profile.byte_order_mark,
        min_examples=profile.min_examples or 1,
        max_file_bytes=profile.max_file_bytes,
        max_upload_bytes=profile.max_upload_bytes,
        max_part_bytes=profile.upload_part_bytes,
        max_suffix_characters=profile.max_suffix_characters or 64,
        keeps_metadata=profile.keeps_metadata,
        has_events=profile.has_events,
        has_checkpoints=profile.has_checkpoints,
        can_pause=profile.can_pause,
        lists_models=profile.lists_models,
        tells_job_limits=profile.tells_job_limits,
        result_format="plain",
    )
