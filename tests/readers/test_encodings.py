"""Text is decoded rightly, or refused with the line and the offset; no character is ever replaced."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune_kit.errors import EncodingError, ParameterError
from finetune_kit.readers import read_csv
from finetune_kit.records import CompletionExample

CHINESE = [f"第{n}个问题,请问你们的客服电话是多少" for n in range(30)]
SAMPLES = {
    "gb18030": [*CHINESE, "生僻字𠮷和㐂也要读对"],
    "big5": ["請問你們的營業時間是幾點到幾點", "我的訂單什麼時候會送到", "謝謝您的來電,再見"] * 5,
    "cp932": ["営業時間を教えてください", "注文した商品はいつ届きますか", "ありがとうございました"] * 5,
    "cp949": ["영업시간이 어떻게 되나요", "주문한 상품은 언제 도착하나요", "감사합니다 안녕히 계세요"] * 5,
    "cp1252": [
        "Où est ma commande passée hier à Genève ?",
        "L’été dernier j’ai payé 20 € de trop",
        "Ça a déjà été réglé",
    ]
    * 5,
    "cp1251": ["Где мой заказ, который я сделал вчера", "Спасибо за помощь, до свидания", "Как вернуть товар"] * 5,
    "iso2022_jp_ext": ["営業時間を教えてください", "注文した商品はいつ届きますか", "ｶﾀｶﾅ and English"],
    "iso2022_kr": ["영업시간이 어떻게 되나요", "주문한 상품은 언제 도착하나요"],
    "hz": ["你们的营业时间是几点到几点", "我的订单什么时候会送到", "plain ~~ English"],
    "utf-8": CHINESE,
    "utf-16-le": CHINESE,
    "utf-16-be": CHINESE,
}
READ_AS = {"big5": "cp950"}


def table(texts: list[str]) -> str:
    return "prompt,completion\n" + "".join(f'"{text}","answer"\n' for text in texts)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "support.csv"


@pytest.mark.parametrize("encoding", SAMPLES)
def test_encoding_is_found(path: Path, encoding: str) -> None:
    path.write_bytes(table(SAMPLES[encoding]).encode(encoding))
    result = read_csv(path)
    assert list(result.rows) == [CompletionExample(text, "answer") for text in SAMPLES[encoding]]
    assert result.source.encoding == READ_AS.get(encoding, encoding)
    assert result.source.confidence is not None
    assert bool(result.source.notes) == (encoding != "utf-8")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_byte_order_mark_is_believed_and_taken_off(path: Path, encoding: str) -> None:
    path.write_bytes(table(CHINESE).encode(encoding))
    for named in (None, encoding):
        source = read_csv(path, encoding=named).source
        assert (source.bom, source.columns["prompt"], source.rows_read) == (True, "prompt", len(CHINESE))
        assert source.confidence == (None if named else 1.0)


@pytest.mark.parametrize("encoding", SAMPLES)
def test_named_encoding_is_used(path: Path, encoding: str) -> None:
    path.write_bytes(table(SAMPLES[encoding]).encode(encoding))
    assert len(read_csv(path, encoding=encoding).rows) == len(SAMPLES[encoding])


@pytest.mark.parametrize("order", ["utf-16-le", "utf-16-be"])
def test_utf16_named_without_its_order_is_found(path: Path, order: str) -> None:
    path.write_bytes(table(CHINESE).encode(order))
    source = read_csv(path, encoding="utf-16").source
    assert (source.encoding, source.rows_read) == (order, len(CHINESE))


def test_late_byte_is_found(path: Path) -> None:
    """A detector that reads a prefix calls this file ASCII with full confidence."""
    early = table(["where is my order"] * 100_000)
    path.write_bytes(early.encode() + "".join(f'"{text}",answer\n' for text in CHINESE).encode("gb18030"))
    result = read_csv(path)
    assert result.source.encoding == "gb18030"
    assert result.rows[-1] == CompletionExample(CHINESE[-1], "answer")


@pytest.mark.parametrize("text", ["~{a} is ~{b}", "a ~{foo bar~} b ~{lorem~}", "~{", "~{AB~}", "\x1b[1mbold\x1b[0m"])
def test_ascii_that_only_looks_like_an_escape_is_ascii(path: Path, text: str) -> None:
    path.write_text(table([text]), encoding="ascii")
    result = read_csv(path)
    assert (result.source.encoding, result.source.confidence) == ("utf-8", 1.0)
    assert list(result.rows) == [CompletionExample(text, "answer")]


def test_file_of_two_encodings_is_called_that_with_its_line(path: Path) -> None:
    early = table([CHINESE[0], *["where is my order"] * 5000])
    path.write_bytes(early.encode() + "".join(f'"{text}",answer\n' for text in CHINESE).encode("gb18030"))
    with pytest.raises(EncodingError, match=r"row 5003: .* put together of parts in different encodings"):
        read_csv(path)


def test_byte_that_does_not_fit_has_line_and_offset(path: Path) -> None:
    good = table(CHINESE).encode()
    path.write_bytes(good + b'"caf\xe9","answer"\n')
    with pytest.raises(
        EncodingError, match=rf"row 32: the byte 0xe9 at offset {len(good) + 4:,} does not fit utf-8"
    ) as caught:
        read_csv(path)
    assert caught.value.row == 32
    assert 'encoding="gb18030"' in str(caught.value)


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_byte_that_does_not_fit_the_named_encoding_has_its_line(path: Path, line_end: str) -> None:
    path.write_bytes(f"prompt,completion{line_end}a,b{line_end}caf".encode() + b"\xe9,c" + line_end.encode())
    with pytest.raises(EncodingError, match=r"row 3: the byte 0xe9 at offset"):
        read_csv(path, encoding="ascii")


def test_cut_utf16_is_refused_at_its_end(path: Path) -> None:
    path.write_bytes(table(CHINESE).encode("utf-16")[:-1])
    with pytest.raises(EncodingError, match="utf-16-le"):
        read_csv(path)


def test_thin_evidence_is_refused_with_the_way_out(path: Path) -> None:
    path.write_bytes(b"prompt,completion\na,b\nc,\xa9\n")
    with pytest.raises(EncodingError, match=r"row 3: the byte at offset 24 is not UTF-8.*cannot be told from 1 such"):
        read_csv(path)
    assert read_csv(path, encoding="cp1252").rows[1] == CompletionExample("c", "©")


def test_noise_is_refused(path: Path) -> None:
    path.write_bytes(bytes(range(1, 256)) * 20)
    with pytest.raises(EncodingError, match=r"support\.csv row \d+"):
        read_csv(path)


@pytest.mark.parametrize("encoding", ["klingon", "hex", "rot13", "", "utf\0-8"])
def test_unknown_encoding_is_refused(path: Path, encoding: str) -> None:
    path.write_text("prompt,completion\na,b\n", encoding="utf-8")
    with pytest.raises(ParameterError, match="not a text encoding") as caught:
        read_csv(path, encoding=encoding)
    assert caught.value.parameter == "encoding"


def test_stray_nul_does_not_make_a_file_utf16(path: Path) -> None:
    path.write_bytes(b"prompt,completion\na\0,b\nc,d\n")
    assert read_csv(path).source.encoding == "utf-8"
