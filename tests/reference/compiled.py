"""The problems in the compiled core: the one module here that imports it."""

from fastbp import _core
from reference.activations import Array
from reference.problems import Problem

ISAS: tuple[str, ...] = tuple(_core.build_info()["isa_available"])

# Paths that fuse multiplication and addition: they must agree in every bit.
FMA_ISAS = tuple(isa for isa in ISAS if isa in ("avx2", "avx512", "neon"))


def compiled(problem: Problem, isa: str = "", **options: float) -> _core.Network:
    """The network of a problem, with its parameters."""
    network = _core.Network(
        list(problem.n_units),
        problem.activation,
        problem.loss,
        problem.dtype,
        isa=isa,
        **options,
    )
    network.set_parameters(problem.coefs, problem.intercepts)
    return network


def dense(problem: Problem) -> _core.Rows:
    """The samples of a problem as rows of a dense array."""
    return _core.Rows.dense(problem.X)


def predict(network: _core.Network, X: Array, **options: bool | int) -> Array:
    """Outputs for the rows of a dense array."""
    return network.predict(_core.Rows.dense(X), **options)
