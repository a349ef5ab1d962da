"""scikit-learn's own tests of its multilayer perceptron, unmodified, run on fastbp."""

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

N_TESTS = 59  # in scikit-learn 1.9


@pytest.mark.slow
def test_sklearn_test_mlp_passes_on_fastbp(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    command = [sys.executable, "-m", "pytest", "-p", "sklearn_mlp_plugin"]
    command += ["--pyargs", "sklearn.neural_network.tests.test_mlp"]
    command += ["-p", "no:cacheprovider", "-q", f"--junitxml={report}"]
    import_path = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    # Run from elsewhere: this project's pytest settings are not scikit-learn's.
    run = subprocess.run(
        command,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, import_path))},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    suite = ElementTree.parse(report).getroot()[0]
    counts = {key: int(suite.attrib[key]) for key in ("tests", "failures", "errors")}
    assert counts == {"tests": N_TESTS, "failures": 0, "errors": 0}
    assert int(suite.attrib["skipped"]) == 0
