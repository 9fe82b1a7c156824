"""Workflow: a model sent to a hub with its card, so that others can load it there."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from sqlite_utils import Database

from arena.demo import ensure_starter
from arena.generating import files_of
from arena.modelcards import CARD, card, hub_id, write
from db.catalog import list_models
from db.connection import Home
from db.entities.catalog import Model, ModelKind
from db.errors import UserError
from labeling.hub import check_push, push_model
from training.folders import MARKER


class Pushed(NamedTuple):
    """Where a model went."""

    model: str
    what: str
    address: str
    private: bool


def push(
    db: Database, home: Home, name: str, repo: str, *, what: str | None = None, base: str | None = None, public: bool = False
) -> Pushed:  # fmt: skip
    """Send a model with a fresh card to a model repository on a hub, made where missing; private unless `public`.

    what: `adapter` or `merged`; a whole checkpoint goes as it is. base: the hub id of an adapter's base where that is a
    folder here. UserError, with nothing sent, where it cannot be.
    """
    check_push(repo)
    model = _to_push(db, ensure_starter(db, name), what)
    folder = Path(files_of(home, model).adapter or files_of(home, model).source)
    if not folder.is_dir():
        raise UserError(f"{model.name} is {folder} on a hub already", "push a model that was made here")
    with TemporaryDirectory(prefix="tastebench-push-") as aside:
        staged = Path(aside) / "model"
        staged.mkdir()
        _stage(folder, staged)
        if model.kind is ModelKind.ADAPTER:
            _name_base(staged, base or hub_id(home, model.source), model)
        text = card(db, home, model.name).replace("THIS_FOLDER", repo)
        (staged / CARD).write_text(text, encoding="utf-8")
        address = push_model(staged, repo, public=public)
    write(db, home, model.name)
    return Pushed(
        model.name, "adapter" if model.kind is ModelKind.ADAPTER else "checkpoint", address, not public
    )


def _to_push(db: Database, model: Model, what: str | None) -> Model:
    """The model that is meant: itself, or the newest merge of it."""
    if what == "adapter" and model.kind is not ModelKind.ADAPTER:
        raise UserError(
            f"{model.name} is no adapter ({model.kind})", "leave --what out, or say --what merged"
        )
    if what != "merged" or model.kind is ModelKind.CHECKPOINT:
        return model
    found = [
        m for m in list_models(db) if m.parent == model.name and m.note.startswith(f"{model.name}, merged (")
    ]
    if not found:
        raise UserError(
            f"{model.name} is not merged yet", f"run `merge {model.name} --as {model.name}-merged` first"
        )
    return found[-1]


def _stage(folder: Path, staged: Path) -> None:
    """The files of a model by links, so that what is sent can differ in a line; the marker stays here."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        inner = path.relative_to(folder)
        if inner.name not in (MARKER, CARD):
            (staged / inner).parent.mkdir(parents=True, exist_ok=True)
            (staged / inner).symlink_to(path.resolve())


def _name_base(staged: Path, base: str | None, model: Model) -> None:
    """Say in the adapter's own file which base it belongs to, by an id that others can load."""
    if base is None:
        raise UserError(
            f"the base of {model.name} is a folder on this machine, so nobody else could load the adapter",
            "push the merged model with --what merged, or name the base's hub id with --base",
        )
    config = staged / "adapter_config.json"
    stored = json.loads(config.read_text(encoding="utf-8"))
    config.unlink()
    config.write_text(
        json.dumps(stored | {"base_model_name_or_path": base}, indent=2) + "\n", encoding="utf-8"
    )
