"""The package as a whole: what it brings, what it imports, how its sources depend."""

import json
import re
import subprocess
import sys
from importlib import metadata, resources
from pathlib import Path

import pytest

import fastbp

CPP = Path(__file__).resolve().parents[1] / "cpp"

# What each room may include; every room also includes itself. One way:
# base <- kernels <- optim <- nn <- train <- bindings.
ROOMS = {
    "base": set(),
    "kernels": {"base"},
    "optim": {"base", "kernels"},
    "nn": {"base", "kernels", "optim"},
    "train": {"base", "kernels", "optim", "nn"},
    "bindings": {"base", "kernels", "optim", "nn", "train"},
}

OPTIONAL = {"matplotlib", "pandas", "polars", "rich", "torch", "tqdm"}

# Prints every module that fastbp's own files import, and all modules that are loaded.
SPY = """
import builtins, json, sys
import sklearn.model_selection  # imports pandas and rich when they are installed
before = set(sys.modules)
asked = set()
real_import = builtins.__import__
def spy(name, globals=None, locals=None, fromlist=(), level=0):
    importer = (globals or {}).get("__name__") or ""
    if level == 0 and importer.partition(".")[0] == "fastbp":
        asked.add(name.partition(".")[0])
    return real_import(name, globals, locals, fromlist, level)
builtins.__import__ = spy
import fastbp
loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
print(json.dumps({"asked": sorted(asked), "loaded": sorted(loaded)}))
"""


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """Modules asked for by ``import fastbp``, and loaded by it, in a fresh process."""
    run = subprocess.run(
        [sys.executable, "-c", SPY], capture_output=True, text=True, check=True
    )
    return {kind: set(names) for kind, names in json.loads(run.stdout).items()}


def test_import_asks_for_hard_dependencies_only(imports: dict[str, set[str]]) -> None:
    # joblib, scipy and threadpoolctl are scikit-learn's own hard dependencies.
    allowed = {"fastbp", "joblib", "numpy", "scipy", "sklearn", "threadpoolctl"}
    assert imports["asked"] - allowed - sys.stdlib_module_names == set()


def test_import_loads_nothing_optional(imports: dict[str, set[str]]) -> None:
    assert imports["loaded"] & OPTIONAL == set()


def test_import_does_not_load_the_command_line(imports: dict[str, set[str]]) -> None:
    assert "argparse" not in imports["asked"]


@pytest.mark.parametrize("name", ["py.typed", "_core.pyi"])
def test_typing_file_is_in_the_package(name: str) -> None:
    assert resources.files("fastbp").joinpath(name).is_file()


def test_version_equals_metadata() -> None:
    assert fastbp.__version__ == metadata.version("fastbp")


def test_hard_dependencies_are_numpy_and_scikit_learn() -> None:
    requirements = metadata.requires("fastbp") or []
    hard = [r for r in requirements if "extra ==" not in r]
    assert sorted(re.split(r"[<>=!~ ;]", r)[0] for r in hard) == [
        "numpy",
        "scikit-learn",
    ]


def test_command_is_declared() -> None:
    (script,) = metadata.entry_points(group="console_scripts", name="fastbp")
    assert script.value == "fastbp.cli:main"


def sources() -> list[Path]:
    found = [p for p in CPP.rglob("*") if p.suffix in {".h", ".cc"}]
    assert found, f"no C++ sources under {CPP}"
    return found


def room_of(path: Path) -> str:
    """cpp/fastbp/<room>/... or cpp/bindings/..."""
    parts = path.relative_to(CPP).parts
    return parts[1] if parts[0] == "fastbp" else parts[0]


def included_files(source: Path) -> list[Path]:
    """The project's own files that a source includes, as paths."""
    text = source.read_text(encoding="utf-8")
    names = re.findall(r'^\s*#\s*include\s+"([^"]+)"', text, re.MULTILINE)
    near = [source.parent / name for name in names]
    far = [CPP / name for name in names]
    return [a if a.exists() else b for a, b in zip(near, far, strict=True)]


def test_every_source_is_in_a_known_room() -> None:
    assert {room_of(source) for source in sources()} <= set(ROOMS)


def test_includes_point_one_way() -> None:
    wrong = [
        f"{source.relative_to(CPP)} includes {target}"
        for source in sources()
        for target in included_files(source)
        if not target.exists()
        or room_of(target.resolve()) not in ROOMS[room_of(source)] | {room_of(source)}
    ]
    assert wrong == []


def test_only_the_bindings_know_python() -> None:
    python = re.compile(r"#\s*include\s+[<\"](pybind11/|Python\.h)")
    knowing = {
        room_of(source)
        for source in sources()
        if python.search(source.read_text(encoding="utf-8"))
    }
    assert knowing == {"bindings"}


def test_openmp_appears_in_the_team_only() -> None:
    openmp = re.compile(r"pragma\s+omp\b|#\s*include\s+<omp\.h>")
    using = {
        source.relative_to(CPP).with_suffix("").as_posix()
        for source in sources()
        if openmp.search(source.read_text(encoding="utf-8"))
    }
    assert using == {"fastbp/base/team"}
