"""Callbacks: what is to happen after each epoch of a fit.

The parameter ``callbacks`` of the estimators and of a Trainer is a list of them. A
plain function ``function(model, record)`` counts as one, where the model is whichever
of them trains. A callback that returns True ends the training after this epoch; one
that raises makes the fit fail, and the model is then as it was before. A call of
``partial_fit`` is a fit of one epoch.
"""

from __future__ import annotations

import csv
import math
import os
import pickle
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ._objects import check_bool, check_field, check_size

__all__ = [
    "CSVLogger",
    "Callback",
    "Checkpoint",
    "EarlyStopping",
    "EpochRecord",
    "History",
    "Timer",
]


class EpochRecord(NamedTuple):
    """What is known after an epoch, as callbacks get it.

    Parameters
    ----------
    epoch : int
        Its number in this fit, from 1; of a Trainer, in all its fits.
    loss : float
        Mean loss during the epoch, penalty included, as in ``loss_curve_``.
    validation_loss : float or None
        Mean loss on the validation set, without penalty; None if there is no set.
    validation_score : float or None
        Score on the validation set, likewise; of a Trainer, its first metric.
    learning_rate : float
        Rate of the last step, before Adam's bias corrections.
    seconds : float
        Time since the fit began to train.

    Examples
    --------
    >>> from fastbp import MLPRegressor
    >>> rates = []
    >>> def keep_rate(estimator, record):
    ...     rates.append(record.learning_rate)
    >>> model = MLPRegressor(max_iter=3, callbacks=[keep_rate])
    >>> model.fit([[0.0], [1.0]], [0.0, 1.0]).n_iter_
    3
    >>> rates
    [0.001, 0.001, 0.001]
    """

    epoch: int
    """Its number in this fit, from 1; of a Trainer, in all its fits."""
    loss: float
    """Mean loss during the epoch, penalty included, as in ``loss_curve_``."""
    validation_loss: float | None
    """Mean loss on the validation set, without penalty; None if there is no set."""
    validation_score: float | None
    """Score on the validation set, likewise; of a Trainer, its first metric."""
    learning_rate: float
    """Rate of the last step, before Adam's bias corrections."""
    seconds: float
    """Time since the fit began to train."""


class Callback:
    """Base of the callbacks: it does nothing.

    Examples
    --------
    >>> from fastbp import MLPRegressor
    >>> from fastbp.callbacks import Callback
    >>> class StopAtTwo(Callback):
    ...     def on_epoch_end(self, estimator, record):
    ...         return record.epoch == 2
    >>> model = MLPRegressor(callbacks=[StopAtTwo()])
    >>> model.fit([[0.0], [1.0]], [0.0, 1.0]).n_iter_
    2
    """

    reads_model: ClassVar[bool] = True
    """Whether ``on_epoch_end`` needs an estimator that can predict: a copy with the
    weights of this epoch. If not, it gets the one in training, whose are older."""

    def on_fit_begin(self, estimator: Any) -> None:
        """Do what is to be done before the first epoch.

        Parameters
        ----------
        estimator : estimator or Trainer
            What is trained, as it is before.
        """

    def on_epoch_end(self, estimator: Any, record: EpochRecord) -> bool | None:
        """Do what is to be done after an epoch.

        Parameters
        ----------
        estimator : estimator or Trainer
            What is trained; see ``reads_model``.
        record : EpochRecord
            What is known of the epoch.

        Returns
        -------
        stop : bool or None
            True ends the training.
        """
        return None

    def on_fit_end(self, estimator: Any) -> None:
        """Do what is to be done at the end, also if training failed.

        Parameters
        ----------
        estimator : estimator or Trainer
            What was trained.
        """


@dataclass
class FunctionCallback(Callback):
    """A plain function as a callback."""

    function: Callable[[Any, EpochRecord], bool | None]

    def on_epoch_end(self, estimator: Any, record: EpochRecord) -> bool | None:
        return self.function(estimator, record)


_IS_BETTER: dict[str, Callable[[float, float], bool]] = {
    "loss": lambda new, old: new < old,
    "validation_loss": lambda new, old: new < old,
    "validation_score": lambda new, old: new > old,
}


