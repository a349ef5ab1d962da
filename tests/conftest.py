"""What every test run has in common."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Both are read at the first import of the library in question, hence so early, and are
# inherited by the processes that tests start.
os.environ.setdefault("MPLBACKEND", "Agg")  # figures are saved, never shown
os.environ.setdefault("SCIPY_ARRAY_API", "1")  # or one estimator check skips itself

# A first fit is slow (page faults, thread start), which a time limit per example would
# call flaky. All else is as hypothesis has it: on CI, the same examples every time.
settings.register_profile("fastbp", settings(), deadline=None)
settings.load_profile("fastbp")


def pytest_report_header(config: pytest.Config) -> str:
    """Say which build is under test: several are tested one after the other."""
    import fastbp
    from fastbp import _core

    facts = ", ".join(f"{name}: {value}" for name, value in _core.build_info().items())
    return f"fastbp {fastbp.__version__} at {Path(fastbp.__file__).parent} ({facts})"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that name an instruction set: FASTBP_ISA is nothing to them."""
    for item in items:
        if isinstance(item, pytest.Function) and hasattr(item, "callspec"):
            if "isa" in item.callspec.params:
                item.add_marker("names_isa")
