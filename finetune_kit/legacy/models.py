"""`Model` and `Engine`: what can be trained and called."""

from __future__ import annotations

from typing import Unpack

from finetune_kit.legacy.asynchronous import in_thread
from finetune_kit.legacy.calling import old_call
from finetune_kit.legacy.error import InvalidRequestError
from finetune_kit.legacy.replies import Reply, id_of, listed
from finetune_kit.legacy.settings import Connection, Transport, connection
from finetune_kit.legacy.starting import all_jobs


@old_call("Model.list")
def _list(**call: Unpack[Transport]) -> Reply:
    """The base models of the backend, and what was fine-tuned there."""
    at = connection(call)
    tuned = [(one.fine_tuned_model, one.model, int(one.created_at.timestamp())) for one in all_jobs(at)]
    replies = [_model(at, name, name, 0) for name in at.backend.profile.models]
    replies += [_model(at, name, root, created) for name, root, created in tuned if name is not None]
    return listed(replies)


@old_call("Model.retrieve")
def _retrieve(id: object, **call: Unpack[Transport]) -> Reply:  # noqa: A002 - its name
    """A model, by the name it is called by."""
    at, name = connection(call), id_of(id, "id")
    card = at.backend.card(name)
    created = 0 if card.created_at is None else int(card.created_at.timestamp())
    return _model(at, name, card.base, created)


@old_call("Model.delete")
def _delete(sid: object, **call: Unpack[Transport]) -> Reply:  # noqa: ARG001 - its names
    """Refused: no backend deletes models."""
    raise InvalidRequestError(
        f"{id_of(sid, 'sid')} is not deleted: models cannot be deleted from here. At a host, delete them in its "
        "console; the engine on this machine keeps its models under the home folder.",
        param="sid",
    )


def _model(at: Connection, name: str, root: str, created: int) -> Reply:
    owner = at.backend.profile.name
    return Reply(id=name, object="model", created=created, owned_by=owner, permission=[], root=root, parent=None)


@old_call("Engine.list")
def _list_engines(**call: Unpack[Transport]) -> Reply:
    """The same under their name of 2021."""
    return listed([_engine(model) for model in _list(**call).data])


@old_call("Engine.retrieve")
def _retrieve_engine(id: object, **call: Unpack[Transport]) -> Reply:  # noqa: A002 - its name
    """The same under its name of 2021."""
    return _engine(_retrieve(id, **call))


def _engine(model: Reply) -> Reply:
    return Reply(id=model.id, object="engine", owner=model.owned_by, ready=True)


class Model:
    """Base models and fine-tuned ones."""

    list, alist = staticmethod(_list), staticmethod(in_thread(_list))
    retrieve, aretrieve = staticmethod(_retrieve), staticmethod(in_thread(_retrieve))
    delete, adelete = staticmethod(_delete), staticmethod(in_thread(_delete))


class Engine:
    """Models under their name of 2021."""

    list, alist = staticmethod(_list_engines), staticmethod(in_thread(_list_engines))
    retrieve, aretrieve = staticmethod(_retrieve_engine), staticmethod(in_thread(_retrieve_engine))