def _check_monitor(callback: Any) -> None:
    if callback.monitor not in list(_IS_BETTER):  # also what has no hash
        raise ValueError(
            f"monitor of {type(callback).__name__} must be one of "
            f"{', '.join(map(repr, _IS_BETTER))}, got {callback.monitor!r}"
        )


def _check_path(callback: Any) -> None:
    if not isinstance(callback.path, str | os.PathLike):
        raise ValueError(
            f"path of {type(callback).__name__} must be a path, got {callback.path!r}"
        )


def _monitored(callback: Any, record: EpochRecord) -> float:
    value: float | None = getattr(record, callback.monitor)
    if value is None:
        raise ValueError(
            f"{type(callback).__name__}(monitor={callback.monitor!r}) needs a "
            "validation set: X_val and y_val, or early_stopping=True of an estimator "
            "(for a score a Trainer also needs metrics); without one, monitor must be "
            "'loss'"
        )
    return value


def _is_new_best(
    callback: Any, value: float, best: float | None, delta: float = 0.0
) -> bool:
    """Tell whether a value is the best so far; NaN never is."""
    if math.isnan(value):
        return False
    return best is None or _IS_BETTER[callback.monitor](value, best + delta)


@dataclass
class EarlyStopping(Callback):
    """End the training when a number has not improved for some epochs.

    Beside the estimator's own rule (``tol``, ``n_iter_no_change``), which goes on.

    Parameters
    ----------
    monitor : {'loss', 'validation_loss', 'validation_score'}, default='validation_loss'
        Which number; of the score, more is better.
    patience : int, default=10
        Epochs in a row without an improvement after which training ends, at least 1.
    min_delta : float, default=0
        An improvement is more than this, at least 0.

    Raises
    ------
    ValueError
        If ``monitor`` is none of these, ``patience`` is no integer of at least 1, or
        ``min_delta`` is no finite number of at least 0.

    Examples
    --------
    Nothing can be learned here, so that only the first epoch is an improvement:

    >>> from fastbp import MLPRegressor
    >>> from fastbp.callbacks import EarlyStopping
    >>> stop = EarlyStopping("loss", patience=3)
    >>> model = MLPRegressor(weight_init="zeros", callbacks=[stop])
    >>> model.fit([[0.0], [1.0]], [0.0, 0.0]).n_iter_
    4
    """

    reads_model: ClassVar[bool] = False
    monitor: str = "validation_loss"
    patience: int = 10
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        _check_monitor(self)
        check_size(self.patience, "patience of EarlyStopping")
        check_field(self, "min_delta", 0)

    def on_fit_begin(self, estimator: Any) -> None:
        """Forget the best number so far, and the epochs since.

        Parameters
        ----------
        estimator : estimator or Trainer
            What is trained; it is not looked at.
        """
        self._best: float | None = None
        self._n_bad = 0

    def on_epoch_end(self, estimator: Any, record: EpochRecord) -> bool | None:
        """Count the epochs without an improvement; True after ``patience`` of them.

        Parameters
        ----------
        estimator : estimator or Trainer
            What is trained; it is not looked at.
        record : EpochRecord
            What is known of the epoch.

        Returns
        -------
        stop : bool
            Whether training is to end.

        Raises
        ------
        ValueError
            If ``monitor`` needs a validation set, or a score, and there is none.
        """
        value = _monitored(self, record)
        delta = (
            self.min_delta if self.monitor == "validation_score" else -self.min_delta
        )
        if _is_new_best(self, value, self._best, delta):
            self._best, self._n_bad = value, 0
        else:
            self._n_bad += 1
        return self._n_bad >= self.patience


