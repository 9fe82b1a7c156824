"""Write requirements.lock, every package that the two requirements files bring along: `python -m docs.make_lock`.

With `--compare`: what differs from it in the environment that this runs in (`make newest`). Docs: decisions/0017.
"""

import json
import subprocess
import sys
import tempfile
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "requirements.lock"
WANTED = ("requirements.txt", "requirements-dev.txt")
HEAD = """# Every package and version, as `make lock` found them on Linux with Python {python}; used as constraints:
#     pip install -r requirements.txt -c requirements.lock
# torch stands without the name of its build, so that a build for a GPU fits as well (docs/decisions/0017).
"""


def resolved() -> dict[str, str]:
    """What pip would install into an empty environment: name and version, without a build's local part."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        asked = [word for name in WANTED for word in ("-r", str(ROOT / name))]
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed",
                        "--report", str(report), *asked], check=True)  # fmt: skip
        found = json.loads(report.read_text(encoding="utf-8"))["install"]
    return {normal(i["metadata"]["name"]): str(i["metadata"]["version"]).partition("+")[0] for i in found}


def normal(name: str) -> str:
    """A package's name as indexes compare it (PEP 503)."""
    return name.lower().replace("_", "-").replace(".", "-")


def locked() -> dict[str, str]:
    """What the lock says."""
    lines = TARGET.read_text(encoding="utf-8").splitlines()
    return dict(line.split("==", 1) for line in lines if line and not line.startswith("#"))


def lock_text(found: dict[str, str]) -> str:
    """The file."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return HEAD.format(python=python) + "".join(f"{n}=={v}\n" for n, v in sorted(found.items()))


def compared() -> list[str]:
    """Installed here in another version than the lock's, a line each."""
    here = {normal(d.metadata["Name"]): d.version.partition("+")[0] for d in distributions()}
    return [f"{n}: {v} -> {here[n]}" for n, v in sorted(locked().items()) if here.get(n, v) != v]


if __name__ == "__main__":
    if sys.argv[1:] == ["--compare"]:
        print("\n".join(compared()) or "nothing differs from requirements.lock")
    else:
        TARGET.write_text(lock_text(resolved()), encoding="utf-8")
