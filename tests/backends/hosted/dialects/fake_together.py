"""A fake of Together: `/v1/fine-tunes`, files in three steps, models as OpenAI has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from finetune_kit.backends import JobState
from tests.backends.hosted.dialects.fake_host import FakeHost, form_of, state_of
from tests.backends.hosted.scripted_host import Asked, Says

STATUSES = {
    "queued": "pending",
    "validating_files": "queued",
    "running": "running",
    "succeeded": "completed",
    "failed": "user_error",
    "cancelled": "cancelled",
}
_NEEDED = (
    "training_file",
    "n_epochs",
    "batch_size",
    "learning_rate",
    "n_checkpoints",
    "lr_scheduler",
    "training_method",
)
_MOST_EPOCHS = 20


@dataclass
class FakeTogether(FakeHost):
    routes: tuple[tuple[str, str, str], ...] = (
        ("POST", "/v1/files", "reserve"),
        ("PUT", "/storage/(.+)", "store"),
        ("POST", "/v1/files/([^/]+)/preprocess", "finish"),
        ("GET", "/v1/files", "list_files"),
        ("GET", "/v1/files/([^/]+)", "get_file"),
        ("GET", "/v1/files/([^/]+)/content", "get_content"),
        ("DELETE", "/v1/files/([^/]+)", "delete_file"),
        ("GET", "/v1/fine-tunes/models/limits", "limits"),
        ("POST", "/v1/fine-tunes", "create"),
        ("GET", "/v1/fine-tunes", "list_jobs"),
        ("GET", "/v1/fine-tunes/([^/]+)", "get_job"),
        ("GET", "/v1/fine-tunes/([^/]+)/events", "events"),
        ("GET", "/v1/fine-tunes/([^/]+)/checkpoints", "checkpoints"),
        ("GET", "/v1/fine-tunes/([^/]+)/metrics", "metrics"),
        ("POST", "/v1/fine-tunes/([^/]+)/cancel", "cancel"),
        ("POST", "/v1/chat/completions", "chat"),
        ("POST", "/v1/completions", "complete"),
    )
    store_url: str = ""
    """Where files go; set when the address is known."""
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    processing: str = "COMPLETED"
    longest_suffix: int = 64

    def checked(self, asked: Asked) -> Says | None:
        if asked.path.startswith("/storage/"):
            assert asked.headers.get("authorization") is None, "the store must not see the key"
            return None
        return super().checked(asked)

    def reserve(self, asked: Asked) -> Says:
        fields = {name: content.decode() for name, (_, content) in form_of(asked).items()}
        if fields.get("purpose") != "fine-tune":
            return self.refusal(400, "Unable to save the file - invalid purpose specified")
        assert fields["file_type"] == "jsonl"
        file_id = f"file-{len(self.files) + 1}"
        self.files[file_id] = {"filename": fields["file_name"], "content": None, "ready": False}
        host = asked.headers["host"]
        return Says(
            None,
            302,
            {"location": f"http://{host}/storage/{file_id}?X-Amz-Signature=5ecret", "x-together-file-id": file_id},
        )

    def store(self, asked: Asked, file_id: str) -> Says:
        assert asked.query["X-Amz-Signature"] == ["5ecret"]
        assert asked.headers.get("transfer-encoding") is None, "a store like S3 takes no chunks"
        self.files[file_id]["content"] = asked.body
        return Says(b"", 200)

    def finish(self, asked: Asked, file_id: str) -> Says:
        file = self.files.get(file_id)
        if file is None or file["content"] is None:
            return self.refusal(404, f"file not found: {file_id}")
        file["ready"] = True
        file["inner"] = self.keep(file["content"], file["filename"])
        return Says(self._file(file_id))

    def list_files(self, asked: Asked) -> Says:
        return Says({"data": [self._file(file_id) for file_id, file in self.files.items() if file["ready"]]})

    def get_file(self, asked: Asked, file_id: str) -> Says:
        return Says(self._file(file_id)) if file_id in self.files else self.refusal(404, f"file not found: {file_id}")

    def get_content(self, asked: Asked, file_id: str) -> Says:
        if file_id not in self.files:
            return self.refusal(404, f"file not found: {file_id}")
        return Says(self.files[file_id]["content"], content_type="application/binary")

    def delete_file(self, asked: Asked, file_id: str) -> Says:
        if self.files.pop(file_id, None) is None:
            return self.refusal(404, f"file not found: {file_id}")
        return Says({"id": file_id, "deleted": True})

    def _file(self, file_id: str) -> dict[str, object]:
        file = self.files[file_id]
        return {
            "id": file_id,
            "object": "file",
            "created_at": 1732573871 + int(file_id.removeprefix("file-")),
            "filename": file["filename"],
            "bytes": len(file["content"] or b""),
            "purpose": "fine-tune",
            "FileType": "jsonl",
            "processing_status": self.processing,
        }

    def limits(self, asked: Asked) -> Says:
        [model] = asked.query["model_name"]
        if model not in self.bases:
            return Says({"message": f"{model} is not supported for fine-tuning"})
        return Says({"model_name": model, "max_num_epochs": _MOST_EPOCHS, "lora_training": {"max_rank": 64}})

    def create(self, asked: Asked) -> Says:
        body: Any = asked.json
        missing = [key for key in _NEEDED if not body.get(key)]
        if missing or not isinstance(body["training_method"], dict) or not isinstance(body["lr_scheduler"], dict):
            return self.refusal(400, f"Could not create the FineTune object (Binding): {missing}")
        model = body.get("model") or body.get("from_checkpoint")
        if model not in self.bases and model not in self.models:
            return self.refusal(400, f"model {model} is not supported")
        if not 1 <= body["n_epochs"] <= _MOST_EPOCHS:
            return self.refusal(400, f"number of epochs must be between 1 and {_MOST_EPOCHS}")
        if len(body.get("suffix") or "") > self.longest_suffix:
            return self.refusal(400, f"suffix must be at most {self.longest_suffix} characters")
        files = [body["training_file"], body.get("validation_file")]
        unknown = [one for one in files if one and one not in self.files]
        if unknown:
            return self.refusal(400, f"training file not found: {unknown[0]}")
        training, validation = (one and self.files[one]["inner"] for one in files)
        state = self.begin(model, training, validation, body["n_epochs"], body.get("suffix"))
        number = len(self.jobs) + 1
        job_id = f"ft-{number:04x}"
        output = f"acme/{model.partition('/')[2]}-{body['suffix']}-{number:08x}"
        self.jobs[job_id] = {**body, "model": body.get("model"), "inner": state.id, "output": output}
        return Says(self._job(job_id, look=False))

    def list_jobs(self, asked: Asked) -> Says:
        return Says({"data": [self._job(job_id, look=False) for job_id in self.jobs]})

    def get_job(self, asked: Asked, job_id: str) -> Says:
        if job_id not in self.jobs:
            return self.refusal(404, "fine-tune job not found")
        told = self._job(job_id, look=True)
        return Says({**told, "events": self._events(job_id), "steps_completed": 1})

    def cancel(self, asked: Asked, job_id: str) -> Says:
        if job_id not in self.jobs:
            return self.refusal(404, "fine-tune job not found")
        job = self.jobs[job_id]
        if state_of(self, job, look=False).finished:
            return self.refusal(400, "job cannot be cancelled")
        self.memory.cancel(job["inner"])
        return Says(self._job(job_id, look=False))

    def events(self, asked: Asked, job_id: str) -> Says:
        if job_id not in self.jobs:
            return self.refusal(404, "fine-tune job not found")
        return Says({"data": self._events(job_id)})

    def checkpoints(self, asked: Asked, job_id: str) -> Says:
        if job_id not in self.jobs:
            return self.refusal(404, "fine-tune job not found")
        state = state_of(self, self.jobs[job_id], look=False)
        if state.status != "succeeded":
            return Says({"data": []})
        last = int(self.measured(state)[-1]["step"])
        told = {"step": last, "checkpoint_type": f"Final (step {last})", "path": "s3://…"}
        return Says({"data": [{**told, "created_at": _moment(state, "finished_at")}]})

    def metrics(self, asked: Asked, job_id: str) -> Says:
        state = state_of(self, self.jobs[job_id], look=False)
        rows = self.measured(state) if state.result_files else []
        words = {"train_loss": "train/loss", "valid_loss": "eval/loss", "step": "train/global_step"}
        return Says({"metrics": [{words.get(key, f"train/{key}"): one for key, one in row.items()} for row in rows]})

    def _events(self, job_id: str) -> list[dict[str, object]]:
        return [
            {
                "object": "fine-tune-event",
                "created_at": event.created_at.isoformat().replace("+00:00", "Z"),
                "message": event.message,
                "type": "job_error" if event.level == "error" else "job_pending",
                "level": {"warn": "warning"}.get(event.level, event.level),
                "step": event.data.get("step"),
            }
            for event in self.memory.events(self.jobs[job_id]["inner"])
        ]

    def _job(self, job_id: str, *, look: bool) -> dict[str, object]:
        job: Mapping[str, Any] = self.jobs[job_id]
        state = state_of(self, job, look=look)
        if state.fine_tuned_model is not None:
            self.models[job["output"]] = state.fine_tuned_model
        kept = ("training_file", "validation_file", "model", "suffix", "n_epochs", "learning_rate", "random_seed")
        return {
            **{key: job.get(key) for key in kept},
            "from_checkpoint": job.get("from_checkpoint"),
            "id": job_id,
            "user_id": "user-1",
            "batch_size": 8 if job["batch_size"] == "max" else job["batch_size"],
            "status": STATUSES[state.status],
            "created_at": _moment(state, "created_at"),
            "updated_at": _moment(state, "finished_at" if state.finished else "created_at"),
            "model_output_name": job["output"],
            "token_count": state.trained_tokens,
            "progress": {"estimate_available": state.status == "running", "seconds_remaining": 60},
        }


def _moment(state: JobState, name: str) -> str:
    return str(getattr(state, name).isoformat().replace("+00:00", "Z"))
