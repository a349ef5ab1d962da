"""Every example runs, with matplotlib (and then saves its figure) and without."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))

pytestmark = pytest.mark.slow

# Runs a script as if a module could not be imported.
WITHOUT_MATPLOTLIB = """
import runpy, sys
sys.modules["matplotlib"] = None
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def run(directory: Path, *arguments: str) -> str:
    """Run Python in a directory; return what it printed. A warning is a failure."""
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_are_examples() -> None:
    assert EXAMPLES


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_saves_its_figure(example: Path, tmp_path: Path) -> None:
    assert run(tmp_path, str(example)) != ""
    (figure,) = tmp_path.iterdir()
    assert figure.name == f"{example.stem}.png"
    assert figure.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_without_matplotlib_says_so(example: Path, tmp_path: Path) -> None:
    printed = run(tmp_path, "-c", WITHOUT_MATPLOTLIB, str(example))
    assert "no figure: matplotlib is not installed" in printed
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_is_listed(example: Path) -> None:
    listed = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    assert f"({example.name})" in listed
