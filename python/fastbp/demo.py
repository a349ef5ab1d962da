"""What ``fastbp demo`` does: learn handwritten digits, timed beside scikit-learn.

The epochs are shown with ``partial_fit``, which is one epoch a call. The times come
from plain calls of ``fit``, without any display, in turns with scikit-learn.
"""

from __future__ import annotations

import importlib.util
import statistics
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from . import MLPClassifier, __version__
from ._progress import Progress

__all__ = ["DemoError", "run"]

# Each library fits this often; the median counts.
_N_FITS = 3
_INSTALL_MATPLOTLIB = "python3 -m pip install matplotlib"
_DEFAULT_PLOT = "fastbp-demo.png"


class DemoError(Exception):
    """The demo cannot do what was asked; the message says why."""


@dataclass(frozen=True)
class _Digits:
    """Images of 8x8 pixels scaled to [0, 1], and the digits they show."""

    X_train: NDArray[np.float32]  # (n_train, 64)
    X_test: NDArray[np.float32]  # (n_test, 64)
    y_train: NDArray[np.int64]  # (n_train,)
    y_test: NDArray[np.int64]  # (n_test,)


@dataclass(frozen=True)
class Fit:
    """A timed fit: what the table and the figure show of it."""

    name: str
    seconds: float
    losses: list[float]
    accuracy: float


def run(
    n_epochs: int, seed: int, compare: bool, plot: str | None, no_plot: bool = False
) -> None:
    """Train, print, compare and plot, as the options of the command say."""
    if plot is not None:
        _check_plot(plot)
    digits = _load_digits()
    settings = _settings(n_epochs, seed)
    _print_task(digits, settings)
    _show_training(digits, settings)
    fits = _timed_fits(digits, settings, compare)
    _print_fits(fits)
    if no_plot:
        return
    if plot is not None:
        _save_figure(fits, plot)
    elif importlib.util.find_spec("matplotlib") is None:
        print(f"\nFor a figure of the loss: {_INSTALL_MATPLOTLIB}")
    else:
        try:
            _save_figure(fits, _DEFAULT_PLOT)
        except DemoError as error:  # nobody asked for this file: no failure
            print(f"\nNo figure of the loss: {error}. Try --plot FILE.")


def _check_plot(file: str) -> None:
    """Find out before the training whether the figure can be saved."""
    if importlib.util.find_spec("matplotlib") is None:
        raise DemoError(f"--plot needs matplotlib; install it: {_INSTALL_MATPLOTLIB}")
    from matplotlib.backend_bases import FigureCanvasBase

    path = Path(file)
    if not path.parent.is_dir():
        raise DemoError(f"cannot save {file}: there is no directory {path.parent}")
    kinds = FigureCanvasBase.get_supported_filetypes()
    if path.suffix[1:].lower() not in kinds:
        raise DemoError(
            f"cannot save {file}: its name must end in one of "
            + ", ".join(f".{kind}" for kind in sorted(kinds))
        )


def _load_digits() -> _Digits:
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        (X / 16).astype(np.float32), y, stratify=y, random_state=0
    )
    return _Digits(X_train, X_test, y_train, y_test)


def _settings(n_epochs: int, seed: int) -> dict[str, Any]:
    """Return the parameters of both estimators."""
    return {
        "hidden_layer_sizes": (100,),
        "batch_size": 32,
        "learning_rate_init": 0.002,
        "max_iter": n_epochs,
        "n_iter_no_change": n_epochs,  # do all epochs, never stop early
        "random_state": seed,
    }


def _print_task(digits: _Digits, settings: dict[str, Any]) -> None:
    n_train, n_features = digits.X_train.shape
    n_test, n_classes = len(digits.y_test), len(np.unique(digits.y_train))
    (n_hidden,) = settings["hidden_layer_sizes"]
    print(f"fastbp {__version__}: learning handwritten digits")
    print(f"{n_train} images to learn from, {n_test} to test on; float32;")
    print(
        f"network {n_features}-{n_hidden}-{n_classes}, ReLU, Adam, "
        f"batches of {settings['batch_size']}\n"
    )


