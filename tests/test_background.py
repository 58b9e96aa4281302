"""Blocks are worked on in their order, and what goes wrong there is raised here."""

from __future__ import annotations

import threading

import pytest

from finetune_kit._background import Background


def test_blocks_are_worked_on_in_order_in_another_thread() -> None:
    seen: list[tuple[bytes, bool]] = []
    background = Background(lambda block: seen.append((block, threading.current_thread() is threading.main_thread())))
    for number in range(50):
        background.put(b"%d" % number)
    background.finish()
    assert seen == [(b"%d" % number, False) for number in range(50)]


def test_an_error_is_raised_at_a_later_block_or_at_the_end() -> None:
    def fail(block: bytes) -> None:
        raise OSError(28, "No space left on device")

    background = Background(fail)
    background.put(b"a")
    with pytest.raises(OSError, match="No space left"):
        background.finish()
    background = Background(fail)
    for _ in range(4):
        background.put(b"a")
    with pytest.raises(OSError, match="No space left"):
        background.put(b"a")


def test_few_blocks_wait_at_a_time() -> None:
    go = threading.Event()
    background = Background(lambda block: go.wait())
    for _ in range(4):
        background.put(b"a")
    late = threading.Thread(target=background.put, args=(b"b",))
    late.start()
    late.join(0.05)
    assert late.is_alive()
    go.set()
    late.join()
    background.finish()


def test_nothing_to_do_needs_no_thread() -> None:
    before = threading.active_count()
    Background(len).finish()
    assert threading.active_count() == before
