"""The examples in the docstrings of the public modules run and give what they say."""

import doctest
import importlib

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


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_docstrings_are_true(name):
    module = importlib.import_module(f"fastbp.{name}")
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("name", fastbp.__all__)
def test_public_names_have_docstrings(name):
    value = getattr(fastbp, name)
    assert name == "__version__" or value.__doc__
