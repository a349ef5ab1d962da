"""The benchmark suite: its jobs, its judgement, and a small run of each part."""

import functools
import gzip
import importlib.util
import json
import pickle
import runpy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss, mean_squared_error
from sklearn.neural_network import MLPClassifier, MLPRegressor

from benchmarks import (
    data,
    features,
    loops,
    memory,
    peers,
    plots,
    report,
    scaling,
    training,
    workers,
)
from benchmarks.blas import Blas
from benchmarks.cases import JOBS, Job
from benchmarks.cli import main
from benchmarks.losses import training_loss
from benchmarks.runner import JobResult, Row, judge, run_job


def has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


@pytest.fixture(autouse=True)
def no_waiting_and_no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure nothing, hence wait for nothing; know no folder of data."""
    monkeypatch.setattr(workers, "_SETTLED", 0)
    monkeypatch.delenv("FASTBP_DATA", raising=False)


class InProcess:
    """A worker without a process: it does at once what it is told."""

    def __init__(self, label: str, make: Callable[..., Any], *arguments: Any) -> None:
        self.label = label
        make, arguments = sent((make, arguments))
        self.served = make(*arguments)
        self.answer: Any = None

    def send(self, method: str, *arguments: Any) -> None:
        self.answer = sent(getattr(self.served, method)(*sent(arguments)))

    def receive(self) -> Any:
        return self.answer

    def close(self) -> None:
        pass


def sent(message: Any) -> Any:
    """What arrives at the other end of a pipe."""
    return pickle.loads(pickle.dumps(message))


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start no process for a worker."""
    for name in ("__init__", "send", "receive", "close"):
        monkeypatch.setattr(workers.Worker, name, getattr(InProcess, name))


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


def test_title_of_a_deep_network_is_short() -> None:
    job = replace(JOBS["digits"], units=(64, *[32] * 9, 10))
    assert job.title.startswith("1797; 64-9 x 32-10; batch 32")


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


def test_missing_data_folder_is_explained() -> None:
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
    orders = peers.epoch_orders(60, np.random.RandomState(0))
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


def test_all_peers_have_a_library() -> None:
    libraries = {peers.library(name) for name in peers.expand(["all"])}
    ours = {"fastbp", "fastbp-blas"}
    assert libraries == {*ours, "sklearn", "torch", "torch.compile", "jax"}


def test_number_in_the_name_of_a_peer_is_its_threads() -> None:
    X, y = data.load(replace(TINY, n_samples=1797))
    peer = peers.make("fastbp-3", TINY, X, y, n_cores=8)
    assert peer.n_threads == 3
    assert peers.library("torch-5") == "torch"


@pytest.mark.parametrize(("peer", "module"), [("torch-1", "torch"), ("jax", "jax")])
def test_sparse_job_is_not_for_every_peer(peer: str, module: str) -> None:
    pytest.importorskip(module)
    assert "CSR" in str(peers.unsupported(peer, JOBS["sparse"]))
    assert peers.unsupported(peer, JOBS["digits"]) is None


def test_peer_that_is_not_installed_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert peers.unsupported("jax", JOBS["digits"]) == "jax is not installed"
    assert peers.unsupported("sklearn", JOBS["digits"]) is None


def loss_after(peer: str, job: Job, X: Any, y: Any) -> float:
    """Train a job for two epochs in this process and return the loss."""
    trainer = peers.make(peer, job, X, y, n_cores=1)
    assert len(trainer.round(1)) == 1
    return trainer.losses()[1]


JOBS_OF_ALL_KINDS = [
    TINY,  # 60 rows in batches of 8: the last one is shorter
    replace(TINY, dtype="float64"),
    replace(TINY, n_samples=64, alpha=1.0),
    replace(TINY, solver="sgd", learning_rate=0.1, activation="logistic"),
    replace(TINY, units=(64, 5, 1), task="binary"),
    replace(TINY, units=(64, 5, 4, 1), task="regression"),
]


@pytest.mark.parametrize(
    ("peer", "module"),
    [("fastbp", "fastbp"), ("torch-1", "torch"), ("jax", "jax")],
)
@pytest.mark.parametrize("job", JOBS_OF_ALL_KINDS, ids=lambda job: job.title)
def test_peer_trains_as_scikit_learn_does(peer: str, module: str, job: Job) -> None:
    pytest.importorskip(module)
    rng = np.random.default_rng(0)
    X = rng.random((job.n_samples, 64)).astype(job.dtype)
    y = rng.integers(2 if job.task == "binary" else 10, size=job.n_samples)
    y = y.astype(job.dtype) if job.task == "regression" else y
    expected = loss_after("sklearn-1", job, X, y)
    # torch's penalty of the shorter last batch is that of a full one, and its Adam has
    # another epsilon; the others differ by rounding.
    tolerance = 1e-3 if peer == "torch-1" else 1e-5
    assert loss_after(peer, job, X, y) == pytest.approx(expected, rel=tolerance)


