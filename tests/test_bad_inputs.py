"""Odd and broken inputs: a clean error or the right result, never anything else."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from bad_inputs import CASES, FAMILIES
from bad_inputs.case import Case

pytestmark = pytest.mark.slow

PARAMETERS = [
    pytest.param(case, marks=[pytest.mark.no_sanitizer] if case.huge else [], id=name)
    for name, case in CASES.items()
]


Endings = dict[str, dict[str, str]]
ESTIMATORS = ["MLPClassifier", "MLPRegressor"]


def start_runner(estimator: str) -> subprocess.Popen[str]:
    import_path = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    return subprocess.Popen(
        [sys.executable, "-m", "bad_inputs.runner", estimator],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, import_path))},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def endings() -> dict[str, Endings]:
    """How each case ended, for each estimator, from two processes side by side."""
    runners = {estimator: start_runner(estimator) for estimator in ESTIMATORS}
    results = {}
    for estimator, runner in runners.items():
        stdout, stderr = runner.communicate(timeout=600)
        assert runner.returncode == 0, stderr
        results[estimator] = json.loads(stdout)
    return results


def test_no_case_is_lost() -> None:
    counts = {family.__name__: len(family.CASES) for family in FAMILIES}
    assert counts == {
        "bad_inputs.rows": 180,
        "bad_inputs.sparse": 131,
        "bad_inputs.targets": 119,
        "bad_inputs.settings": 309,
        "bad_inputs.misuse": 90,
    }
    assert len(CASES) == sum(counts.values())  # no name twice


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("case", PARAMETERS)
def test_input_gives_clean_error_or_right_result(
    case: Case, estimator: str, endings: dict[str, Endings]
) -> None:
    ending = endings[estimator][case.name]
    expected = case.expected_of(estimator)
    allowed = {"ok", "error"} if expected == "either" else {expected}
    assert ending["ending"] in allowed, ending["says"]
    if ending["ending"] == "error":
        assert case.says
        assert re.search(case.says, ending["says"]), ending["says"]
