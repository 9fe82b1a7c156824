"""Workflow: what the command line and the studio list and change by name: models, campaigns, seats, jobs."""

import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sqlite_utils import Database

from arena import jobs
from arena.demo import ensure_starter
from arena.generating import files_of
from arena.hosting import is_web_address
from db import campaigns, runs
from db.campaigns import coverage, get_campaign, list_campaigns
from db.catalog import add_model, find_model, get_prompt, get_response, list_models
from db.connection import Home, checked_name, transaction
from db.entities.campaigns import Campaign, CampaignSettings, CampaignStatus, Purpose
from db.entities.catalog import Message, Model, ModelKind, Quantize
from db.entities.runs import Job
from db.errors import Conflict, UserError
from db.queueing import queue
from labeling.scanning import Ahead, as_served, read_ahead, scan
from training.merging import MergeReport
from training.starter import STARTER_MODELS

ADAPTER_CONFIG = "adapter_config.json"
HUB_ID = re.compile(r"[A-Za-z0-9_][\w.-]*/[\w.-]+")

# -- models ----------------------------------------------------------------------------------------------------


def add(
    db: Database, name: str, *, source: str | None = None, adapter: str | None = None, quantize: str | None = None,
    endpoint: str | None = None, remote_name: str | None = None, recorded: bool = False,
) -> Model:  # fmt: skip
    """Register a model: a checkpoint, a checkpoint plus an adapter, an endpoint, or recorded responses."""
    if (source is not None) + (endpoint is not None) + recorded != 1:
        raise UserError(
            "a model is one of a --source, an --endpoint, or --recorded", "give exactly one of the three"
        )
    if source is None and (adapter or quantize):
        raise UserError("only weights take an --adapter or --quantize", "give them with a --source")
    if remote_name and endpoint is None:
        raise UserError("--remote-name is a model's name on a server", "give it with an --endpoint")
    if endpoint is not None:
        if not remote_name:
            raise UserError("an endpoint needs the model's name on its server",
                            "give --endpoint http(s)://.../v1 --remote-name ID")  # fmt: skip
        _check_address(endpoint)
        return add_model(db, name, ModelKind.ENDPOINT, endpoint=endpoint, remote_name=remote_name)
    if source is None:
        return add_model(db, name, ModelKind.RECORDED)
    kind = ModelKind.ADAPTER if adapter else ModelKind.CHECKPOINT
    return add_model(db, name, kind, source=weights_at(source, "config.json"),
                     adapter=weights_at(adapter, ADAPTER_CONFIG) if adapter else None,
                     quantize=Quantize(quantize) if quantize else None)  # fmt: skip


def _check_address(endpoint: str) -> None:
    """UserError unless this is the address of a server, without a key: lists and logs show it."""
    if not is_web_address(endpoint):
        raise UserError(
            f"{endpoint!r} is no address of a server", "give one such as --endpoint http://host:8000/v1"
        )
    if "@" in urlsplit(endpoint).netloc:
        raise UserError("an endpoint's address holds no name or password, since lists of models show it",
                        "leave them out, and give the key as TASTEBENCH_API_KEY")  # fmt: skip


def weights_at(source: str, config: str) -> str:
    """A folder that holds the config file as an absolute path, a hub id (owner/name) as it is; UserError."""
    path = Path(source).expanduser()
    if path.is_dir():
        if not (path / config).is_file():
            raise UserError(f"{path} holds no {config}",
                            "name the folder that save_pretrained wrote; an adapter goes with --adapter")  # fmt: skip
        return str(path.resolve())
    if not HUB_ID.fullmatch(source):
        raise UserError(
            f"there is no folder {source!r}", "give an existing checkpoint folder, or a hub id owner/name"
        )
    return source


def register(db: Database, source: str) -> str:
    """The name of a registered model; or of a checkpoint, an adapter folder or a hub id, registered by its last part.

    Where that name stands for another model already, it gets a number.
    """
    if find_model(db, source) is not None or source in STARTER_MODELS:
        return ensure_starter(db, source).name
    path = Path(source).expanduser()
    adapter = source if (path / ADAPTER_CONFIG).is_file() else None
    base = _base_of(path) if adapter else source
    stem = path.resolve().name if path.is_dir() else source.rpartition("/")[2]
    for name in (stem, *(f"{stem}-{n}" for n in range(2, 100))):
        try:
            return add(db, name, source=base, adapter=adapter).name
        except Conflict:  # another model of this name: take the next
            continue
    raise Conflict(f"there are many models named {stem!r} already", "register it with `models add NAME`")


def _base_of(adapter: Path) -> str:
    """The checkpoint an adapter folder says it was trained over."""
    config = adapter / ADAPTER_CONFIG
    try:
        base = json.loads(config.read_text(encoding="utf-8")).get("base_model_name_or_path")
    except ValueError:
        raise UserError(f"{config} is not JSON", "save the adapter again") from None
    if not base:
        raise UserError(
            f"{config} names no base model", "add it with `models add NAME --source BASE --adapter DIR`"
        )
    return str(base)


def listing(db: Database) -> list[dict[str, object]]:
    """The models as `models list` shows them."""
    names = {r.id: r.name for r in runs.list_runs(db)}
    first = runs.champion(db)
    return [
        {"name": m.name, "kind": m.kind.value, "parent": m.parent, "run": names.get(m.run or 0),
         "champion": m.name == first, "note": m.note}
        for m in list_models(db)
    ]  # fmt: skip


