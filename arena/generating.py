"""Workflow: responses that are missing, generated in small lots and stored as they come, so that it can be resumed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import NamedTuple

from sqlite_utils import Database

from arena.players import Generated as Answer
from arena.players import GenerationSettings, Player, Unfinished
from arena.progress import Say
from db.catalog import add_responses, get_model, prompts_of, prompts_without_response, responses_of
from db.connection import Home
from db.entities.catalog import Model, ModelKind, Prompt, Response
from db.errors import UserError
from training.settings import ModelFiles

LOT = 64
MOST_SAMPLES = 1000
"""responses of one model to one prompt"""


class Generated(NamedTuple):
    """How many responses each model wrote."""

    model: str
    written: int


def files_of(home: Home, model: Model) -> ModelFiles:
    """Where a checkpoint's weights lie, as a loader takes them; UserError for models without weights of their own."""
    if model.kind not in (ModelKind.CHECKPOINT, ModelKind.ADAPTER) or model.source is None:
        raise UserError(
            f"{model.name!r} has no weights here ({model.kind})", "name a checkpoint or an adapter model"
        )
    return ModelFiles(
        home.locate(model.source),
        home.locate(model.adapter) if model.adapter else None,
        model.quantize.value if model.quantize else None,
    )


def player_of(home: Home, model: Model, before: Player | None = None) -> Player:
    """The running thing behind a model. Loads its weights, or takes over the base of `before`, which is then of no use."""
    if model.kind is ModelKind.RECORDED:
        raise UserError(
            f"{model.name!r} is recorded: its responses were imported", "import more, or name another model"
        )
    if model.kind is ModelKind.ENDPOINT:
        from arena.players.endpoint import EndpointPlayer

        return EndpointPlayer(model.endpoint or "", model.remote_name or model.name)
    from arena.players.local import LocalPlayer

    files = files_of(home, model)
    if isinstance(before, LocalPlayer) and before.base == base_of(home, model):
        return LocalPlayer(files, before.give_base())
    return LocalPlayer(files)


def base_of(home: Home, model: Model) -> str:
    """What models that can share one base in memory have in common; empty for those without weights here."""
    if model.kind not in (ModelKind.CHECKPOINT, ModelKind.ADAPTER):
        return ""
    files = files_of(home, model)
    return f"{files.source} {files.quantize or ''}"


def settings_like(db: Database, model: str, otherwise: GenerationSettings) -> GenerationSettings:
    """The settings a model's stored responses were generated with, so that both sides of a battle share them.

    The first response that says how it was made decides; what it does not say, and the seed, are `otherwise`'s. Imported
    responses may say what no model here can do: then all is.
    """
    stored = next((r.settings for r in responses_of(db, model) if r.settings), {})
    try:
        return GenerationSettings(
            temperature=float(str(stored.get("temperature", otherwise.temperature))),
            top_p=float(str(stored.get("top_p", otherwise.top_p))),
            max_new_tokens=int(str(stored.get("max_new_tokens", otherwise.max_new_tokens))),
            seed=otherwise.seed,
            system=str(stored.get("system", otherwise.system)),
        )
    except (ValueError, UserError):
        return otherwise


def generate(
    home: Home,
    db: Database,
    models: Sequence[str],
    choice: str,
    settings: GenerationSettings,
    *,
    samples: int = 1,
    limit: int | None = None,
    say: Say = lambda _p, _m: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> list[Generated]:
    """Write the responses that are missing: `samples` of each model to each prompt of the choice (its first `limit`).

    What is written stays, also where this stops half-way, so running it again goes on. UserError where a model
    cannot answer, or when it is told to stop.
    """
    if not 1 <= samples <= MOST_SAMPLES:
        raise UserError(f"{samples} responses a prompt cannot be written", f"ask for 1 to {MOST_SAMPLES}")
    if not models:
        raise UserError("the list of models names no model", "name one or more, comma-separated")
    found = [get_model(db, name) for name in dict.fromkeys(models)]
    todo = [_missing(db, model, choice, samples, limit) for model in found]
    total, done = sum(map(len, todo)), 0
    player: Player | None = None
    # models over one base follow each other, so that it is loaded once
    in_turn = sorted(zip(found, todo, strict=True), key=lambda one: base_of(home, one[0]))
    for model, lacking in in_turn:
        if not lacking:
            continue
        say(done / total, f"loading {model.name}")
        player = player_of(home, model, player)
        for at in range(0, len(lacking), LOT):
            if should_stop():
                raise UserError(
                    f"stopped after {at} of {len(lacking)} responses of {model.name}", "run it again to go on"
                )
            lot = lacking[at : at + LOT]
            _write(db, model, player, lot, settings)
            done += len(lot)
            say(done / total, f"{at + len(lot)} of {len(lacking)} responses of {model.name}")
    return [Generated(model.name, len(lacking)) for model, lacking in zip(found, todo, strict=True)]


def _missing(
    db: Database, model: Model, choice: str, samples: int, limit: int | None
) -> list[tuple[Prompt, int]]:
    """(prompt, sample number) of each response a model still owes to the first prompts of a choice.

    By sample, then by length, so that a lot holds prompts of like length that are answered in one batch.
    """
    wanted = {p.id for p in prompts_of(db, choice)[:limit]}
    lacking = prompts_without_response(db, model.name, choice, samples)
    owed = [(p, sample) for p, there in lacking if p.id in wanted for sample in range(there, samples)]
    return sorted(owed, key=lambda one: (one[1], sum(len(m["content"]) for m in one[0].messages)))


def _write(
    db: Database,
    model: Model,
    player: Player,
    lot: Sequence[tuple[Prompt, int]],
    settings: GenerationSettings,
) -> None:
    """Generate and store one lot; each sample number has a seed of its own. What came before a failure is kept."""
    for sample in sorted({s for _, s in lot}):
        prompts = [p for p, s in lot if s == sample]
        drawn = replace(settings, seed=settings.seed + sample)
        made_by = asdict(drawn) | dict(player.made_by)
        failed: Unfinished | None = None
        try:
            answers: Mapping[int, Answer] = dict(
                enumerate(player.respond([p.messages for p in prompts], drawn))
            )
        except Unfinished as error:
            failed, answers = error, error.answers
        add_responses(db, [
            Response.of(prompts[i].id, model.name, a.text, sample=sample, finish_reason=a.finish_reason,
                        settings=made_by | {"tokens": a.tokens})
            for i, a in sorted(answers.items())
        ])  # fmt: skip
        if failed is not None:
            raise failed
