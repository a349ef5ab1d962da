"""Every example runs and saves its figure; matplotlib is optional."""

import gzip
import os
import runpy
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted((ROOT / "examples").glob("*.py"))
EXAMPLES = [script for script in SCRIPTS if script.name.startswith("plot_")]

OPTIONAL_FIGURE = """
try:
    import matplotlib.pyplot as plt
except ImportError:
    print("no figure: matplotlib is not installed")
else:
"""

# Runs a script as if a module could not be imported.
WITHOUT_MATPLOTLIB = """
import runpy, sys
sys.modules["matplotlib"] = None
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def run(directory: Path, *arguments: str) -> str:
    """Run Python in a directory; return what it printed. A warning is a failure.

    One thread: the result is the same, and other tests may run beside it.
    """
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", *arguments],
        cwd=directory,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def closed_figures() -> Iterator[None]:
    """Leave no figure open, and no setting changed, for the next example."""
    import matplotlib.pyplot as plt

    with plt.rc_context():
        yield
    plt.close("all")


def check_figure(directory: Path, name: str) -> None:
    (figure,) = directory.glob("*.png")
    assert figure.name == name
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_there_are_examples() -> None:
    assert EXAMPLES


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
@pytest.mark.usefixtures("closed_figures")
def test_example_saves_its_figure(
    example: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # In this process: importing the libraries takes as long as most examples do.
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.resetwarnings()
        warnings.simplefilter("error", UserWarning)
        runpy.run_path(str(example), run_name="__main__")
    assert capsys.readouterr().out != ""
    check_figure(tmp_path, f"{example.stem}.png")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script_is_listed_and_its_figure_optional(script: Path) -> None:
    listed = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    assert f"({script.name})" in listed
    text = script.read_text(encoding="utf-8")
    assert OPTIONAL_FIGURE in text
    assert text.count("matplotlib.pyplot") == 1
    assert f'savefig("{script.stem}.png"' in text


@pytest.mark.slow
def test_example_without_matplotlib_says_so(tmp_path: Path) -> None:
    example = ROOT / "examples" / "plot_xor.py"  # all do it in the same words
    printed = run(tmp_path, "-c", WITHOUT_MATPLOTLIB, str(example))
    assert "no figure: matplotlib is not installed" in printed
    assert list(tmp_path.iterdir()) == []


# --- Scripts that want data of their own ----------------------------------------------


def write_adult(folder: Path) -> None:
    """A miniature of the table, with missing values and both splits."""
    rng = np.random.default_rng(0)
    lines = ["age,workclass,hours_per_week,sex,income,split"]
    for row in range(400):
        age, hours = rng.integers(17, 90), rng.integers(1, 99)
        work = ["Private", "State-gov", ""][row % 3]
        income = ">50K" if age + hours > 110 else "<=50K"
        split = "test" if row % 4 == 0 else "train"
        lines.append(
            f"{age},{work},{hours},{['Male', 'Female'][row % 2]},{income},{split}"
        )
    with gzip.open(folder / "adult.csv.gz", "wt") as file:
        file.write("\n".join(lines))


def write_california_housing(folder: Path) -> None:
    """A miniature of the table, with a missing value and a category."""
    rng = np.random.default_rng(0)
    lines = ["total_bedrooms,median_income,ocean_proximity,median_house_value"]
    for row in range(400):
        income = rng.uniform(1, 10)
        bedrooms = "" if row == 5 else rng.integers(1, 1000)
        place = ["INLAND", "NEAR BAY"][row % 2]
        lines.append(
            f"{bedrooms},{income},{place},{50_000 * income + 20_000 * (row % 2)}"
        )
    with gzip.open(folder / "california_housing.csv.gz", "wt") as file:
        file.write("\n".join(lines))


def write_mnist(folder: Path) -> None:
    """Ten images of each digit: noise, and a bright line at a height of its own."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 50, size=(100, 28, 28), dtype=np.uint8)
    labels = np.arange(100, dtype=np.uint8) % 10
    images[np.arange(100), 2 * labels] = 255
    X = images.reshape(100, 784)
    np.savez(folder / "mnist.npz", x_train=X, y_train=labels, x_test=X, y_test=labels)


WRITERS = {
    "adult": write_adult,
    "california_housing": write_california_housing,
    "mnist_book_network": write_mnist,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WRITERS)
def test_script_runs_on_the_data_that_it_is_given(name: str, tmp_path: Path) -> None:
    WRITERS[name](tmp_path)
    script = ROOT / "examples" / f"{name}.py"
    assert run(tmp_path, str(script), "--data", str(tmp_path)) != ""
    check_figure(tmp_path, f"{name}.png")


@pytest.mark.slow
def test_script_says_which_data_is_missing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "adult.py")],
        env={**os.environ, "FASTBP_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr == f"adult.csv.gz is not in {tmp_path}\n"
