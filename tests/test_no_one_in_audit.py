"""The audit says what it found and what it could not look up, and is never green on a finding."""

import json
import subprocess

import pytest

from tests import audit
from tests.audit import ROOT, advisories

ASKED = {"name": "good", "version": "1.0", "vulns": []}
HOLED = {
    "name": "holed",
    "version": "2.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1"], "aliases": [], "description": ""}],
}
UNASKED = {"name": "far", "skip_reason": "Dependency not found on PyPI and could not be audited: far (1.0)"}


@pytest.mark.parametrize(
    ("packages", "strict", "line", "fails"),
    [
        ([ASKED], False, "advisories: none for 1 packages", False),
        ([ASKED, HOLED], False, "advisories: 1 found: holed 2.0: PYSEC-1 (mended in 2.1)", True),
        ([UNASKED, HOLED], False, "advisories: 1 found: holed 2.0: PYSEC-1 (mended in 2.1)", True),
        ([UNASKED, ASKED], False, "advisories: NOT CHECKED for 1 of 2 packages, the service cannot be asked from here", False),
        ([UNASKED, ASKED], True, "advisories: NOT CHECKED for 1 of 2 packages, the service cannot be asked from here", True),
    ],
)  # fmt: skip
def test_what_the_advisories_say(packages: list[object], strict: bool, line: str, fails: bool) -> None:
    assert advisories({"dependencies": packages}, strict) == (line, fails)


def test_a_planted_secret_and_a_planted_shell_are_found(tmp_path, monkeypatch) -> None:
    for tool in ("bandit", "detect-secrets-hook"):
        if audit.ran(tool, "--version").returncode != 0:
            pytest.skip(f"{tool} is not installed: pip install -r requirements-dev.txt")
    planted = "ghp_" + "".join(
        f"{chr(97 + i)}{i % 10}" for i in range(18)
    )  # put together, or the audit finds it here
    (tmp_path / "leak.py").write_text(f'TOKEN = "{planted}"\nimport os\n\n\ndef run(x):\n    os.system(x)\n')
    found = audit.ran("detect-secrets-hook", "--baseline", audit.BASELINE, str(tmp_path / "leak.py"))
    assert found.returncode == 1
    done = audit.ran("bandit", "-c", "pyproject.toml", "-ll", "-q", "-f", "json", str(tmp_path / "leak.py"))
    assert {r["test_id"] for r in json.loads(done.stdout)["results"]} >= {"B605"}


def test_ci_and_make_run_the_audit() -> None:
    assert "make audit" in (ROOT / ".ci" / "run").read_text()
    shown = subprocess.run(["make", "-n", "audit"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "-m tests.audit" in shown.stdout
