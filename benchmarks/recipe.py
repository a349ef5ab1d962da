"""Part ``recipe``: MNIST to 98 %, as a user would do it.

The recipe is a wider network than the default one, trained for three epochs of small
batches with a one-cycle learning rate and label smoothing. Beside it, scikit-learn's
``MLPClassifier()`` trains until it converges. Both see the same float32 pixels;
accuracy is that of the 10,000 test images.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from . import data
from .cases import JOBS
from .options import Options
from .peers.estimators import fit_quietly
from .report import duration, percent, spread, table
from .workers import Worker, WorkerFailed

__all__ = ["RECIPE", "TITLE", "Contestant", "markdown", "run"]

TITLE = "A recipe for MNIST"
RECIPE = {
    "hidden_layer_sizes": (160,),
    "batch_size": 100,
    "max_iter": 3,
    "learning_rate_init": 0.008,
    "lr_schedule": "one_cycle",
    "label_smoothing": 0.05,
}
# Of the recipe: accuracy, and its time as a share of scikit-learn's.
GOAL_ACCURACY, GOAL_TIMES = 0.98, 30
# Fits of the recipe in the time of one of scikit-learn's.
FITS_PER_ROUND = 6
# Threads of BLAS: its own choice, and one.
CONTESTANTS = {"fastbp": None, "sklearn": None, "sklearn-1": 1}


class Contestant:
    """Fits one library's estimator to MNIST; lives in a process of its own."""

    def __init__(self, name: str, folder: Path, quick: bool) -> None:
        self.name = name
        self.max_iter = 20 if quick else 200  # scikit-learn's default
        n_samples = 1000 if quick else None
        self.train = data.mnist(folder, "train", n_samples)
        self.test = data.mnist(folder, "test", n_samples)

    def versions(self) -> dict[str, str]:
        if self.name == "fastbp":
            import fastbp

            return {"fastbp": fastbp.__version__}
        import sklearn

        return {"scikit-learn": sklearn.__version__}

    def fit(self, random_state: int) -> dict[str, float]:
        """Return seconds and epochs of a fit, and its accuracy on the test set."""
        from threadpoolctl import threadpool_limits

        estimator = self._estimator(random_state)
        with threadpool_limits(CONTESTANTS[self.name]):
            start = time.perf_counter()
            fit_quietly(estimator, *self.train)
            seconds = time.perf_counter() - start
        accuracy = float(np.mean(estimator.predict(self.test[0]) == self.test[1]))
        epochs = estimator.n_iter_
        return {"seconds": seconds, "epochs": epochs, "accuracy": accuracy}

    def _estimator(self, random_state: int) -> Any:
        if self.name == "fastbp":
            from fastbp import MLPClassifier

            return MLPClassifier(**RECIPE, random_state=random_state)
        from sklearn.neural_network import MLPClassifier as Theirs

        return Theirs(max_iter=self.max_iter, random_state=random_state)


def run(options: Options) -> dict[str, Any]:
    """Fit in turns, each round with another random state."""
    document: dict[str, Any] = {"repeats": options.repeats, "versions": {}, "rows": []}
    try:
        data.require(JOBS["default"], options.folder)
        workers = {
            name: Worker(name, Contestant, name, options.folder, options.quick)
            for name in CONTESTANTS
        }
        try:
            document["rows"] = _measure(workers, options, document["versions"])
        finally:
            for worker in workers.values():
                worker.close()
    except (data.DataMissing, WorkerFailed) as error:
        return {**document, "problems": [str(error)]}
    return {**document, "problems": []}


def _measure(
    workers: dict[str, Worker], options: Options, versions: dict[str, str]
) -> list[dict[str, Any]]:
    fits: dict[str, list[dict[str, float]]] = {name: [] for name in workers}
    for worker in workers.values():
        worker.ready()
        versions |= worker.call("versions")
    for turn in range(options.repeats):
        for name, worker in workers.items():
            n_fits = FITS_PER_ROUND if name == "fastbp" else 1
            for i in range(n_fits):
                fits[name].append(worker.call("fit", turn * n_fits + i))
        options.log(f"round {turn + 1} of {options.repeats}")
    return [{"name": name, "fits": found} for name, found in fits.items()]


def markdown(document: dict[str, Any]) -> list[str]:
    """Render one table."""
    times = {row["name"]: _median(row, "seconds") for row in document["rows"]}
    ours = times.get("fastbp", float("nan"))
    header = ["estimator", "fits", "epochs", "time of a fit", "spread", "times ours"]
    cells = [
        [
            row["name"],
            str(len(row["fits"])),
            f"{_median(row, 'epochs'):.0f}",
            duration(times[row["name"]]),
            percent(spread([fit["seconds"] for fit in row["fits"]])),
            f"{times[row['name']] / ours:.1f}",
            *_accuracies(row),
        ]
        for row in document["rows"]
    ]
    settings = ", ".join(f"{name}={value!r}" for name, value in RECIPE.items())
    return [
        f"`fastbp.MLPClassifier({settings})` beside scikit-learn's `MLPClassifier()`,",
        "with as many threads of BLAS as it likes and with one, in one run. Every fit",
        "has another `random_state`. The goal is an accuracy of at least",
        f"{percent(GOAL_ACCURACY)} on the test set in 1/{GOAL_TIMES} of the time.",
        "",
        *table([*header, "accuracy", "the worst"], cells),
    ]


def _median(row: dict[str, Any], key: str) -> float:
    return statistics.median(fit[key] for fit in row["fits"])


def _accuracies(row: dict[str, Any]) -> list[str]:
    worst = min(fit["accuracy"] for fit in row["fits"])
    return [f"{100 * _median(row, 'accuracy'):.2f} %", f"{100 * worst:.2f} %"]
