"""Write README.md's table of settings from the command line and the list below: `python -m docs.make_settings`.

A test keeps it true, and finds variables of the environment that the program reads and this file does not know.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click

TARGET = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- settings: made by python -m docs.make_settings -->", "<!-- end of settings -->"


class Setting(NamedTuple):
    """A row: an option, a variable of the environment, or both by which the same is said."""

    flag: str
    variable: str
    default: str
    what: str


# Variables that no option says: what the program itself reads, then what its libraries do.
READ = (
    Setting("", "TASTEBENCH_METRICS_TOKEN", "none", "Lets Prometheus read `/metrics` with this bearer token"),
    Setting("", "TASTEBENCH_API_KEY_HOST", "none", "Key for the server of models with this host, such as TASTEBENCH_API_KEY_API_EXAMPLE_COM"),
    Setting("", "TASTEBENCH_API_KEY, OPENAI_API_KEY", "none", "Key for every other server of models"),
    Setting("", "TASTEBENCH_ENDPOINT_TIMEOUT, TASTEBENCH_ENDPOINT_TRIES", "120, 4", "Seconds that an answer of such a server may take, and how often it is asked"),
    Setting("", "TASTEBENCH_ENDPOINT_AT_ONCE, TASTEBENCH_ENDPOINT_PER_MINUTE, TASTEBENCH_ENDPOINT_TOKENS", "8, no limit, no limit",
            "Requests to it at once and a minute, tokens in all"),
    Setting("", "CUDA_VISIBLE_DEVICES", "every GPU", "The GPUs that trainings and players may use"),
    Setting("", "OMP_NUM_THREADS", "all cores but one", "Threads of a job"),
    Setting("", "TENSORBOARD_LOGGING_DIR, TRACKIO_DIR, WANDB_DIR, WANDB_PROJECT", "in the run's folder; tastebench", "Where `report_to` writes"),
    Setting("", "SPACE_ID, SPACE_HOST", "set by the place", "A Hugging Face Space: host, public address and frame follow from them"),
)  # fmt: skip
LIBRARIES = (
    Setting("", "HF_TOKEN", "what `hf auth login` kept", "Token for the hub: private models, pushes, `--keep-in`"),
    Setting("", "HF_HOME, HF_ENDPOINT, HF_HUB_OFFLINE", "of huggingface_hub", "Its cache, its address, and 1 for never asking it"),
    Setting("", "SSL_CERT_FILE", "of the system", "Certificates of a house's own, for webhooks and servers of models"),
)  # fmt: skip
INTERNAL = frozenset({
    "TASTEBENCH_JOB", "TASTEBENCH_ASKED_BY", "TASTEBENCH_DEVICES", "RANK", "WORLD_SIZE", "ACCELERATE_USE_CPU", "TQDM_DISABLE",
    "GRADIO_ANALYTICS_ENABLED", "GRADIO_ANALYTICS_CACHE_FREQUENCY", "GRADIO_ANALYTICS_MAX_EVENTS", "HF_HUB_DISABLE_TELEMETRY",
    "DISPLAY", "WAYLAND_DISPLAY", "ARROW_DEFAULT_MEMORY_POOL",
})  # fmt: skip
"""what the program sets for its own child processes and libraries, and the screen it looks for: nothing to set"""


def settings() -> list[Setting]:
    """Every setting: the options before the verb, those of `serve`, and what is said by the environment only."""
    import launch

    found = [*_options(launch.cli), *_options(launch.cli.commands["serve"])]
    return [*found, *READ, *LIBRARIES]


def _options(command: click.Command) -> Iterator[Setting]:
    for option in command.params:
        assert isinstance(option, click.Option)
        words = (option.help or "").rstrip(".")
        said = re.search(r" \(default: (.*)\)$", words)
        default = said[1] if said else _text(option.default)
        flag = "/".join([*option.opts, *option.secondary_opts])
        yield Setting(flag, str(option.envvar or ""), default, words[: said.start()] if said else words)


def _text(default: object) -> str:
    """An option's own default in a cell; nothing where it has none."""
    return str(default) if isinstance(default, str | int | float) and default != "" else ""


def table() -> str:
    """The rows in Markdown, between the marks."""
    rows = ["| flag | environment | default | what |", "|---|---|---|---|"]
    for s in settings():
        flag = f"`{s.flag}`" if s.flag else ""
        variables = ", ".join(f"`{v}`" for v in s.variable.split(", ") if v)
        rows.append(
            "".join(f"| {cell} ".replace("  ", " ") for cell in (flag, variables, s.default, s.what)) + "|"
        )
    return "\n".join([BEGIN, *rows, END])


def written(text: str) -> str:
    """README.md with the table as it should be."""
    return re.sub(f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: table(), text, flags=re.DOTALL)


if __name__ == "__main__":
    TARGET.write_text(written(TARGET.read_text(encoding="utf-8")), encoding="utf-8")
