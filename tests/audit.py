"""`make audit`: the code against bandit, every file against detect-secrets, every package against published advisories.

Ends with 1 where one of the three finds something. Where the advisory service cannot be asked, it says so in one line and
how many packages stayed unasked; that ends with 0, or with 1 where AUDIT_STRICT=1 is set (a release should set it).
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
CODE = ("launch.py", "arena", "training", "labeling", "db")
BASELINE = ".ci/secrets.baseline"
NO_TEXT = (".png", ".safetensors", ".lock", ".parquet", ".gz", ".db", ".ico", ".baseline")
NO_WORDS = "tests/eras/"
"""files that hold no words of ours: pictures, weights, hashes of packages; databases of earlier versions with their ids"""
ACCEPTED: Mapping[str, str] = {}
"""advisories that do not concern us, by their id, with the reason"""


class Verdict(NamedTuple):
    """What one check found, in a line, and whether it fails the audit."""

    line: str
    fails: bool


def advisories(report: Mapping[str, Any], strict: bool) -> Verdict:
    """What pip-audit's JSON says: findings fail; packages that could not be asked about are counted and said."""
    asked = [d for d in report["dependencies"] if "skip_reason" not in d]
    unasked = len(report["dependencies"]) - len(asked)
    found = [f"{d['name']} {d['version']}: {v['id']}" + (f" (mended in {', '.join(v['fix_versions'])})" if v["fix_versions"] else "")
             for d in asked for v in d["vulns"] if v["id"] not in ACCEPTED]  # fmt: skip
    if found:
        return Verdict(f"advisories: {len(found)} found: {'; '.join(found)}", True)
    if unasked:
        return Verdict(f"advisories: NOT CHECKED for {unasked} of {unasked + len(asked)} packages, the service cannot be asked from here", strict)  # fmt: skip
    return Verdict(f"advisories: none for {len(asked)} packages", False)


def ran(*words: str) -> subprocess.CompletedProcess[str]:
    """A tool of this environment, run in the project's folder."""
    tool = str(Path(sys.executable).parent / words[0])
    return subprocess.run([tool, *words[1:]], cwd=ROOT, capture_output=True, text=True, check=False)


def packages(strict: bool) -> Verdict:
    """Every package we pin against PyPI's advisories."""
    pinned = next(f for f in ("requirements.lock", "requirements.txt") if (ROOT / f).is_file())
    done = ran(
        "pip-audit", "-r", pinned, "--no-deps", "--disable-pip", "-f", "json", "--progress-spinner", "off"
    )
    try:
        return advisories(json.loads(done.stdout), strict)
    except ValueError:
        reason = (done.stderr.strip().splitlines() or ["no answer"])[-1][:200]
        return Verdict(f"advisories: NOT CHECKED, the service cannot be asked from here ({reason})", strict)


def code() -> Verdict:
    """The program against bandit, medium severity and up; pyproject.toml has what is left out and why."""
    done = ran("bandit", "-c", "pyproject.toml", "-ll", "-q", "-f", "json", "-r", *CODE)
    found = [
        f"{r['filename']}:{r['line_number']} {r['test_id']} {r['issue_text']}"
        for r in json.loads(done.stdout)["results"]
    ]
    return Verdict(f"code: {len(found)} findings" + "".join(f"\n  {f}" for f in found), bool(found))


def secrets() -> Verdict:
    """Every text file of the project against detect-secrets; what the baseline holds was looked at and is none."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    files = [
        f for f in listed if not f.endswith(NO_TEXT) and not f.startswith(NO_WORDS) and (ROOT / f).is_file()
    ]
    done = ran("detect-secrets-hook", "--baseline", BASELINE, *files)
    found = [line.strip() for line in done.stdout.splitlines() if line.startswith("Location:")]
    remedy = (
        f"\n  where one is no secret: detect-secrets scan --baseline {BASELINE}, and say so in the commit"
    )
    if done.returncode not in (0, 1, 3):
        return Verdict(f"secrets: detect-secrets failed: {done.stderr.strip()[-200:]}", True)
    return Verdict(f"secrets: {len(found)} new in {len(files)} files" + "".join(f"\n  {f}" for f in found) + (remedy if found else ""), bool(found))  # fmt: skip


def main() -> int:
    """Print the three lines; 1 where one of them fails."""
    strict = os.environ.get("AUDIT_STRICT") == "1"
    verdicts = [code(), secrets(), packages(strict)]
    for verdict in verdicts:
        print(verdict.line)
    return int(any(v.fails for v in verdicts))


if __name__ == "__main__":
    sys.exit(main())