def test_compiled_torch_trains_as_eager_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    # The graph is traced as ever, but not translated to C++, which takes long.
    traced = functools.partial(torch.compile, backend="eager")
    monkeypatch.setattr(torch, "compile", traced)
    X, y = data.load(replace(TINY, n_samples=1797))
    X, y = X[:60], y[:60]
    expected = loss_after("torch-1", TINY, X, y)
    loss = loss_after("torch-compile-1", TINY, X, y)
    assert loss == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_wrong_learning_rate_is_invalid(factor: float) -> None:
    job = JOBS["digits"]
    X, y = data.load(job)
    wrong = replace(job, learning_rate=factor * job.learning_rate)
    losses = [loss_after("fastbp", j, X, y) for j in (job, wrong)]
    reasons = judged(("sklearn", 2.3, losses[0]), ("fastbp", 2.3, losses[1]))
    assert "differs from sklearn's" in str(reasons["fastbp"])


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
    document = training.job_document(result)
    assert document["ratios"] == pytest.approx({"sklearn": 4.0, "torch": 3.0})


def test_share_of_peak_is_that_of_as_many_threads() -> None:
    rows = [
        Row("fastbp", [[0.1]], 0.1, 2.0, threads=1),
        Row("sklearn", [[0.1]], 0.1, 2.0, threads=4),
    ]
    job = JOBS["digits"]
    gflops = job.flops_per_epoch / 0.1 / 1e9
    result = JobResult(job, 1, rows, peaks={1: 2 * gflops, 4: 8 * gflops})
    document = training.job_document(result)
    shares = [row["share_of_peak"] for row in document["rows"]]
    assert shares == pytest.approx([0.5, 0.125])


def test_rounding_of_a_far_fallen_loss_is_valid() -> None:
    # What the job `wide` comes to in float32 by another order of the sums alone.
    reasons = judged(("fastbp", 2.4, 0.0541), ("sklearn", 2.4, 0.0557))
    assert reasons["fastbp"] is None


def test_peak_of_blas_is_positive() -> None:
    blas = Blas("float32")
    assert blas.forward_gflops((8, 4, 2), 1) > 0


# ------------------------------------------------------------------- other parts


@pytest.mark.parametrize(
    ("axis", "size", "title"),
    [
        ("rows", 300, "300; 64-64-10; batch 256; adam float32"),
        ("width", 32, "4096; 64-32-32-10; batch 256; adam float32"),
        ("batch", 8, "16384; 64-64-10; batch 8; adam float32"),
        ("depth", 2, "10000; 64-64-64-10; batch 256; adam float32"),
        ("threads", 2, JOBS["tabular"].title),
    ],
)
def test_axis_of_scaling_changes_one_thing(axis: str, size: int, title: str) -> None:
    assert scaling.AXES[axis].job(size).title == title


def test_threads_are_scaled_by_peers_of_so_many_threads() -> None:
    given = ["fastbp", "torch", "jax"]  # JAX cannot be told
    assert scaling.peers_of("threads", 3, given) == ["fastbp-3", "torch-3"]
    names = ["fastbp", "torch-1", "torch-all", "jax"]
    assert scaling.peers_of("rows", 3, given) == names


def test_slope_is_the_exponent() -> None:
    sizes = [10.0, 100.0, 1000.0]
    assert scaling.slope(sizes, [3 * n**2 for n in sizes]) == pytest.approx(2)
    assert scaling.slope([10.0], [1.0]) is None


@pytest.mark.parametrize(
    ("seconds", "text"), [(2.0, "2 s"), (0.0123, "12.3 ms"), (94.2e-6, "94.2 us")]
)
def test_duration_has_a_fitting_unit(seconds: float, text: str) -> None:
    assert report.duration(seconds) == text


def test_ratios_are_drawn_as_bars_from_one() -> None:
    pytest.importorskip("matplotlib")
    figure = plots.ratio_bars({"digits": {"sklearn": 30.0, "jax": 0.5}, "wide": {}})
    (axes,) = figure.axes
    assert [bar.get_y() + bar.get_height() for bar in axes.patches] == [30.0, 0.5]
    assert axes.get_yscale() == "log"


