"""Docstrings of the public names: numpydoc, complete, with examples that are true."""

import doctest
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

import pytest

import fastbp

MODULES = (
    "_classifier",
    "_config",
    "_regressor",
    "activations",
    "callbacks",
    "initializers",
    "layers",
    "losses",
    "network",
    "optimizers",
    "plots._gradient_flow",
    "plots._learning_curve",
    "plots._network",
    "plots._weights",
    "schedules",
    "trainer",
)
COMMANDS = ("fastbp.cli", "fastbp.demo")  # whose readers are at a shell
MODULES_OF_OBJECTS = (
    "activations",
    "callbacks",
    "initializers",
    "layers",
    "losses",
    "optimizers",
    "schedules",
)


def public_names() -> dict[str, Any]:
    """Return classes and functions of the public modules, each once, by their path."""
    found = {}
    submodules = (m.name for m in pkgutil.iter_modules(fastbp.__path__, "fastbp."))
    for path in ("fastbp", *submodules):
        if "._" not in path and path not in COMMANDS:
            module = importlib.import_module(path)
            for name in module.__all__:
                value = getattr(module, name)
                if inspect.isroutine(value) or inspect.isclass(value):
                    found.setdefault(value, f"{path}.{name}")
    return {path: value for value, path in found.items()}


def public_members(kind: type) -> Iterator[tuple[str, Any]]:
    """Yield the methods and properties that fastbp defines for a class."""
    for name in dir(kind):
        owner = next(base for base in kind.__mro__ if name in vars(base))
        is_public = not name.startswith("_") or name == "__call__"
        if is_public and owner.__module__.startswith("fastbp"):
            member = getattr(kind, name)
            is_method = inspect.isroutine(member) and "fastbp" in member.__module__
            if is_method or isinstance(member, property):
                yield name, member


PUBLIC = public_names()
CLASSES = {path: value for path, value in PUBLIC.items() if inspect.isclass(value)}
MEMBERS = {
    f"{path}.{name}": member
    for path, kind in CLASSES.items()
    for name, member in public_members(kind)
}
DOCUMENTED = PUBLIC | MEMBERS
CALLABLE = {p: v for p, v in DOCUMENTED.items() if not isinstance(v, property)}
FUNCTIONS = {p: v for p, v in CALLABLE.items() if not inspect.isclass(v)}
OBJECTS = {p: v for p, v in CLASSES.items() if p.split(".")[1] in MODULES_OF_OBJECTS}


def sections_of(value: Any) -> dict[str, str]:
    """Return the sections of a docstring, or of that which it overrides, by title."""
    doc = inspect.getdoc(value) or ""
    _, *parts = re.split(r"^([A-Z][\w ]+)\n-{3,}\n", doc, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def names_in(section: str) -> list[str]:
    """Return the names that a section describes: ``a, b : float`` are two."""
    heads = re.findall(r"^(\S[^:\n]*)", section, flags=re.MULTILINE)
    return [name.strip(" *") for head in heads for name in head.split(",")]


def sources_of(value: Any) -> list[str]:
    """Return the source of a function, or of what makes an object of a class."""
    if not inspect.isclass(value):
        return [inspect.getsource(value)]
    makers = [getattr(value, name, None) for name in ("__init__", "__post_init__")]
    written = [
        f for f in makers if inspect.isfunction(f) and f.__code__.co_filename[0] != "<"
    ]
    return [inspect.getsource(f) for f in written if "fastbp" in f.__module__]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_docstrings_are_true(name: str) -> None:
    module = importlib.import_module(f"fastbp.{name}")
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("name", fastbp.__all__)
def test_public_names_have_docstrings(name: str) -> None:
    value = getattr(fastbp, name)
    assert name == "__version__" or value.__doc__


@pytest.mark.parametrize("path", DOCUMENTED)
def test_docstrings_begin_with_a_sentence(path: str) -> None:
    summary, *rest = (inspect.getdoc(DOCUMENTED[path]) or "").split("\n")
    assert summary.endswith(".")
    assert not rest or rest[0] == ""


@pytest.mark.parametrize("path", CALLABLE)
def test_parameters_are_those_of_the_signature(path: str) -> None:
    described = names_in(sections_of(CALLABLE[path]).get("Parameters", ""))
    parameters = list(inspect.signature(CALLABLE[path]).parameters)
    assert sorted(described) == sorted(p for p in parameters if p != "self")


@pytest.mark.parametrize("path", FUNCTIONS)
def test_what_functions_return_is_described(path: str) -> None:
    returns = inspect.signature(FUNCTIONS[path]).return_annotation
    is_described = bool({"Returns", "Yields"} & set(sections_of(FUNCTIONS[path])))
    assert is_described == (returns != "None")


@pytest.mark.parametrize("path", CALLABLE)
def test_errors_of_checks_are_described(path: str) -> None:
    checks = any(
        re.search(r"\braise \w|check_\w+\(", source)
        for source in sources_of(CALLABLE[path])
    )
    assert not checks or "Raises" in sections_of(CALLABLE[path])


@pytest.mark.parametrize("path", OBJECTS)
def test_classes_have_examples(path: str) -> None:
    assert ">>>" in sections_of(OBJECTS[path]).get("Examples", "")
