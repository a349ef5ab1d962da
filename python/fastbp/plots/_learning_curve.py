"""LearningCurveDisplay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._objects import check_bool
from ..callbacks import History
from ..trainer import RECORDED
from ._axes import COLOURS, check_fitted, check_numbers, has_lone_points, panels, tidy

__all__ = ["LearningCurveDisplay"]

# Names of the curves in what a callback and a Trainer record.
_OF_CALLBACK = {
    name: name
    for name in ("loss", "validation_loss", "validation_score", "learning_rate")
}
_OF_TRAINER = {
    "loss": "loss",
    "validation_loss": "val_loss",
    "learning_rate": "learning_rate",
}


class LearningCurveDisplay:
    """Losses, scores and learning rate by epoch.

    Parameters
    ----------
    loss : array-like of shape (n_epochs,)
        Training loss of each epoch.
    validation_loss, validation_score : array-like or None, default=None
        Loss and score on the validation set; of the last epochs, if there are fewer.
    training_score : array-like or None, default=None
        Score on the training data, likewise.
    learning_rate : array-like or None, default=None
        Rate of each epoch.
    score_name : str, default="score"
        What the score is, for the label of its axis.
    greater_is_better : bool, default=True
        Whether the best epoch is that of the largest score; False: of the smallest, as
        of an error.
    name : str or None, default=None
        Name of the model, for the legend.

    Attributes
    ----------
    best_epoch : int or None
        Epoch of the best validation score, from 1; None without.
    figure_ : Figure
    axes_ : ndarray of Axes
        One for the losses, then one for the scores and one for the rate if there are
        any.
    lines_ : dict
        The curves: 'loss', 'validation_loss', 'training_score', 'validation_score',
        'learning_rate'.

    Raises
    ------
    ValueError
        If ``greater_is_better`` is no bool.

    Examples
    --------
    >>> from fastbp import MLPClassifier
    >>> from fastbp.plots import LearningCurveDisplay
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> model = MLPClassifier(early_stopping=True, max_iter=30).fit(X / 16, y)
    >>> display = LearningCurveDisplay.from_estimator(model)  # doctest: +SKIP
    """

    figure_: Any
    axes_: Any
    lines_: dict[str, Any]

    def __init__(
        self,
        loss: ArrayLike,
        *,
        validation_loss: ArrayLike | None = None,
        validation_score: ArrayLike | None = None,
        training_score: ArrayLike | None = None,
        learning_rate: ArrayLike | None = None,
        score_name: str = "score",
        greater_is_better: bool = True,
        name: str | None = None,
    ) -> None:
        self.loss = loss
        self.validation_loss = validation_loss
        self.validation_score = validation_score
        self.training_score = training_score
        self.learning_rate = learning_rate
        self.score_name = score_name
        self.greater_is_better = check_bool(greater_is_better, "greater_is_better")
        self.name = name

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, name: str | None = None, ax: Any = None, **kw: Any
    ) -> LearningCurveDisplay:
        """Draw the curves that a fitted estimator has recorded.

        Parameters
        ----------
        estimator : MLPClassifier or MLPRegressor
            Fitted with any solver but 'lbfgs'. (Those of scikit-learn do as well.)
        name : str or None, default=None
            Name of the model, for the legend.
        ax : None, Axes or array-like of Axes, default=None
            As for ``plot``.
        **kw
            For ``plot``.

        Returns
        -------
        display : LearningCurveDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If it is no estimator of that kind, or has no curve.
        """
        check_fitted(estimator)
        loss = getattr(estimator, "loss_curve_", None)
        if not loss:
            raise ValueError(
                f"{type(estimator).__name__} has no loss_curve_: it is recorded by all "
                f"solvers but 'lbfgs', got solver={estimator.solver!r}"
            )
        display = cls(
            loss,
            validation_loss=getattr(estimator, "validation_loss_curve_", None) or None,
            validation_score=getattr(estimator, "validation_scores_", None) or None,
            score_name=_score_name(estimator),
            name=name,
        )
        return display.plot(ax=ax, **kw)

    @classmethod
    def from_history(
        cls,
        history: History | Mapping[str, Any],
        *,
        metric: str | None = None,
        score_name: str | None = None,
        greater_is_better: bool = True,
        name: str | None = None,
        ax: Any = None,
        **kw: Any,
    ) -> LearningCurveDisplay:
        """Draw what a callback or a Trainer has recorded, the learning rate included.

        Parameters
        ----------
        history : :class:`fastbp.callbacks.History` or dict
            After a fit; a dict is the ``history`` of a :class:`fastbp.Trainer`. Epochs
            that lack a number, as those without a validation set, are gaps.
        metric : str or None, default=None
            Which of the Trainer's metrics is the score; None: the first, if there is
            one.
        score_name : str or None, default=None
            What the score is; None: the name of the metric, or "score".
        greater_is_better : bool, default=True
            False for a metric that is an error: the best epoch has the smallest.
        name : str or None, default=None
            Name of the model, for the legend.
        ax : None, Axes or array-like of Axes, default=None
            As for ``plot``.
        **kw
            For ``plot``.

        Returns
        -------
        display : LearningCurveDisplay

        Raises
        ------
        ValueError
            If it has no records, lacks the metric, or is something else, or
            ``greater_is_better`` is no bool.
        """
        if isinstance(history, History):
            if metric is not None:
                raise ValueError(
                    "metric must be None for a History callback, which has one score, "
                    f"got {metric!r}"
                )
            if not history.records:
                raise ValueError("history has no records: it must have been in a fit")
            columns = {field: history.column(field) for field in _OF_CALLBACK}
            curves = _curves(columns, _OF_CALLBACK)
        elif isinstance(history, Mapping):
            metric = _checked_metric(history, metric)
            names = dict(_OF_TRAINER)
            if metric is not None:
                names["training_score"] = metric
                names["validation_score"] = f"val_{metric}"
            curves = _curves(history, names)
        else:
            raise ValueError(
                "history must be a History callback, or the history of a Trainer, a "
                f"dict, got {history!r}"
            )
        display = cls(
            **curves,
            score_name=score_name or metric or "score",
            greater_is_better=greater_is_better,
            name=name,
        )
        return display.plot(ax=ax, **kw)

    @property
    def best_epoch(self) -> int | None:
        """Epoch of the best validation score, from 1; None without scores."""
        if self.validation_score is None or np.isnan(self.validation_score).all():
            return None
        n_before = np.size(self.loss) - np.size(self.validation_score)
        best = np.nanargmax if self.greater_is_better else np.nanargmin
        return n_before + int(best(self.validation_score)) + 1

    def plot(self, ax: Any = None, **line_kw: Any) -> LearningCurveDisplay:
        """Draw the curves, one panel above the other.

        Parameters
        ----------
        ax : None, Axes or array-like of Axes, default=None
            None makes a new figure. One Axes is divided into the panels, whose number
            is that of ``axes_``.
        **line_kw
            For ``Axes.plot`` of all curves, such as ``linewidth``.

        Returns
        -------
        display : LearningCurveDisplay
        """
        scores = (self.training_score, self.validation_score)
        n_scores = sum(curve is not None for curve in scores)
        n_panels = 1 + (n_scores > 0) + (self.learning_rate is not None)
        size = (6.4, 1.4 + 2.0 * n_panels)
        axes = panels(ax, (n_panels, 1), size, sharex=True).ravel()
        self.axes_, self.figure_, self.lines_ = axes, axes[0].figure, {}
        self._draw(axes[0], "loss", "training", "blue", line_kw)
        self._draw(axes[0], "validation_loss", "validation", "orange", line_kw)
        axes[0].set_ylabel("loss")
        rest = iter(axes[1:])
        if n_scores > 0:
            panel = next(rest)
            self._draw(panel, "training_score", "training", "blue", line_kw)
            self._draw(panel, "validation_score", "validation", "orange", line_kw)
            panel.set_ylabel(self.score_name)
            if n_scores > 1:
                panel.legend(frameon=False)
            self._mark_best_epoch()
        if self.learning_rate is not None:
            panel = next(rest)
            self._draw(panel, "learning_rate", "rate", "green", line_kw)
            panel.set_ylabel("learning rate")
        axes[-1].set_xlabel("epoch")
        for panel in axes:
            tidy(panel)
        if len(self.lines_) > 1 or self.name is not None:
            axes[0].legend(frameon=False)
        return self

    def _draw(
        self, axes: Any, curve: str, label: str, colour: str, line_kw: dict[str, Any]
    ) -> None:
        values = getattr(self, curve)
        if values is None:
            return
        if self.name is not None:
            scores = (self.training_score, self.validation_score)
            is_alone = self.validation_loss is None and any(s is None for s in scores)
            label = self.name if is_alone else f"{self.name}, {label}"
        n_epochs, n = np.size(self.loss), np.size(values)
        epochs = np.arange(n_epochs - n + 1, n_epochs + 1)
        style = {"color": COLOURS[colour], "label": label, **line_kw}
        if has_lone_points(values):
            style.setdefault("marker", "o")
        (self.lines_[curve],) = axes.plot(epochs, values, **style)

    def _mark_best_epoch(self) -> None:
        best = self.best_epoch
        if best is None:
            return
        for panel in self.axes_:
            label = f"best epoch: {best}" if panel is self.axes_[0] else None
            style = {"color": COLOURS["grey"], "linestyle": "--", "linewidth": 1}
            panel.axvline(best, label=label, **style)


def _checked_metric(history: Mapping[str, Any], metric: str | None) -> str | None:
    """Return the metric to draw, None if there is none."""
    names = [
        name
        for name in history
        if name not in RECORDED and not str(name).startswith("val_")
    ]
    if metric is None:
        return names[0] if names else None
    if metric not in names:
        raise ValueError(
            f"metric must be None or one of those in history, {names}, got {metric!r}"
        )
    return metric


def _curves(columns: Mapping[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """Return the curves that have numbers, by their names here; names: in columns."""
    curves = {}
    for curve, name in names.items():
        numbers = check_numbers(columns.get(name, []), f"history[{name!r}]")
        if not np.isnan(numbers).all():
            curves[curve] = numbers
    if "loss" not in curves:
        raise ValueError(
            "history has no losses: it must be that of a Trainer after a fit, got "
            f"columns {list(columns)}"
        )
    return curves


def _score_name(estimator: Any) -> str:
    """Return what ``validation_scores_`` are."""
    scoring = getattr(estimator, "scoring", None)
    if scoring is None:
        usual = "accuracy" if hasattr(estimator, "classes_") else "r2"
        scoring = getattr(estimator, "_default_scoring", lambda: usual)()
    if scoring == "loss":
        return "negative loss"
    if scoring == "r2":
        return "R²"
    return scoring.replace("_", " ") if isinstance(scoring, str) else "score"