def test_every_library_has_a_colour_in_the_plots() -> None:
    pytest.importorskip("matplotlib")
    others = {peers.library(peer): 2.0 for peer in peers.PEERS}
    del others["fastbp"]
    (axes,) = plots.ratio_bars({"digits": others}).axes
    assert len(axes.patches) == len(others)


@pytest.mark.slow
def test_failing_peer_does_not_stop_the_others() -> None:
    job = replace(JOBS["digits"], dtype="no-such-type")
    result = run_job(job, ["sklearn"], 1, report=lambda line: None, with_peaks=False)
    assert "no-such-type" in str(result.rows[0].reason)


# ------------------------------------------------------------------- the real thing


@pytest.mark.slow
def test_small_run_writes_valid_results(tmp_path: Path) -> None:
    stored = tmp_path / "new" / "folder"
    arguments = "--jobs digits --peers fastbp sklearn --repeats 2 --epochs 3".split()
    assert main([*arguments, "--out", str(stored)]) == 0
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
        assert row["share_of_peak"] > 0
    assert job["ratios"]["sklearn"] > 0
    table = (stored / "training.md").read_text(encoding="utf-8")
    assert "| digits | 1797; 64-32-10; batch 32; adam float32 |" in table
    (stored / "training.md").unlink()
    main(["--redraw", "--out", str(stored)])
    assert (stored / "training.md").read_text(encoding="utf-8") == table
    assert (stored / "training.png").exists() == has("matplotlib")


def quick(part: str, out: Path, *arguments: str) -> tuple[dict[str, Any], str]:
    """Run a part with tiny sizes; return its document and its Markdown."""
    assert main([part, "--quick", *arguments, "--out", str(out)]) == 0
    document = json.loads((out / f"{part}.json").read_text(encoding="utf-8"))
    assert document["machine"]["cores"] >= 1
    assert "fastbp" in document["versions"]
    return document, (out / f"{part}.md").read_text(encoding="utf-8")


@pytest.mark.usefixtures("in_process")
def test_fit_is_compared_with_the_engine(tmp_path: Path) -> None:
    document, text = quick("fit", tmp_path)
    assert document["epochs"] == 2
    assert [row["validation"] for row in document["rows"]] == [False, True]
    for row in document["rows"]:
        fit, engine = min(row["fit_seconds"]), min(row["engine_seconds"])
        assert row["overhead"] == pytest.approx(fit / engine - 1)
        assert row["goal"] == 0.10
    assert "| digits | off |" in text


@pytest.mark.slow
@pytest.mark.usefixtures("in_process")
def test_prediction_is_compared_with_blas_and_scikit_learn(tmp_path: Path) -> None:
    document, text = quick("predict", tmp_path, "--peers", "fastbp")
    throughput, (latency,) = document["throughput"], document["latency"]
    for part in (throughput, latency):
        assert [row["library"] for row in part["rows"]] == ["fastbp", "sklearn"]
    # 2 x 10000 rows x the weights of 128-256-256-256-10.
    flops = 2 * 10_000 * (128 * 256 + 2 * 256 * 256 + 256 * 10)
    row = throughput["rows"][0]
    assert row["gflops"] == pytest.approx(flops / row["seconds"][0] / 1e9)
    peak = throughput["peak_gflops"]["forward"]
    assert row["share_of_forward"] == pytest.approx(row["gflops"] / peak)
    assert latency["rows"][1]["share_of_sklearn"] == 1
    assert "| digits | fastbp |" in text


@pytest.mark.usefixtures("in_process")
def test_scaling_measures_each_size_of_an_axis(tmp_path: Path) -> None:
    arguments = "--axes rows --peers fastbp".split()
    document, text = quick("scaling", tmp_path, *arguments)
    (rows,) = document["axes"].values()
    assert [point["n_samples"] for point in rows["points"]] == [300, 600]
    assert rows["slopes"].keys() == {"fastbp"}
    assert "Slope over all sizes: fastbp" in text
    assert (tmp_path / "scaling_rows.png").exists() == has("matplotlib")


@pytest.mark.slow
@pytest.mark.usefixtures("in_process")
def test_load_measures_slowdown_and_two_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.load.usable_cores", lambda: 1)
    document, text = quick("load", tmp_path, "--peers", "fastbp")
    (slowdown,), (two_fits,) = document["slowdown"], document["two_fits"]
    assert slowdown["ratio"] == slowdown["beside"][0] / slowdown["alone"][0]
    assert two_fits["ratio"] == two_fits["at_once"][0] / two_fits["in_turn"][0]
    assert "| digits | fastbp |" in text


