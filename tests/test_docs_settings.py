"""README's table of settings, the lock of versions, and the samples in deploy/ say what the program does."""

import ast
import importlib.metadata
import re
import shutil
import subprocess

import pytest
import yaml
from packaging.requirements import Requirement

from db.connection import PROJECT
from docs import make_lock, make_settings
from tests.test_house import FILES

VARIABLE = re.compile(
    r"(TASTEBENCH|HF|SPACE|CUDA|OMP|OPENAI|GRADIO|WANDB|TRACKIO|TENSORBOARD|TQDM|ACCELERATE|SSL)_[A-Z_]*[A-Z]"
    r"|PORT|RANK|WORLD_SIZE|(WAYLAND_)?DISPLAY"
)


def read_by_the_program():
    """Names of variables that stand as texts in the program, and every literal key of an environment."""
    found = set()
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and VARIABLE.fullmatch(node.value)
            ):
                found.add(node.value)
            if isinstance(node, ast.Subscript | ast.Call) and "environ" in ast.unparse(node).split("(")[0]:
                key = node.slice if isinstance(node, ast.Subscript) else node.args[0] if node.args else None
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    found.add(key.value)
    return found


def told():
    """Variables in the table."""
    return {name for s in make_settings.settings() for name in s.variable.split(", ") if name}


def test_the_readme_has_the_table_as_it_is():
    text = make_settings.TARGET.read_text(encoding="utf-8")
    assert make_settings.written(text) == text, "python -m docs.make_settings"
    assert make_settings.BEGIN in text


def test_every_variable_that_is_read_is_in_the_table_and_the_other_way_round():
    read = read_by_the_program()
    assert read - told() - make_settings.INTERNAL == set(), "read, but not in docs/make_settings.py"
    libraries = {name for s in make_settings.LIBRARIES for name in s.variable.split(", ")}
    built = {"TASTEBENCH_API_KEY_HOST", *(f"TASTEBENCH_ENDPOINT_{n}" for n in
             ("TIMEOUT", "TRIES", "AT_ONCE", "PER_MINUTE", "TOKENS"))}  # fmt: skip
    assert told() - libraries - built - read == set(), "in the table, but read nowhere"
    assert make_settings.INTERNAL - read == set()


def test_every_option_of_serve_that_places_it_has_a_variable():
    bare = {s.flag for s in make_settings.settings() if s.flag and not s.variable}
    assert bare == {"--open/--no-open", "--a", "--b", "--prompts"}


def test_the_readme_is_a_spaces_card():
    """Front matter as a Space with the gradio SDK reads it; its versions are those that are pinned."""
    head = (PROJECT / "README.md").read_text(encoding="utf-8").split("---\n")[1]
    card = yaml.safe_load(head)
    assert (card["sdk"], card["app_file"], card["license"]) == ("gradio", "launch.py", "mit")
    assert (PROJECT / card["app_file"]).is_file()
    assert card["sdk_version"] == make_lock.locked()["gradio"]
    assert card["python_version"] == "3.11"


# -- the lock --------------------------------------------------------------------------------------------------


def pinned(file):
    lines = (PROJECT / file).read_text(encoding="utf-8").splitlines()
    return dict(
        line.partition(";")[0].strip().split("==")
        for line in lines
        if "==" in line and not line.startswith("#")
    )


@pytest.mark.parametrize("file", make_lock.WANTED)
def test_requirements_and_lock_agree(file):
    lock = make_lock.locked()
    wrong = {
        n: (v, lock.get(make_lock.normal(n)))
        for n, v in pinned(file).items()
        if lock.get(make_lock.normal(n)) != v
    }
    assert wrong == {}, "make lock"


def test_the_lock_is_closed():
    """Whatever a locked package asks for on this machine is locked too."""
    lock = make_lock.locked()
    open_ends = set()
    for name in lock:
        try:
            asked = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        for line in asked:
            wanted = Requirement(line)
            if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
                open_ends |= (
                    {f"{name} -> {wanted.name}"} if make_lock.normal(wanted.name) not in lock else set()
                )
    assert open_ends == set(), "make lock"


def test_the_lock_names_no_build_no_place_and_nothing_twice():
    text = make_lock.TARGET.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[A-Za-z0-9.!]+", line) for line in lines)
    names = [line.split("==")[0] for line in lines]
    assert names == sorted(set(names))
    assert len(names) > 100


# -- deploy/ ---------------------------------------------------------------------------------------------------


def test_the_unit_of_systemd_is_one(tmp_path):
    """By systemd's own check, with the program's path put to this checkout's."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here")
    unit = (PROJECT / "deploy" / "tastebench.service").read_text(encoding="utf-8")
    unit = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", unit, flags=re.M).replace(
        "User=tastebench", "User=root"
    )
    (tmp_path / "tastebench.service").write_text(
        unit.replace("Group=tastebench", "Group=root"), encoding="utf-8"
    )
    ran = subprocess.run(["systemd-analyze", "verify", "--man=no", tmp_path / "tastebench.service"],
                         capture_output=True, text=True, check=False)  # fmt: skip
    ours = [line for line in ran.stderr.splitlines() if "tastebench" in line]
    assert ours == []
    (tmp_path / "tastebench.service").write_text(unit.replace("ProtectProc", "ProtectProk"), encoding="utf-8")
    ran = subprocess.run(["systemd-analyze", "verify", "--man=no", tmp_path / "tastebench.service"],
                         capture_output=True, text=True, check=False)  # fmt: skip
    assert "ProtectProk" in ran.stderr, "the check sees what is wrong"


def test_the_compose_file_names_what_is_there():
    compose = yaml.safe_load((PROJECT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))
    services = compose["services"]
    assert {n: s.get("profiles", []) for n, s in services.items()} == {
        "tastebench": [], "vllm": ["vllm"], "litestream": ["litestream"],
    }  # fmt: skip
    assert (PROJECT / "deploy" / services["tastebench"]["build"]["context"] / "Dockerfile").is_file()
    used = {v.split(":")[0] for s in services.values() for v in s.get("volumes", [])}
    assert {v for v in used if not v.startswith(".")} <= set(compose["volumes"])
    assert all((PROJECT / "deploy" / v).exists() for v in used if v.startswith("."))
    assert set(services["tastebench"]["environment"]) <= told()
    litestream = yaml.safe_load((PROJECT / "deploy" / "litestream.yml").read_text(encoding="utf-8"))
    home = services["litestream"]["volumes"][0].split(":")[1]
    assert litestream["dbs"][0]["path"] == f"{home}/arena.db"


def test_the_image_is_for_a_user_without_rights_and_is_looked_after():
    lines = (PROJECT / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"^USER taste$", lines, re.M)
    assert re.search(r"--uid 1000\b", lines), "the user a Space runs containers as"
    assert "HEALTHCHECK" in lines
    assert 'VOLUME ["/home/taste/workspace"]' in lines
    for copied in re.findall(r"^COPY ([^.\s]\S*(?: \S+)*) \S+$", lines, re.M):
        assert all((PROJECT / name).exists() for name in copied.split()), copied
