"""What a bug report needs to know: versions, kernels, threads."""

from __future__ import annotations

import os
import platform

import numpy as np
import sklearn

from . import _core
from ._threads import effective_n_threads

__all__ = ["show_config"]


def show_config() -> None:
    """Print versions, the kernels compiled and in use, and the threads of a fit.

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
        "parallel runtime": build["parallel"],
        "threads of a fit": f"{n_threads} ({reason})",
    }


def _isa_reason() -> str:
    forced = os.environ.get("FASTBP_ISA")
    return f"FASTBP_ISA={forced}" if forced else "the best; FASTBP_ISA is not set"
