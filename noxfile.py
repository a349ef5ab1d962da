"""The menu: ``nox -l`` lists it, ``nox -s tests`` runs one, ``nox`` the quick ones.

``.ci/run`` runs the same checks, and a few more, from a clean clone.
"""

import os
import subprocess
from pathlib import Path

import nox

nox.needs_version = ">=2024.4"
nox.options.sessions = ["lint", "tests"]
nox.options.reuse_existing_virtualenvs = True


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, spelling and types; changes nothing."""
    session.install("-e", ".[lint]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("clang-format", "--dry-run", "-Werror", *cpp_sources())
    session.run("codespell")
    session.run("mypy")
    stubtest = ["python", "-m", "mypy.stubtest", "fastbp._core"]
    stubtest += ["--mypy-config-file", "pyproject.toml"]
    stubtest += ["--allowlist", "tests/stubtest_allowlist.txt"]
    session.run(*stubtest)


@nox.session(name="format")
def format_(session: nox.Session) -> None:
    """Rewrite the sources in the project's style."""
    pyproject = nox.project.load_toml("pyproject.toml")
    session.install(*pyproject["project"]["optional-dependencies"]["lint"])
    session.run("ruff", "check", "--fix", ".")
    session.run("ruff", "format", ".")
    session.run("clang-format", "-i", *cpp_sources())


@nox.session
def tests(session: nox.Session) -> None:
    """Run the Python tests; arguments after -- go to pytest."""
    session.install(".[test]")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
@nox.parametrize("isa", ["baseline", "avx2", "avx512", "neon"])
def tests_isa(session: nox.Session, isa: str) -> None:
    """Run the arithmetic tests with one instruction set forced."""
    session.install(".[test]")
    files = sorted(map(str, Path("tests").glob("test_core*.py")))
    pytest = ["python", "-m", "pytest", "-m", "not slow and not names_isa"]
    session.run(*pytest, *files, "tests/test_parity.py", env={"FASTBP_ISA": isa})


@nox.session(python=False)
@nox.parametrize("preset", ["dev", "release", "clang", "aarch64"])
def cpp(session: nox.Session, preset: str) -> None:
    """Build and run the C++ tests (needs cmake, ninja, doctest)."""
    run_preset(session, preset)


@nox.session(python=False)
@nox.parametrize("preset", ["asan", "tsan"])
def sanitize(session: nox.Session, preset: str) -> None:
    """Run the C++ tests under a sanitizer."""
    run_preset(session, preset)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation in build/docs; first run its code, check its links."""
    session.install(".[test,docs]")
    session.run("python", "-m", "pytest", "tests/test_readme.py")
    sphinx = ["python", "-m", "sphinx", "-W", "--keep-going", "-b", "html"]
    session.run(*sphinx, "docs", "build/docs", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Run the benchmarks; arguments after -- go to them (try -- --help)."""
    session.install(".[bench]")
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session(python=False)
def bench_cpp(session: nox.Session) -> None:
    """Run the C++ benchmarks (needs Google Benchmark); arguments go to the program."""
    session.run("cmake", "--preset", "bench", external=True)
    session.run("cmake", "--build", "--preset", "bench", external=True)
    program = "build/bench/benchmarks/cpp/fastbp_bench"
    session.run(program, *session.posargs, external=True)


def run_preset(session: nox.Session, preset: str) -> None:
    session.run("cmake", "--preset", preset, external=True)
    session.run("cmake", "--build", "--preset", preset, external=True)
    session.run("ctest", "--preset", preset, external=True)


def cpp_sources() -> list[str]:
    """The C++ files that git tracks or would track."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.check_output([*command, "*.h", "*.cc"], text=True)
    return [path for path in listing.splitlines() if os.path.exists(path)]
