"""Text comes out token by token: never half a character, never a part of a stop sequence, or unlike the whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from finetune_kit.backends.local.writing import Alphabet, Writing

PLAIN = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
TEXTS = st.text(alphabet=st.sampled_from("ab c\n#。今天晚é👩\u200d🍳🇨🇳"), max_size=30)


@pytest.fixture(scope="module")
def alphabet(tiny_base: Path) -> Alphabet:
    made = Alphabet.of(AutoTokenizer.from_pretrained(tiny_base))
    assert made.written is not None
    return made


@pytest.fixture(scope="module")
def reread(alphabet: Alphabet) -> Alphabet:
    """The same tokenizer, read as one of which nothing is known."""
    return Alphabet(alphabet.tokenizer, None)


@pytest.fixture(scope="module")
def sentencepiece() -> Alphabet:
    """Word pieces with bytes for what they lack, as Llama 2 has them."""
    pieces = ["<unk>", "</s>", "▁", "▁a", "b", "▁the", "天", *(f"<0x{byte:02X}>" for byte in range(256))]
    tokenizer = Tokenizer(models.BPE(vocab={piece: number for number, piece in enumerate(pieces)}, merges=[]))
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    made = Alphabet.of(PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", unk_token="<unk>"))
    assert made.written is None
    return made


def whole(alphabet: Alphabet, tokens: list[int]) -> str:
    return str(alphabet.tokenizer.decode(tokens, skip_special_tokens=True))


def pieces(alphabet: Alphabet, tokens: list[int], stops: tuple[str, ...] = ()) -> tuple[list[str], Writing]:
    writing = Writing(alphabet, stops)
    found: list[str] = []
    for token in tokens:
        if writing.push(token):
            break
        found.append(writing.news())
    writing.end()
    found.append(writing.news())
    return found, writing


@PLAIN
@given(tokens=st.lists(st.integers(0, 299), max_size=40))
def test_any_tokens_give_what_the_tokenizer_makes_of_them_together(tokens: list[int], alphabet: Alphabet) -> None:
    found, writing = pieces(alphabet, tokens)
    assert "".join(found) == writing.text == whole(alphabet, tokens)


@PLAIN
@given(text=TEXTS)
def test_tokens_that_are_not_plainly_bytes_are_read_with_those_before(text: str, reread: Alphabet) -> None:
    tokens = reread.tokenizer.encode(text, add_special_tokens=False)
    found, writing = pieces(reread, tokens)
    assert "".join(found) == writing.text == text
    assert not any("\ufffd" in piece for piece in found)


@PLAIN
@given(tokens=st.lists(st.integers(2, 262), max_size=30))
def test_word_pieces_come_out_as_they_do_together(tokens: list[int], sentencepiece: Alphabet) -> None:
    valid = whole(sentencepiece, tokens)
    if "\ufffd" not in valid:
        found, writing = pieces(sentencepiece, tokens)
        assert "".join(found) == writing.text == valid


@PLAIN
@given(text=TEXTS, stops=st.lists(TEXTS.filter(bool), min_size=1, max_size=4))
def test_whatever_the_stops_the_text_ends_before_the_first_and_no_part_of_it_was_told(
    text: str, stops: list[str], alphabet: Alphabet
) -> None:
    tokens = alphabet.tokenizer.encode(text, add_special_tokens=False)
    found, writing = pieces(alphabet, tokens, tuple(stops))
    assert "".join(found) == writing.text
    if not writing.stopped:
        assert writing.text == text
        assert not any(stop in text for stop in stops)
        return
    after = text[len(writing.text) :]
    assert text.startswith(writing.text)
    assert any(after.startswith(stop) for stop in stops)
    assert not any(stop in writing.text for stop in stops)


@pytest.mark.parametrize("stop", ["晚上", "👩\u200d🍳", "上吃", "\n###", "é"])
def test_a_stop_in_any_script_is_found_across_tokens(stop: str, alphabet: Alphabet) -> None:
    text = f"今天 ok{stop}什么"
    tokens = alphabet.tokenizer.encode(text, add_special_tokens=False)
    found, writing = pieces(alphabet, tokens, (stop,))
    assert (writing.text, writing.stopped) == ("今天 ok", True)
    assert "".join(found) == "今天 ok"


def test_what_may_become_a_stop_is_held_back_and_told_when_it_does_not(alphabet: Alphabet) -> None:
    found, _ = pieces(alphabet, alphabet.tokenizer.encode("a##b", add_special_tokens=False), ("###",))
    assert found == ["a", "", "", "##b", ""]


def test_half_a_character_waits_for_the_other_half(alphabet: Alphabet) -> None:
    tokens = alphabet.tokenizer.encode("👍", add_special_tokens=False)
    assert len(tokens) == 4
    assert pieces(alphabet, tokens)[0] == ["", "", "", "👍", ""]


def test_half_a_character_at_the_end_is_told_as_such(alphabet: Alphabet) -> None:
    tokens = alphabet.tokenizer.encode("a👍", add_special_tokens=False)[:-1]
    assert pieces(alphabet, tokens)[1].text == whole(alphabet, tokens) == "a\ufffd"


def test_the_bytes_of_tokens_make_the_text(alphabet: Alphabet) -> None:
    tokens = alphabet.tokenizer.encode("今 é👍", add_special_tokens=False)
    assert b"".join(map(alphabet.as_bytes, tokens)).decode() == "今 é👍"
