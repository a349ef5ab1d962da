"""LearningCurveDisplay."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from ..callbacks import History
from ._axes import COLOURS, panels, tidy

__all__ = ["LearningCurveDisplay"]


class LearningCurveDisplay:
    """Losses, scores and learning rate by epoch.

    Parameters
    ----------
    loss : array-like of shape (n_epochs,)
        Training loss of each epoch.
    validation_loss, validation_score : array-like or None, default=None
        Loss and score on the validation set; of the last epochs, if there are fewer.
    learning_rate : array-like or None, default=None
        Rate of each epoch.
    score_name : str, default="score"
        What the score is, for the label of its axis.
    name : str or None, default=None
        Name of the model, for the legend.

    Attributes
    ----------
    best_epoch : int or None
        Epoch of the best score, from 1; None without scores.
    figure_ : Figure
    axes_ : ndarray of Axes
        One for the losses, then one for the score and one for the rate if there are
        any.
    lines_ : dict
        The curves: 'loss', 'validation_loss', 'validation_score', 'learning_rate'.

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
        learning_rate: ArrayLike | None = None,
        score_name: str = "score",
        name: str | None = None,
    ) -> None:
        self.loss = loss
        self.validation_loss = validation_loss
        self.validation_score = validation_score
        self.learning_rate = learning_rate
        self.score_name = score_name
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
            If it has no curve.
        """
        check_is_fitted(estimator, "coefs_")
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
        history: History,
        *,
        score_name: str = "score",
        name: str | None = None,
        ax: Any = None,
        **kw: Any,
    ) -> LearningCurveDisplay:
        """Draw what a callback has recorded, the learning rate included.

        Parameters
        ----------
        history : :class:`fastbp.callbacks.History`
            After a fit.
        score_name : str, default="score"
            What the validation score is.
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
            If it has no records.
        """
        if not history.records:
            raise ValueError("history has no records: it must have been in a fit")
        validated = history.records[0].validation_loss is not None
        display = cls(
            history.column("loss"),
            validation_loss=history.column("validation_loss") if validated else None,
            validation_score=history.column("validation_score") if validated else None,
            learning_rate=history.column("learning_rate"),
            score_name=score_name,
            name=name,
        )
        return display.plot(ax=ax, **kw)

    @property
    def best_epoch(self) -> int | None:
        if self.validation_score is None or np.isnan(self.validation_score).all():
            return None
        n_before = np.size(self.loss) - np.size(self.validation_score)
        return n_before + int(np.nanargmax(self.validation_score)) + 1

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
        n_panels = 1 + sum(
            curve is not None for curve in (self.validation_score, self.learning_rate)
        )
        size = (6.4, 1.4 + 2.0 * n_panels)
        axes = panels(ax, (n_panels, 1), size, sharex=True).ravel()
        self.axes_, self.figure_, self.lines_ = axes, axes[0].figure, {}
        self._draw(axes[0], "loss", "training", "blue", line_kw)
        self._draw(axes[0], "validation_loss", "validation", "orange", line_kw)
        axes[0].set_ylabel("loss")
        rest = iter(axes[1:])
        if self.validation_score is not None:
            panel = next(rest)
            self._draw(panel, "validation_score", "validation", "orange", line_kw)
            panel.set_ylabel(self.score_name)
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
            is_alone = self.validation_loss is None
            label = self.name if is_alone else f"{self.name}, {label}"
        n_epochs, n = np.size(self.loss), np.size(values)
        epochs = np.arange(n_epochs - n + 1, n_epochs + 1)
        style = {"color": COLOURS[colour], "label": label, **line_kw}
        if n == 1:
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


def _score_name(estimator: Any) -> str:
    """Return what ``validation_scores_`` are."""
    scoring = getattr(estimator, "scoring", None)
    if scoring is None:
        return "accuracy" if hasattr(estimator, "classes_") else "R²"
    if scoring == "loss":
        return "negative loss"
    return scoring.replace("_", " ") if isinstance(scoring, str) else "score"