def merge(home: Home, db: Database, name: str, merged_name: str, mode: str) -> MergeReport:
    """Merge an adapter model into a standalone checkpoint and register it, once its outputs are proven the same."""
    from training.merging import merge as run

    model = ensure_starter(db, name)
    if find_model(db, checked_name(merged_name, "model")) is not None:
        raise Conflict(f"there is already a model named {merged_name!r}", "choose another name with --as")
    folder = home.runs / merged_name
    report = run(files_of(home, model), folder, mode)
    add_model(db, merged_name, ModelKind.CHECKPOINT, source=home.relative(folder), parent=name,
              note=f"{name}, merged ({mode})")  # fmt: skip
    return report


# -- campaigns -------------------------------------------------------------------------------------------------


class NothingToCompare(UserError):
    """No prompt of the choice has two different responses."""


def compare(
    db: Database, name: str, models: Sequence[str], prompts: str, settings: CampaignSettings, *,
    status: CampaignStatus = CampaignStatus.OPEN, parent_run: int | None = None, lineage: int | None = None,
    demo: str | None = None, ahead: Ahead | None = None,
) -> campaigns.Created:  # fmt: skip
    """Create a campaign that has at least one battle; NothingToCompare leaves nothing behind.

    Its battles are looked at before the transaction; who calls this in one hands over what was read `ahead` of it.
    """
    ahead = ahead or read_ahead(db, models, prompts, settings.purpose)
    with transaction(db):
        made = campaigns.create_campaign(db, name, models, prompts, settings, status=status,
                                         parent_run=parent_run, lineage=lineage, demo=demo)  # fmt: skip
        if made.battles == 0:
            heldout = " among the held-out ones" if settings.purpose is Purpose.EVALUATE else ""
            raise NothingToCompare(
                f"no prompt of {prompts!r}{heldout} has two different responses of {' and '.join(models)} to compare",
                "import responses, or write them with `generate` (or `campaign create --generate`)",
            )
        scan(db, made.campaign.id, ahead)
    return made


def campaign_row(db: Database, campaign: Campaign) -> dict[str, object]:
    """A campaign as `campaign list` shows it."""
    covered = coverage(db, campaign)
    return {
        "name": campaign.name, "models": list(campaign.models), "status": campaign.status.value,
        "purpose": campaign.settings.purpose.value,
        "parent_run": runs.run_by_id(db, campaign.parent_run).name if campaign.parent_run else None,
        "prompts": campaign.prompts, "overlap": campaign.settings.overlap,
        "battles": covered.battles + covered.held, "held": covered.held,
        "votes": covered.votes, "wanted": covered.wanted, "demo": campaign.demo,
    }  # fmt: skip


def campaign_listing(db: Database) -> list[dict[str, object]]:
    """Every campaign as `campaign list` shows it."""
    return [campaign_row(db, c) for c in list_campaigns(db)]


@dataclass(frozen=True, slots=True)
class PreviewedBallot:
    """A ballot as a rater would read it, models unnamed."""

    prompt: tuple[Message, ...]
    left: str
    right: str


def preview(db: Database, name: str, n: int) -> list[PreviewedBallot]:
    """The first ballots of a campaign."""
    chosen = get_campaign(db, name)
    found = []
    for battle in campaigns.battles_of(db, chosen.id, n):
        texts = (get_response(db, battle.response_a).text, get_response(db, battle.response_b).text)
        left, right = as_served(db, chosen, battle.id, *texts)
        found.append(PreviewedBallot(get_prompt(db, battle.prompt).messages, left, right))
    return found


def preview_lines(ballots: Sequence[PreviewedBallot]) -> list[str]:
    """The same in plain text."""
    lines: list[str] = []
    for ballot in ballots:
        lines += [f"[{m['role']}] {m['content']}" for m in ballot.prompt]
        lines += [f"  left  | {ballot.left}", f"  right | {ballot.right}", ""]
    return lines


# -- jobs ------------------------------------------------------------------------------------------------------


def job_listing(db: Database) -> list[dict[str, object]]:
    """The jobs as `jobs list` shows them."""
    jobs.reconcile(db)
    order = queue(db)
    return [
        {"id": j.id, "name": _called(j.command), "command": jobs.shown(j.command), "status": j.status.value,
         "place": order.index(j.id) + 1 if j.id in order else None, "progress": j.progress,
         "message": j.message, "created_at": j.created_at, "finished_at": j.finished_at}
        for j in runs.list_jobs(db)
    ]  # fmt: skip


def _called(command: Sequence[str]) -> str:
    """A job by what it does: the words of its command before the first option."""
    return " ".join(itertools.takewhile(lambda word: not word.startswith("-"), command))


def resume_job(home: Home, db: Database, job_id: int) -> Job:
    """Start the command of a finished job again; a training that has no model yet goes on where it was."""
    return jobs.begin(home, jobs.directly(db), enter_again(home, db, job_id))


def enter_again(home: Home, db: Database, job_id: int) -> Job:
    """Write the command of a finished job down once more, for `jobs.begin` to start."""
    jobs.reconcile(db)
    job = runs.get_job(db, job_id)
    if not job.status.over:
        raise Conflict(f"job {job_id} is {job.status}", f"wait, or cancel it with `jobs cancel {job_id}`")
    return jobs.enter(home, db, jobs.again(db, job))
