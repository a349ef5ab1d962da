"""The benchmark suite: its jobs, its judgement, and a small run of the real thing."""

import gzip
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import log_loss, mean_squared_error
from sklearn.neural_network import MLPClassifier, MLPRegressor

from benchmarks import data, peers, report
from benchmarks.__main__ import main
from benchmarks.cases import JOBS, Job
from benchmarks.runner import JobResult, Row, judge, run_job
from benchmarks.workers import training_loss

ROOT = Path(__file__).resolve().parents[1]


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``python -m benchmarks`` in the project's folder."""
    inherited = {k: v for k, v in os.environ.items() if k != "FASTBP_DATA"}
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=ROOT,
        env=inherited | environment,
        capture_output=True,
        text=True,
    )


# -------------------------------------------------------------------------- jobs


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("digits", "1797; 64-32-10; batch 32; adam float32"),
        ("book", "60000; 784-30-10; batch 10; sgd float32"),
        ("default", "60000; 784-100-10; batch 200; adam float32"),
        ("tabular", "60000; 128-256-256-256-10; batch 256; adam float32"),
        ("wide", "60000; 784-1024-1024-10; batch 512; adam float32"),
        ("big", "30000; 784-2048-2048-10; batch 1024; adam float32"),
        ("default64", "60000; 784-100-10; batch 200; adam float64"),
        ("tabular64", "60000; 128-256-256-256-10; batch 256; adam float64"),
        ("online", "10000; 20-16-1; batch 1; sgd float32"),
        ("regress", "20640; 8-64-64-1; batch 64; adam float32"),
        ("sparse", "20000; 50000-64-10; batch 200; adam float32 CSR"),
    ],
)
def test_job_is_the_one_of_that_name(name: str, title: str) -> None:
    assert JOBS[name].title == title


def test_flops_of_an_epoch_count_all_products_but_one() -> None:
    # Forward and weight gradient of both layers; input gradient of the second only.
    assert JOBS["digits"].flops_per_epoch == 2 * 1797 * (2 * 64 * 32 + 3 * 32 * 10)


def test_flops_of_a_sparse_job_count_non_zeros_only() -> None:
    flops = JOBS["sparse"].flops_per_epoch
    assert flops == pytest.approx(2 * 20_000 * (2 * 100 * 64 + 3 * 64 * 10))


# -------------------------------------------------------------------------- data


@pytest.mark.parametrize("name", ["digits", "tabular64", "online", "sparse"])
def test_data_without_files_fits_its_job(name: str) -> None:
    job = JOBS[name]
    X, y = data.load(job)
    assert X.shape == (job.n_samples, job.units[0])
    assert X.dtype == job.dtype
    assert y.shape == (job.n_samples,)
    assert y.dtype == np.int64
    n_outputs = job.units[-1]
    assert np.unique(y).tolist() == list(range(max(n_outputs, 2)))


def test_sparse_data_has_the_stated_non_zeros() -> None:
    X, _ = data.load(JOBS["sparse"])
    assert (np.diff(X.indptr) == 100).all()
    assert X.has_canonical_format


def test_mnist_is_scaled_to_one(tmp_path: Path) -> None:
    pixels = np.arange(5 * 784).reshape(5, 784).astype(np.uint8)
    np.savez(tmp_path / "mnist.npz", x_train=pixels, y_train=np.arange(5))
    X, y = data.load(replace(JOBS["default"], n_samples=3), tmp_path)
    np.testing.assert_allclose(X, pixels[:3] / 255, rtol=1e-6)
    assert X.dtype == np.float32
    assert y.tolist() == [0, 1, 2]


