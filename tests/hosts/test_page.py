"""The page about hosts and their data files say the same."""

from __future__ import annotations

import re

from finetune_kit.hosts import SHIPPED, HostProfile
from tests.hosts_page import COMMAND, PAGE, page


def test_the_tables_are_what_the_data_files_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), f"docs/hosts.md is out of date: run {COMMAND}"


def test_every_host_and_every_key_is_explained() -> None:
    text = PAGE.read_text(encoding="utf-8")
    told = set(re.findall(r"\*\*(\w+)\*\*", text))
    assert set(SHIPPED) - {"crusoe", "local"} <= told
    costs = PAGE.with_name("costs.md").read_text(encoding="utf-8")
    unexplained = {key for key in HostProfile.model_fields if f"`{key}`" not in text and f"`{key}`" not in costs}
    assert unexplained == {"name"}
