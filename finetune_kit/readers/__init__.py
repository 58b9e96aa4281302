"""Readers of files and records, siblings of one shape: a source goes in, a `ReadResult` comes out."""

from finetune_kit.readers.delimited import read_csv
from finetune_kit.readers.detection import read_file
from finetune_kit.readers.intake import ReadResult
from finetune_kit.readers.json_document import read_json
from finetune_kit.readers.jsonl import read_jsonl
from finetune_kit.readers.records import read_records
from finetune_kit.readers.sheets import read_xlsx
from finetune_kit.readers.tables import read_table
from finetune_kit.readers.text import read_text

__all__ = [
    "ReadResult",
    "read_csv",
    "read_file",
    "read_json",
    "read_jsonl",
    "read_records",
    "read_table",
    "read_text",
    "read_xlsx",
]