def test_housing_fills_gaps_and_standardises(tmp_path: Path) -> None:
    names = "longitude latitude housing_median_age total_rooms total_bedrooms"
    names += " population households median_income median_house_value ocean_proximity"
    rows = ["1,2,3,4,,6,7,8,100000.0,INLAND", "2,3,4,5,6,7,8,9,300000.0,INLAND"]
    text = "\n".join([names.replace(" ", ","), *rows, "3,4,5,6,8,8,9,10,500000,BAY\n"])
    with gzip.open(tmp_path / "california_housing.csv.gz", "wt") as file:
        file.write(text)
    X, y = data.load(JOBS["regress"], tmp_path)
    np.testing.assert_allclose(X.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(X.std(axis=0), 1, rtol=1e-6)
    # The gap became the median of 6 and 8: in the middle.
    np.testing.assert_allclose(X[:, 4], [0, -(1.5**0.5), 1.5**0.5], atol=1e-6)
    assert y.tolist() == [1, 3, 5]


def test_missing_data_folder_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FASTBP_DATA", raising=False)
    with pytest.raises(data.DataMissing, match=r"mnist\.npz.*--data DIR.*FASTBP_DATA"):
        data.load(JOBS["default"], data.data_folder(None))


def test_missing_data_file_is_explained(tmp_path: Path) -> None:
    with pytest.raises(data.DataMissing, match="california_housing"):
        data.load(JOBS["regress"], tmp_path)


def test_data_option_wins_over_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FASTBP_DATA", "there")
    assert data.data_folder(None) == Path("there")
    assert data.data_folder("here") == Path("here")


# ------------------------------------------------------------------- fair training


TINY = Job("tiny", "digits", 60, (64, 5, 10), 8)


@pytest.mark.parametrize("activation", ["relu", "logistic"])
def test_initial_parameters_are_scikit_learns(activation: str) -> None:
    job = replace(TINY, activation=activation)
    X, y = data.load(replace(TINY, n_samples=1797))
    model = MLPClassifier(
        job.hidden,
        activation=activation,
        learning_rate_init=1e-30,  # too little to change a weight
        max_iter=1,
        random_state=peers.SEED,
    ).fit(X, y)
    ours = peers.initial_parameters(job, np.random.RandomState(peers.SEED))
    for mine, theirs in zip(ours, (model.coefs_, model.intercepts_), strict=True):
        for a, b in zip(mine, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-25)


def test_epoch_orders_are_different_permutations() -> None:
    orders = peers.epoch_orders(TINY, np.random.RandomState(0))
    first, second = next(orders), next(orders)
    assert sorted(first) == sorted(second) == list(range(60))
    assert first.tolist() != second.tolist()


def trained(job: Job) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(0)
    X = rng.random((job.n_samples, job.units[0]))
    y = rng.integers(max(job.units[-1], 2), size=job.n_samples)
    estimator = MLPRegressor if job.task == "regression" else MLPClassifier
    model = estimator(
        hidden_layer_sizes=job.hidden,
        activation=job.activation,
        max_iter=3,
        random_state=0,
    )
    return model.fit(X, y), X, y


@pytest.mark.parametrize("activation", ["relu", "logistic"])
@pytest.mark.parametrize(
    ("task", "n_outputs"), [("multiclass", 4), ("binary", 1), ("regression", 1)]
)
def test_training_loss_is_the_task_s(
    activation: str, task: str, n_outputs: int
) -> None:
    units = (3, 6, 5, n_outputs)
    job = Job("tiny", "", 50, units, 8, activation=activation, task=task)
    model, X, y = trained(job)
    if task == "regression":
        expected = mean_squared_error(y, model.predict(X)) / 2
    else:
        expected = log_loss(y, model.predict_proba(X))
    loss = training_loss(job, X, y, (model.coefs_, model.intercepts_))
    assert loss == pytest.approx(expected, rel=1e-12)


def test_torch_stands_for_one_and_for_all_threads() -> None:
    names = peers.expand(["fastbp", "torch", "torch-1"])
    assert names == ["fastbp", "torch-1", "torch-all"]


# ---------------------------------------------------------------------- judgement


def judged(*losses: tuple[str, float, float]) -> dict[str, str | None]:
    """Reasons against rows of (peer, initial loss, loss)."""
    rows = [
        Row(peer, [[0.1]], loss=loss, initial_loss=initial)
        for peer, initial, loss in losses
    ]
    judge(JobResult(JOBS["digits"], 1, rows))
    return {row.peer: row.reason for row in rows}


def test_equal_losses_are_valid() -> None:
    reasons = judged(("fastbp", 2.3, 0.1260), ("sklearn", 2.3, 0.1261))
    assert reasons == {"fastbp": None, "sklearn": None}


def test_different_loss_is_invalid() -> None:
    reasons = judged(("fastbp", 2.3, 0.14), ("sklearn", 2.3, 0.126))
    assert reasons["sklearn"] is None
    assert "loss 0.14 differs from sklearn's 0.126" in str(reasons["fastbp"])


@pytest.mark.parametrize("loss", [2.3, 2.4, float("nan"), float("inf")])
def test_loss_that_did_not_fall_is_invalid(loss: float) -> None:
    reasons = judged(("fastbp", 2.3, loss), ("sklearn", 2.3, 0.126))
    assert "did not learn" in str(reasons["fastbp"])


def test_first_peer_is_the_reference_without_scikit_learn() -> None:
    reasons = judged(("fastbp", 2.3, 0.1), ("torch-1", 2.3, 0.2))
    assert reasons["fastbp"] is None
    assert "fastbp's 0.1" in str(reasons["torch-1"])


def test_invalid_row_has_no_ratio() -> None:
    rows = [
        Row("fastbp", [[0.1, 0.3, 0.1]], loss=0.1, initial_loss=2.0),
        Row("sklearn", [[0.4]], loss=0.1, initial_loss=2.0),
        Row("torch-1", [[0.3]], loss=0.1, initial_loss=2.0),
        Row("torch-all", [[0.2]], reason="broken"),
    ]
    result = JobResult(JOBS["digits"], 1, rows)
    document = report.job_document(result)
    assert document["ratios"] == pytest.approx({"sklearn": 4.0, "torch": 3.0})


@pytest.mark.slow
def test_failing_peer_does_not_stop_the_others() -> None:
    job = replace(JOBS["digits"], dtype="no-such-type")
    result = run_job(job, ["sklearn"], 1, report=lambda line: None)
    assert "no-such-type" in str(result.rows[0].reason)


# ------------------------------------------------------------------- the real thing


@pytest.mark.slow
def test_small_run_writes_valid_results(tmp_path: Path) -> None:
    arguments = "--jobs digits --peers fastbp sklearn --repeats 2 --epochs 3".split()
    done = command(*arguments, "--out", str(tmp_path / "new" / "folder"))
    assert done.returncode == 0, done.stderr
    stored = tmp_path / "new" / "folder"
    document = json.loads((stored / "training.json").read_text(encoding="utf-8"))
    assert document["repeats"] == 2
    assert document["machine"]["cores"] >= 1
    assert {"fastbp", "scikit-learn", "NumPy"} <= document["versions"].keys()
    (job,) = document["jobs"]
    assert [row["peer"] for row in job["rows"]] == ["fastbp", "sklearn"]
    for row in job["rows"]:
        assert row["valid"]
        assert [len(seconds) for seconds in row["rounds"]] == [3, 3]
        assert row["median"] > 0
    assert job["ratios"]["sklearn"] > 0
    table = (stored / "training.md").read_text(encoding="utf-8")
    assert "| digits | 1797; 64-32-10; batch 32; adam float32 |" in table


@pytest.mark.slow
def test_run_without_data_says_so_and_fails(tmp_path: Path) -> None:
    done = command("--jobs", "default", "--out", str(tmp_path))
    assert done.returncode == 1
    assert "default: needs mnist.npz; give its folder as --data DIR" in done.stderr


@pytest.mark.parametrize(("load", "warnings"), [(0.1, 0), (3.0, 1), (None, 0)])
def test_busy_machine_is_warned_about(
    load: float | None,
    warnings: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("FASTBP_DATA", raising=False)
    where = {**report.machine(), "load": load}
    monkeypatch.setattr(report, "machine", lambda: where)
    main(["--jobs", "default", "--out", str(tmp_path)])  # without data: ends at once
    assert capsys.readouterr().err.count("the machine is busy") == warnings


@pytest.mark.slow
def test_unknown_job_names_the_known_ones() -> None:
    done = command("--jobs", "mnist")
    assert done.returncode == 2
    assert "'mnist'" in done.stderr
    assert "tabular64" in done.stderr