@dataclass
class Checkpoint(Callback):
    """Pickle the model, with the weights of the epoch and no callbacks, to a file.

    The file is replaced as a whole: there is always a complete one. Loading it gives an
    estimator that predicts; with ``warm_start=True``, ``fit`` goes on from its weights.
    Or it gives a Trainer, which trains on as if it had not been interrupted.

    Parameters
    ----------
    path : str or path-like
        The file, in a directory that is there.
    monitor : {'loss', 'validation_loss', 'validation_score'} or None, default=None
        Write only if this number is the best so far in this fit; None: always.
    every : int, default=1
        Consider only every so many epochs, at least 1.

    Raises
    ------
    ValueError
        If ``path`` is no path, ``monitor`` is none of these, or ``every`` is no integer
        of at least 1.

    Examples
    --------
    >>> import pickle
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from fastbp import MLPRegressor
    >>> from fastbp.callbacks import Checkpoint
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "model.pkl")
    ...     model = MLPRegressor(max_iter=5, callbacks=[Checkpoint(path, every=2)])
    ...     model = model.fit([[0.0], [1.0]], [0.0, 1.0])
    ...     kept = pickle.loads(path.read_bytes())
    >>> kept.n_iter_
    4
    """

    path: str | os.PathLike[str]
    monitor: str | None = None
    every: int = 1

    def __post_init__(self) -> None:
        if self.monitor is not None:
            _check_monitor(self)
        _check_path(self)
        check_size(self.every, "every of Checkpoint")

    def on_fit_begin(self, estimator: Any) -> None:
        """Forget the best number so far, and look for the directory.

        Parameters
        ----------
        estimator : estimator or Trainer
            What is trained; it is not looked at.

        Raises
        ------
        FileNotFoundError
            If there is no such directory.
        """
        self._best: float | None = None
        if not Path(self.path).parent.is_dir():
            raise FileNotFoundError(
                f"path of Checkpoint must be in a directory that is there, got "
                f"{os.fspath(self.path)!r}"
            )

    def on_epoch_end(self, estimator: Any, record: EpochRecord) -> bool | None:
        """Write the file, if it is the turn of this epoch.

        Parameters
        ----------
        estimator : estimator or Trainer
            What is trained, with the weights of this epoch. What ``pickle`` raises, if
            a part of it cannot be pickled, is not caught.
        record : EpochRecord
            What is known of the epoch.

        Returns
        -------
        stop : None
            Training goes on.

        Raises
        ------
        OSError
            If the file cannot be written.
        ValueError
            If ``monitor`` needs a validation set, or a score, and there is none.
        """
        if record.epoch % self.every == 0 and self._is_wanted(record):
            self._replace(pickle.dumps(estimator, protocol=5))
        return None

    def _replace(self, content: bytes) -> None:
        path = Path(self.path)
        # A name of its own, as other processes may write the same file; not by
        # tempfile, which lets nobody else read it.
        part = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
        try:
            part.write_bytes(content)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def _is_wanted(self, record: EpochRecord) -> bool:
        if self.monitor is None:
            return True
        value = _monitored(self, record)
        if not _is_new_best(self, value, self._best):
            return False
        self._best = value
        return True


