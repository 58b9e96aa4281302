"""Readers of files and records, siblings of one shape: a source goes in, a `ReadResult` comes out."""

from finetune_kit.readers.delimited import read_csv
from finetune_kit.readers.intake import ReadResult
from finetune_kit.readers.jsonl import read_jsonl
from finetune_kit.readers.records import read_records

__all__ = ["ReadResult", "read_csv", "read_jsonl", "read_records"]