@pytest.mark.slow
def test_memory_is_measured_for_each_kind_of_data(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    document, text = quick("memory", tmp_path, "--peers", "fastbp")
    assert [row["X"] for row in document["rows"]] == list(memory.KINDS)
    for row in document["rows"]:
        assert row["size"] == pytest.approx(10e6, rel=0.02)
        assert row["peak"] >= row["baseline"] > row["size"]
    assert "| float32, CSR | fastbp |" in text


@pytest.mark.usefixtures("in_process")
def test_options_are_compared_with_a_plain_fit(tmp_path: Path) -> None:
    document, text = quick("features", tmp_path)
    rows = {row["name"]: row for row in document["rows"]}
    assert rows.keys() == features.VARIANTS.keys()
    assert rows["plain"]["ratio"] == 1
    (gelu,), (plain,) = rows["gelu"]["seconds"], rows["plain"]["seconds"]
    assert rows["gelu"]["ratio"] == pytest.approx(gelu / plain)
    assert "| gelu | activation='gelu' |" in text


@pytest.mark.usefixtures("in_process")
def test_steps_of_loops_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has("torch"):
        monkeypatch.setattr(loops, "LOOPS", {"fastbp": loops.LOOPS["fastbp"]})
    document, text = quick("loops", tmp_path)
    rows = {row["library"]: row for row in document["rows"]}
    assert rows.keys() == loops.LOOPS.keys()
    assert rows["fastbp"]["ratio"] == 1
    for name in loops.LOOPS:
        assert f"| digits | {name} |" in text


class TwoSteps(loops.Fastbp):
    """Makes two steps of each."""

    def step(self, X: Any, y: Any) -> float:
        super().step(X, y)
        return super().step(X, y)


@pytest.mark.usefixtures("in_process")
def test_loop_with_another_loss_is_a_problem(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(loops.LOOPS, "torch", (TwoSteps, 1))
    monkeypatch.delitem(loops.LOOPS, "torch-1")
    assert main(["loops", "--quick", "--out", str(tmp_path)]) == 1
    errors = capsys.readouterr().err
    assert "error: digits: torch has another loss than fastbp" in errors


@pytest.mark.slow
@pytest.mark.usefixtures("in_process")
def test_recipe_is_compared_with_the_defaults_of_scikit_learn(tmp_path: Path) -> None:
    X, y = load_digits(return_X_y=True)
    pixels = np.pad((15 * X).astype(np.uint8), ((0, 0), (0, 784 - 64)))
    half = {"x_train": pixels[::2], "y_train": y[::2]}
    other_half = {"x_test": pixels[1::2], "y_test": y[1::2]}
    np.savez(tmp_path / "mnist.npz", **half, **other_half)
    document, text = quick("recipe", tmp_path, "--data", str(tmp_path))
    fits = {row["name"]: row["fits"] for row in document["rows"]}
    assert fits.keys() == {"fastbp", "sklearn", "sklearn-1"}
    assert {fit["epochs"] for fit in fits["fastbp"]} == {3}
    assert min(fit["accuracy"] for fit in fits["fastbp"]) > 0.8
    assert fits["sklearn"][0]["accuracy"] > 0.9
    assert "lr_schedule='one_cycle'" in text


@pytest.mark.parametrize("kind", memory.KINDS)
def test_data_of_the_memory_part_is_as_its_name_says(kind: str) -> None:
    X = memory.KINDS[kind](200_000)
    assert X.dtype == kind.partition(",")[0]
    assert sp.issparse(X) == ("CSR" in kind)
    if sp.issparse(X):
        assert X.has_canonical_format
        assert X.indices.dtype == np.int32
    else:
        assert X.flags.f_contiguous == ("Fortran" in kind)
        assert len(np.unique(X[:, 0])) > 1


def test_run_without_data_says_so_and_fails(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["--jobs", "default", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", ["python -m benchmarks", *arguments])
    with pytest.raises(SystemExit, match="^1$"):
        runpy.run_module("benchmarks", run_name="__main__")
    expected = "default: needs mnist.npz; give its folder as --data DIR"
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize(("load", "warnings"), [(0.1, 0), (3.0, 1), (None, 0)])
def test_busy_machine_is_warned_about(
    load: float | None,
    warnings: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    where = {**report.machine(), "load": load}
    monkeypatch.setattr(report, "machine", lambda: where)
    main(["--jobs", "default", "--out", str(tmp_path)])  # without data: ends at once
    assert capsys.readouterr().err.count("the machine is busy") == warnings


def test_unknown_job_names_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="^2$"):
        main(["--jobs", "mnist"])
    errors = capsys.readouterr().err
    assert "'mnist'" in errors
    assert "tabular64" in errors
