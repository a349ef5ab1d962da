"""Settings that are not an estimator's, and what a bug report needs to know."""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import sklearn

from . import _core
from ._blas import describe_blas, scipy_blas
from ._threads import effective_n_threads

__all__ = ["config_context", "get_config", "set_config", "show_config"]

_GEMMS = ("builtin", "blas")


class _Config(threading.local):
    """The settings of this Python thread; None stands for the default."""

    gemm: str | None = None


_config = _Config()


def set_config(*, gemm: str | None = None) -> None:
    """Change settings of fastbp for the Python thread that calls it.

    Like :func:`sklearn.set_config`: other threads, and the worker processes of joblib,
    keep the defaults. The environment variable ``FASTBP_GEMM`` changes the default of
    all of them.

    Parameters
    ----------
    gemm : {"builtin", "blas"} or None, default=None
        Who makes the matrix products of training and prediction: fastbp's own kernels,
        or the BLAS that SciPy is linked with. None leaves the setting as it is.

    Raises
    ------
    ValueError
        If a value is not known.

    See Also
    --------
    config_context : The same for a block of code.
    get_config : The settings in force.
    """
    if gemm is not None:
        _config.gemm = _checked(gemm, "gemm")


def get_config() -> dict[str, Any]:
    """Return the settings in force in this Python thread.

    Returns
    -------
    config : dict
        A copy: ``gemm``, as :func:`set_config` describes it.

    Raises
    ------
    ValueError
        If ``FASTBP_GEMM`` is needed and has a value that is not known.
    """
    return {"gemm": _config.gemm or _default_gemm()}


@contextmanager
def config_context(*, gemm: str | None = None) -> Iterator[None]:
    """Change settings of fastbp within a ``with`` block, in this Python thread.

    Parameters
    ----------
    gemm : {"builtin", "blas"} or None, default=None
        As for :func:`set_config`.

    Yields
    ------
    None
        At the end of the block the settings are again as they were before it.

    Raises
    ------
    ValueError
        If a value is not known.

    Examples
    --------
    >>> import fastbp
    >>> with fastbp.config_context(gemm="blas"):
    ...     fastbp.get_config()
    {'gemm': 'blas'}
    """
    before = _config.gemm
    try:
        set_config(gemm=gemm)
        yield
    finally:
        _config.gemm = before


def configured_blas() -> _core.Blas | None:
    """Return the BLAS that a new network shall use; None for the built-in kernels."""
    return scipy_blas() if get_config()["gemm"] == "blas" else None


def _default_gemm() -> str:
    return _checked(os.environ.get("FASTBP_GEMM") or "builtin", "FASTBP_GEMM")


def _checked(gemm: str, source: str) -> str:
    if gemm not in _GEMMS:
        raise ValueError(f"{source} must be 'builtin' or 'blas', got {gemm!r}")
    return gemm


def show_config() -> None:
    """Print versions, the kernels and the BLAS in use, and the threads of a fit.

    The command ``fastbp info`` prints the same. Paste it into bug reports.
    """
    facts = _facts()
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name:{width}}  {value}")


def _facts() -> dict[str, str]:
    build = _core.build_info()
    n_threads, reason = effective_n_threads()
    return {
        "fastbp": build["version"],
        "Python": f"{platform.python_version()} ({build['pointer_bits']}-bit)",
        "system": f"{platform.system()} {platform.machine()}",
        "NumPy": np.__version__,
        "scikit-learn": sklearn.__version__,
        "compiler": build["compiler"],
        "kernels compiled": ", ".join(build["isa_compiled"]),
        "kernels this CPU runs": ", ".join(build["isa_available"]),
        "kernels in use": f"{build['isa_active']} ({_isa_reason()})",
        "matrix products": _gemm_fact(),
        "BLAS": describe_blas(),
        "parallel runtime": build["parallel"],
        "threads of a fit": f"{n_threads} ({reason})",
    }


def _gemm_fact() -> str:
    gemm = get_config()["gemm"]
    if _config.gemm is not None:
        return f"{gemm} (set_config)"
    forced = os.environ.get("FASTBP_GEMM")
    return f"{gemm} ({f'FASTBP_GEMM={forced}' if forced else 'the default'})"


def _isa_reason() -> str:
    forced = os.environ.get("FASTBP_ISA")
    return f"FASTBP_ISA={forced}" if forced else "the best; FASTBP_ISA is not set"
