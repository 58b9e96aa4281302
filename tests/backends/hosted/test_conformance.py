"""Every way to every kind of host keeps every promise.

The suite runs with the newest `openai`; before a release it runs with the lowest as well, in an environment of its own:

    python -m venv low && low/bin/pip install openai==2.0.0 -e '.[server]' pytest pytest-timeout hypothesis
    low/bin/python -m pytest tests/backends/hosted
"""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune_kit.testing import HostSimulator, check_backend
from tests.backends.hosted.simulated import MODEL, WAYS, Way


@pytest.mark.parametrize(("host", "way"), WAYS, ids=lambda value: getattr(value, "__name__", value))
def test_every_way_to_a_host_keeps_every_promise(host: str, way: Way, tmp_path: Path) -> None:
    with HostSimulator(host=host, models=[MODEL]) as simulator:
        made = [way(simulator, tmp_path / "home") for _ in range(2)]
        left = iter(made)
        assert len(check_backend(lambda: next(left), model=MODEL)) == 18
        for backend in made:
            backend.close()
