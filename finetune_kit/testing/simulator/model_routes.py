"""The calls about models."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from finetune_kit.testing.simulator.desk import Desk
from finetune_kit.testing.simulator.refusals import Refusal
from finetune_kit.testing.simulator.wire import Call, Handler, Reply, json_answer, list_answer


class ModelRoutes:
    """`/models`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def handlers(self) -> Mapping[tuple[str, str], Handler]:
        """Each by its method and path."""
        found: dict[tuple[str, str], Handler] = {
            ("GET", "/models/{model}"): self.retrieve,
            ("DELETE", "/models/{model}"): self.delete,
        }
        if self._desk.flavour.lists_models:
            found["GET", "/models"] = self.list
        return found

    async def list(self, call: Call) -> Reply:  # noqa: ARG002 - it has no parameters
        """Base models and one's own."""
        with self._desk.lock:
            items = [orjson.dumps(one) for one in self._desk.models.listed(self._desk.now())]
        return list_answer(items, has_more=False)

    async def retrieve(self, call: Call) -> Reply:
        """One model."""
        name = call.names["model"]
        with self._desk.lock:
            self._desk.models.find(name, self._desk.now())
            return json_answer(self._desk.models.as_json(name))

    async def delete(self, call: Call) -> Reply:
        """Forget a fine-tuned model."""
        name = call.names["model"]
        with self._desk.lock:
            if name not in self._desk.models.bases:
                self._desk.models.find(name, self._desk.now())
            self._desk.models.delete(name)
        return json_answer({"id": name, "object": "model", "deleted": True})


def deployed(desk: Desk, name: str) -> str:
    """The model behind a deployment."""
    if name in desk.models.deployments:
        return desk.models.deployments[name]
    message = (
        "The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, "
        "please wait a moment and try again."
    )
    raise Refusal(404, message, kind=None, code="DeploymentNotFound")
