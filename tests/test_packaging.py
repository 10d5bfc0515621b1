"""What a stranger relies on before any code runs: the README's commands and examples, the dependencies, versions and typing."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("compare", "diffcore", "dualdiff", "revdiff")
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


def name_of(requirement: str) -> str:
    return re.match(r"[A-Za-z0-9._-]+", requirement).group().lower()


def command_between(marker: str) -> str:
    """The one line of shell between `<!-- marker -->` and `<!-- /marker -->` in the README."""
    (command,) = re.findall(rf"<!-- {marker} -->\n```sh\n(.+)\n```\n<!-- /{marker} -->", README)
    return command


def table_under(heading: str) -> dict[str, str]:
    """First to second column of the table under a heading of the README."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return dict(re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|$", section, re.MULTILINE))


def pinned() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    return dict(re.match(r"([^=]+)==([^ ;]+)", line).groups() for line in lines if line and not line.lstrip().startswith("#"))


def test_ci_runs_the_test_command_of_the_readme():
    shown = subprocess.run(["bash", ".ci/run", "--show-test-command"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout == command_between("test-command") + "\n"


def test_both_commands_set_everything_up_and_use_the_lock():
    for marker, install, job in (
        ("main-command", "-e .", "-m compare run"),
        ("test-command", "-e '.[test]'", "-m pytest -n 2"),
    ):
        expected = f"python3 -m venv .venv && .venv/bin/pip install -c requirements.lock {install} && .venv/bin/python {job}"
        assert command_between(marker) == expected


def test_readme_gives_a_reason_for_every_dependency():
    reasons = table_under("Dependencies")
    assert set(reasons) - {"package", "---"} == {name_of(each) for each in (*PROJECT["dependencies"], *EXTRAS["bench"])}
    assert all(len(reason) > 10 for name, reason in reasons.items() if name not in ("package", "---"))


def test_readme_names_what_the_extras_add():
    section = README.split("\n## Dependencies\n")[1]
    assert [name for extra in EXTRAS.values() for each in extra if (name := name_of(each)) not in section] == []


def test_lock_pins_what_the_project_asks_for():
    wanted = [*PROJECT["dependencies"], *(each for extra in EXTRAS.values() for each in extra)]
    assert {name_of(each) for each in wanted} <= set(pinned())
    assert f"torch=={pinned()['torch']}" in {*EXTRAS["test"]} & {*EXTRAS["bench"]}


def test_lock_names_no_index_and_no_path():
    assert re.findall(r"https?://|file:|--index|--find-links|^/", (ROOT / "requirements.lock").read_text(encoding="utf-8"), re.M) == []


def test_versions_agree():
    try:
        installed = importlib.metadata.version("diffmodes")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("diffmodes is not installed here")
    declared = {
        ast.literal_eval(node.value)
        for package in PACKAGES
        for node in ast.parse((ROOT / package / "__init__.py").read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__" and isinstance(node.value, ast.Constant)
    }
    assert declared == {installed} == {PROJECT["version"]}


def test_python_version_is_the_one_the_readme_asks_for():
    assert PROJECT["requires-python"] == ">=3.11"
    assert "Python 3.11 or newer" in README


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_are_typed(package):
    assert (ROOT / package / "py.typed").is_file()


def test_console_script_is_the_command_line_of_compare():
    assert PROJECT["scripts"] == {"diffmodes": "compare.cli:main"}


def test_readme_examples_run():
    code = "\n".join(re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL))
    ran = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
