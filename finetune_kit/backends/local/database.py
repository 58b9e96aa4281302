"""The SQLite database of one home: its schema, version by version."""

from __future__ import annotations

from finetune_kit._database import Database, Schema
from finetune_kit.backends.local.home import Home

_FIRST = """
CREATE TABLE IF NOT EXISTS files (
    id TEXT PRIMARY KEY, sha256 TEXT NOT NULL, bytes INTEGER NOT NULL, filename TEXT NOT NULL, purpose TEXT NOT NULL,
    created_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, status TEXT NOT NULL, model TEXT NOT NULL, spec TEXT NOT NULL, wish TEXT NOT NULL DEFAULT '',
    created_at REAL NOT NULL, finished_at REAL, fine_tuned_model TEXT, error_code TEXT, error_message TEXT,
    trained_tokens INTEGER, step INTEGER, total_steps INTEGER, seconds_left REAL, attempts INTEGER NOT NULL DEFAULT 0,
    attempts_step INTEGER NOT NULL DEFAULT -1, heartbeat_at REAL, result_file TEXT);
CREATE INDEX IF NOT EXISTS jobs_by_status ON jobs (status, created_at);
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, job_id TEXT NOT NULL REFERENCES jobs (id),
    created_at REAL NOT NULL, level TEXT NOT NULL, type TEXT NOT NULL, message TEXT NOT NULL, data TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS events_by_job ON events (job_id, seq);
CREATE TABLE IF NOT EXISTS checkpoints (
    id TEXT PRIMARY KEY, job_id TEXT NOT NULL REFERENCES jobs (id), name TEXT UNIQUE NOT NULL, step INTEGER NOT NULL,
    created_at REAL NOT NULL, metrics TEXT NOT NULL, UNIQUE (job_id, step));
CREATE TABLE IF NOT EXISTS models (
    name TEXT PRIMARY KEY, job_id TEXT NOT NULL, folder TEXT NOT NULL, card TEXT NOT NULL, created_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS spawns (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), spawned_at REAL NOT NULL);
"""
_NUMBERS = """
ALTER TABLE jobs ADD COLUMN dtype TEXT;
ALTER TABLE jobs ADD COLUMN threads INTEGER;
"""
"""What a job computes with, fixed when it first starts."""
_WORKER = """
CREATE TABLE IF NOT EXISTS worker (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1), pid INTEGER NOT NULL, mark TEXT NOT NULL, beat_at REAL NOT NULL);
"""
"""The process that holds the training lock, or held it last."""
SCHEMA = Schema(migrations=(_FIRST, _NUMBERS, _WORKER), moved_away="models stay in their folders.")


def open_database(home: Home) -> Database:
    """The one of this home: created if it is not there, and brought up to date if an earlier version wrote it."""
    return Database(home.database, SCHEMA)