def _show_training(digits: _Digits, settings: dict[str, Any]) -> None:
    model = MLPClassifier(**settings)
    progress = Progress(settings["max_iter"], "epoch", sys.stdout)
    for epoch in range(1, settings["max_iter"] + 1):
        model.partial_fit(
            digits.X_train, digits.y_train, classes=np.unique(digits.y_train)
        )
        accuracy = model.score(digits.X_test, digits.y_test)
        progress.update(
            epoch, f"loss {model.loss_:.4f}  test accuracy {100 * accuracy:.1f} %"
        )


def _timed_fits(digits: _Digits, settings: dict[str, Any], compare: bool) -> list[Fit]:
    """Fit each library in turns, with nothing displayed meanwhile."""
    classes: dict[str, type[Any]] = {"fastbp": MLPClassifier}
    if compare:
        from sklearn.neural_network import MLPClassifier as SklearnMLPClassifier

        classes["scikit-learn"] = SklearnMLPClassifier
    seconds: dict[str, list[float]] = {name: [] for name in classes}
    models: dict[str, Any] = {}
    with warnings.catch_warnings():
        # All epochs were done, as asked: "hasn't converged yet" is no news.
        warnings.simplefilter("ignore", ConvergenceWarning)
        for _ in range(_N_FITS):
            for name, estimator in classes.items():
                model = estimator(**settings)
                start = time.perf_counter()
                model.fit(digits.X_train, digits.y_train)
                seconds[name].append(time.perf_counter() - start)
                models[name] = model
    return [
        Fit(
            name,
            statistics.median(seconds[name]),
            model.loss_curve_,
            model.score(digits.X_test, digits.y_test),
        )
        for name, model in models.items()
    ]


def _print_fits(fits: list[Fit]) -> None:
    n_epochs = len(fits[0].losses)
    plural = "s" if n_epochs > 1 else ""
    print(f"\nOne fit of {n_epochs} epoch{plural} (median of {_N_FITS} fits):\n")
    print(f"{'':14}{'time':>10}{'an epoch':>12}{'last loss':>12}{'test accuracy':>16}")
    for fit in fits:
        milliseconds = 1e3 * fit.seconds
        print(
            f"{fit.name:14}{milliseconds:7.1f} ms{milliseconds / n_epochs:9.2f} ms"
            f"{fit.losses[-1]:12.4f}{100 * fit.accuracy:14.1f} %"
        )
    if len(fits) == 2:
        ours, theirs = fits
        print(
            f"\nscikit-learn takes {theirs.seconds / ours.seconds:.1f} times as long "
            "as fastbp."
        )


def _save_figure(fits: list[Fit], file: str) -> None:
    """Draw the loss against epochs and against time."""
    from matplotlib.figure import Figure

    from .plots import LearningCurveDisplay
    from .plots._axes import tidy

    # Figure, not pyplot: needs no display and leaves no global state.
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    by_epoch, by_time = figure.subplots(1, 2, sharey=True)
    styles: list[dict[str, Any]] = [
        {"color": "#d1495b", "linewidth": 2.4},
        {"color": "#00798c", "linewidth": 1.6, "linestyle": (0, (5, 2))},
    ]
    for fit, style in zip(fits, styles, strict=False):
        epochs = np.arange(1, len(fit.losses) + 1)
        times = 1e3 * fit.seconds * epochs / len(epochs)
        style["marker"] = "o" if len(epochs) == 1 else ""
        LearningCurveDisplay(fit.losses, name=fit.name).plot(by_epoch, **style)
        by_time.plot(times, fit.losses, label=fit.name, **style)
    by_epoch.set(ylabel="training loss (log scale)", yscale="log")
    by_epoch.set_title("Loss by epoch", loc="left")
    by_time.set(xlabel="time of one fit (ms, log scale)", xscale="log")
    by_time.set_title("Loss by time", loc="left")
    for axis in (by_epoch.yaxis, by_time.xaxis):
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter("")
    tidy(by_time)
    try:
        figure.savefig(file, dpi=160)
    except OSError as error:
        raise DemoError(f"cannot save {file}: {error.strerror}") from error
    print(f"\nFigure of the loss: {file}")