@dataclass
class CSVLogger(Callback):
    """Write a line of comma-separated values for each epoch.

    The columns are those of :class:`EpochRecord`; what is not known is left empty. The
    file is complete after each epoch.

    Parameters
    ----------
    path : str or path-like
        The file.
    append : bool, default=False
        Whether to add to a file that is there, without a second heading.

    Raises
    ------
    ValueError
        If ``path`` is no path, or ``append`` is no bool.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from fastbp import MLPRegressor
    >>> from fastbp.callbacks import CSVLogger
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "log.csv")
    ...     model = MLPRegressor(max_iter=2, callbacks=[CSVLogger(path)])
    ...     model = model.fit([[0.0], [1.0]], [0.0, 1.0])
    ...     lines = path.read_text().splitlines()
    >>> lines[0]
    'epoch,loss,validation_loss,validation_score,learning_rate,seconds'
    >>> len(lines)
    3
    """

    reads_model: ClassVar[bool] = False
    path: str | os.PathLike[str]
    append: bool = False

    def __post_init__(self) -> None:
        _check_path(self)
        check_bool(self.append, "append of CSVLogger")

    def on_fit_begin(self, estimator: Any) -> None:
        """Write the heading, if the file needs one.

        Parameters
        ----------
        estimator : estimator or Trainer
            What is trained; it is not looked at.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        path = Path(self.path)
        if not (self.append and path.exists() and path.stat().st_size > 0):
            self._write("w", EpochRecord._fields)

    def on_epoch_end(self, estimator: Any, record: EpochRecord) -> bool | None:
        """Write the line of this epoch.

        Parameters
        ----------
        estimator : estimator or Trainer
            What is trained; it is not looked at.
        record : EpochRecord
            What is known of the epoch.

        Returns
        -------
        stop : None
            Training goes on.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        self._write("a", record)
        return None

    def _write(self, mode: str, row: Any) -> None:
        with open(self.path, mode, newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerow(row)


@dataclass
class History(Callback):
    """Keep the records of the last fit.

    Attributes
    ----------
    records : list of EpochRecord
        One for each epoch.

    Examples
    --------
    >>> from fastbp import MLPRegressor
    >>> from fastbp.callbacks import History
    >>> history = History()
    >>> model = MLPRegressor(max_iter=3, callbacks=[history])
    >>> model = model.fit([[0.0], [1.0]], [0.0, 1.0])
    >>> history.column("epoch")
    [1, 2, 3]
    >>> history.column("loss") == model.loss_curve_
    True
    """

    reads_model: ClassVar[bool] = False
    records: list[EpochRecord] = field(default_factory=list, init=False, repr=False)

    def on_fit_begin(self, estimator: Any) -> None:
        """Forget the records of the fit before.

        Parameters
        ----------
        estimator : estimator or Trainer
            What is trained; it is not looked at.
        """
        self.records = []

    def on_epoch_end(self, estimator: Any, record: EpochRecord) -> bool | None:
        """Keep the record.

        Parameters
        ----------
        estimator : estimator or Trainer
            What is trained; it is not looked at.
        record : EpochRecord
            What is known of the epoch.

        Returns
        -------
        stop : None
            Training goes on.
        """
        self.records.append(record)
        return None

    def column(self, name: str) -> list[Any]:
        """Return one field of all records.

        Parameters
        ----------
        name : str
            A field of :class:`EpochRecord`, such as 'learning_rate'.

        Returns
        -------
        values : list
            Its value in each epoch.

        Raises
        ------
        ValueError
            If there is no such field.
        """
        if name not in EpochRecord._fields:
            raise ValueError(
                f"name must be one of {', '.join(map(repr, EpochRecord._fields))}, "
                f"got {name!r}"
            )
        return [getattr(record, name) for record in self.records]


@dataclass
class Timer(Callback):
    """Measure the epochs of the last fit.

    Attributes
    ----------
    seconds : list of float
        Duration of each epoch in seconds, with its validation and its callbacks before
        this one.

    Examples
    --------
    >>> from fastbp import MLPRegressor
    >>> from fastbp.callbacks import Timer
    >>> timer = Timer()
    >>> model = MLPRegressor(max_iter=3, callbacks=[timer])
    >>> model = model.fit([[0.0], [1.0]], [0.0, 1.0])
    >>> len(timer.seconds), timer.mean > 0
    (3, True)
    """

    reads_model: ClassVar[bool] = False
    seconds: list[float] = field(default_factory=list, init=False, repr=False)

    def on_fit_begin(self, estimator: Any) -> None:
        """Forget the durations of the fit before.

        Parameters
        ----------
        estimator : estimator or Trainer
            What is trained; it is not looked at.
        """
        self.seconds, self._last = [], 0.0

    def on_epoch_end(self, estimator: Any, record: EpochRecord) -> bool | None:
        """Keep the duration of this epoch.

        Parameters
        ----------
        estimator : estimator or Trainer
            What is trained; it is not looked at.
        record : EpochRecord
            What is known of the epoch.

        Returns
        -------
        stop : None
            Training goes on.
        """
        self.seconds.append(record.seconds - self._last)
        self._last = record.seconds
        return None

    @property
    def mean(self) -> float:
        """Mean duration of an epoch, in seconds; NaN before the first."""
        return float(np.mean(self.seconds)) if self.seconds else float("nan")


def as_callback(value: Any, name: str) -> Callback:
    """Return a callback, or a function as one."""
    if isinstance(value, Callback):
        return value
    if callable(value) and not isinstance(value, type):
        return FunctionCallback(value)
    raise ValueError(
        f"{name} must be an object of fastbp.callbacks or a function "
        f"(estimator, record), got {value!r}"
    )
