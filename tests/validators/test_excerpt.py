"""What is shown of an example: the fault and what is around it, and no secret."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from finetune_kit.records import ChatExample, CompletionExample, JsonValue, Message
from finetune_kit.validators.excerpt import Excerpt, Place, excerpt_of, excerpt_of_text
from tests.rows_of import conversation

PAIR = CompletionExample("Where is my parcel?", "At your neighbour's.")


def shown(excerpt: Excerpt | None) -> list[tuple[str, str]]:
    assert excerpt is not None
    return [(part.field, part.text) for part in excerpt.parts]


def marked(excerpt: Excerpt | None) -> list[str]:
    assert excerpt is not None
    return [part.text[start:end] for part in excerpt.parts for start, end in part.marks]


def test_both_texts_of_a_pair_are_shown_and_the_fault_is_marked() -> None:
    excerpt = excerpt_of(PAIR, Place("prompt", (9, 18)))
    assert shown(excerpt) == [("prompt", PAIR.prompt), ("completion", PAIR.completion)]
    assert marked(excerpt) == ["my parcel"]
    assert excerpt is not None
    assert [part.faulty for part in excerpt.parts] == [True, False]


def test_a_long_text_is_shown_around_its_fault() -> None:
    text = "x" * 5_000 + "HERE" + "y" * 5_000
    excerpt = excerpt_of(CompletionExample("q", text), Place("completion", (5_000, 5_004)))
    assert marked(excerpt) == ["HERE"]
    assert excerpt is not None
    part = excerpt.parts[1]
    assert part.cut_before + len(part.text) + part.cut_after == len(text)
    assert len(part.text) < 500


def test_of_a_long_conversation_the_faulty_turn_and_its_neighbours_are_shown() -> None:
    chat = conversation(*[("user", f"turn {number}") for number in range(30)])
    excerpt = excerpt_of(chat, Place("messages[20].content", (0, 4)))
    assert [text for _, text in shown(excerpt)] == ["turn 18", "turn 19", "turn 20", "turn 21"]
    assert excerpt is not None
    assert excerpt.left_out == 26
    assert excerpt.parts[2].role == "user"


def test_without_a_field_the_first_turns_and_the_last_are_shown() -> None:
    chat = conversation(*[("user", f"turn {number}") for number in range(30)])
    assert [text for _, text in shown(excerpt_of(chat, Place(None, None)))] == ["turn 0", "turn 1", "turn 2", "turn 29"]


def test_a_value_that_is_no_text_is_shown_as_json_beside_its_turn() -> None:
    calls: dict[str, JsonValue] = {"tool_calls": [{"function": {"name": "f", "arguments": "{bad"}}]}
    chat = conversation(("user", "hi"), ("assistant", None), more=calls)
    excerpt = excerpt_of(chat, Place("messages[1].tool_calls[0].function.arguments", (0, 1)))
    assert shown(excerpt)[-1] == ("messages[1].tool_calls[0].function.arguments", "{bad")
    assert marked(excerpt) == ["{"]
    whole = excerpt_of(chat, Place("messages[1].tool_calls", None))
    assert shown(whole)[-1][1] == '[{"function":{"name":"f","arguments":"{bad"}}]'


def test_a_field_that_is_not_there_marks_nothing() -> None:
    for field in ("messages[9].content", "nothing", "", "messages[", "a.b[3].c", "prompt.x", "prompt[0]"):
        assert marked(excerpt_of(PAIR, Place(field, (0, 3)))) == []


def test_a_secret_is_masked_wherever_the_example_is_shown() -> None:
    secret = Place("prompt", (9, 18))
    for fault in (Place("prompt", (0, 5)), Place("completion", None), Place(None, None), secret):
        assert shown(excerpt_of(PAIR, fault, secrets=[secret]))[0] == ("prompt", "Where is •••••••••?")
    long = CompletionExample("key sk-0123456789abcdef", "")
    assert shown(excerpt_of(long, Place(None, None), secrets=[Place("prompt", (4, 23))]))[0][1] == "key sk" + "•" * 17


def test_a_secret_in_the_parts_of_a_message_is_masked_across_them() -> None:
    parts: list[JsonValue] = [
        {"type": "text", "text": "my key: abc"},
        {"type": "image_url"},
        {"type": "text", "text": "def!"},
    ]
    chat = ChatExample((Message("user", parts),))
    excerpt = excerpt_of(chat, Place("messages[0].content", (0, 2)), secrets=[Place("messages[0].content", (8, 14))])
    assert shown(excerpt) == [("messages[0].content", "my key: ••••••!")]


def test_a_secret_in_a_value_is_masked_in_its_json() -> None:
    chat = conversation(("user", "hi"), ("assistant", None), more={"tool_calls": [{"arguments": "abc"}], "weight": 3})
    secrets = [Place("messages[1].tool_calls[0].arguments", None), Place("messages[1].weight", None)]
    whole = excerpt_of(chat, Place("messages[1]", None), secrets=secrets)
    assert "abc" not in str(shown(whole))
    assert '"weight":"••••••••"' in shown(whole)[-1][1]


def test_a_secret_is_masked_where_it_stands_a_second_time() -> None:
    chat = conversation(
        ("user", "make a password"), ("tool", '{"password": "qX7#vR2!"}'), ("assistant", "It is qX7#vR2!.")
    )
    excerpt = excerpt_of(chat, Place("messages[1].content", (14, 22)), secrets=[Place("messages[1].content", (14, 22))])
    assert "qX7#vR2!" not in str(excerpt)
    assert shown(excerpt)[2][1] == "It is ••••••••."
    short = excerpt_of(CompletionExample("abc", "abcd"), Place(None, None), secrets=[Place("prompt", (0, 3))])
    assert shown(short) == [("prompt", "•••"), ("completion", "abcd")]


def test_an_example_that_is_secret_as_a_whole_is_not_shown() -> None:
    assert excerpt_of(PAIR, Place("prompt", None), secrets=[Place(None, None)]) is None
    assert excerpt_of(PAIR, Place("prompt", None), secrets=[Place("the third line", (0, 3))]) is None


def test_a_row_that_could_not_be_read_is_shown_with_its_secrets_masked() -> None:
    excerpt = excerpt_of_text("the row", '{"key": "abc"', (12, 13), [Place(None, (9, 12))])
    assert shown(excerpt) == [("the row", '{"key": "•••"')]
    assert marked(excerpt) == ['"']


@given(
    st.text(max_size=400),
    st.none() | st.tuples(st.integers(-5, 500), st.integers(-5, 500)),
    st.lists(st.tuples(st.integers(-5, 500), st.integers(-5, 500)), max_size=3),
)
def test_no_span_breaks_it_and_masking_keeps_the_length(
    text: str, span: tuple[int, int] | None, secrets: list[tuple[int, int]]
) -> None:
    excerpt = excerpt_of(
        CompletionExample(text, ""), Place("prompt", span), secrets=[Place("prompt", secret) for secret in secrets]
    )
    assert excerpt is not None
    part = excerpt.parts[0]
    assert part.cut_before + len(part.text) + part.cut_after == len(text)
    assert all(0 <= start < end <= len(part.text) for start, end in part.marks)
    for first, last in secrets:
        start, end = max(first, 0), min(last, len(text))
        if 0 < end - start < 12:
            stretch = part.text[max(start - part.cut_before, 0) : max(end - part.cut_before, 0)]
            assert set(stretch) <= {"•"}
