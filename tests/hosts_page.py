"""The table of hosts in docs/hosts.md, written from their data files: `python -m tests.hosts_page`."""

from __future__ import annotations

from pathlib import Path

from finetune_kit.hosts import SHIPPED, HostProfile, host_profile

PAGE = Path(__file__).parent.parent / "docs" / "hosts.md"
COMMAND = "python -m tests.hosts_page"
BEGIN, END = "<!-- hosts -->", "<!-- /hosts -->"


def tables() -> str:
    """What stands between the two marks."""
    profiles = [host_profile(name) for name in SHIPPED]
    files = ("host", "address", "key from", "a file", "in parts", "at least", "mark", "learns from")
    jobs = ("host", "methods", "suffix", "epochs", "batch", "prompts' loss weight", "metadata", "pausing", "models")
    return "\n\n".join(
        (
            _table(files, [_files(profile) for profile in profiles]),
            _table(jobs, [_jobs(profile) for profile in profiles]),
        )
    )


def page() -> str:
    """The page as it should be."""
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{tables()}\n{END}{rest.split(END)[1]}"


def _files(profile: HostProfile) -> tuple[str, ...]:
    return (
        f"`{profile.name}`",
        "this machine" if profile.free_of_charge else profile.base_url or "`base_url=`",
        ", ".join(f"`{key}`" for key in profile.keys) or "-",
        _size(profile.max_file_bytes),
        "-" if profile.max_upload_bytes is None else _size(profile.max_upload_bytes),
        "?" if profile.min_examples is None else f"{profile.min_examples} rows",
        "yes" if profile.byte_order_mark else "no",
        ", ".join(dict.fromkeys(kind for name in ("", *_open(profile)) for kind in profile.kinds_of(name))) or "?",
    )


def _jobs(profile: HostProfile) -> tuple[str, ...]:
    return (
        f"`{profile.name}`",
        ", ".join(profile.methods),
        "?" if profile.max_suffix_characters is None else f"{profile.max_suffix_characters}",
        _range(profile.n_epochs_range),
        _range(profile.batch_size_range),
        "yes" if profile.prompt_loss_weight else "no",
        "kept" if profile.keeps_metadata else "not known",
        "yes" if profile.can_pause else "no",
        "any" if profile.any_model else f"{len(_open(profile))} on file" if profile.models else "none on file",
    )


def _open(profile: HostProfile) -> list[str]:
    return [name for name, facts in profile.models.items() if facts.state(profile.as_of) == "trainable"]


def _size(count: int) -> str:
    return f"{count / 1e9:.3g} GB" if count >= 10**9 else f"{count / 1e6:,.0f} MB"


def _range(limits: tuple[int, int] | None) -> str:
    return "?" if limits is None else f"{limits[0]} to {limits[1]}"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = (head, tuple("---" for _ in head), *rows)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
