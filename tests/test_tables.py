"""Tables are aligned, and no cell is more than text."""

from __future__ import annotations

from finetune_kit._tables import html_table, printable, text_table

ROWS = [("ada", "0.4"), ("davinci", "30")]


def test_numbers_end_where_their_column_ends() -> None:
    told = text_table(("model", "price"), ROWS, note="As of 2023.", numbers={"price"})
    assert told == "model    price\nada        0.4\ndavinci     30\nAs of 2023."


def test_what_steers_a_terminal_is_not_printed() -> None:
    assert printable("a\x1b[31mb\n") == "a�[31mb�"
    assert "\x1b" not in text_table(("model",), [("\x1b[2J",)], note="")


def test_a_cell_is_no_markup() -> None:
    assert "<td>&lt;script&gt;</td>" in html_table(("model",), [("<script>",)], note="1 < 2")
    assert html_table(("model",), [], note="1 < 2").endswith("<p>1 &lt; 2</p>")
