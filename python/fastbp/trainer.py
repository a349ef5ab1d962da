"""Trainer: the parameters of a network, changed so that a loss gets smaller."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from . import _core
from ._data import Samples, check_inputs, check_weights, read_only, weights_in
from ._diagnostics import diagnose, sampled_rows
from ._objective import NetworkObjective
from ._objects import check_bool, check_number, check_size
from ._prediction import predict_rows
from ._threads import effective_n_threads
from ._trainer_fit import Memory, TrainerFit
from .callbacks import Callback, as_callback
from .layers import BatchNorm, Dropout, check_trainable, drawn_seed
from .network import Network
from .optimizers import Optimizer, get_optimizer
from .schedules import Schedule, get_schedule

__all__ = ["Trainer"]

# Names in history that are not those of metrics.
RECORDED = (
    "epoch",
    "loss",
    "learning_rate",
    "seconds",
    "gradient_norm",
    "diagnostics",
)


class Trainer:
    """Gradient descent on a network, epoch by epoch.

    The estimators train by the same loop; what they do by scikit-learn's rules
    (stopping, splitting, counting) is left to callbacks and to the caller here.

    With ``batch_size=1`` it is Algorithm 1 of lecture 000 (one example at a time), with
    mini-batches Algorithm 2, with ``batch_size=None`` gradient descent on all samples;
    ``grad_tol`` is the theta at which both stop.

    Parameters
    ----------
    network : Network
        What is trained. Its parameters are written when training ends, and after each
        epoch if a function or an object of yours may look at them.
    loss : str, Loss or callable
        A name or an object of :mod:`fastbp.losses`, or a function ``(y_true, y_pred) ->
        (value per row, gradient)``, of the outputs of the network. 'squared_error' is
        half the squared error, summed over the outputs (lectures 000, 002, 004).

        A loss of probabilities ('log_loss' and its kind) takes them from a last layer
        with the activation 'softmax' or 'logistic'. Behind 'identity' it applies a
        softmax of its own, or with a single output the logistic function; 'poisson' and
        'gamma' apply the exponential function there. Then the outputs of the network
        are logits, or logarithms. Both are computed from pre-activations: no
        probability is too small for its logarithm.
    optimizer : str or Optimizer, default='sgd'
        A name or an object of :mod:`fastbp.optimizers`.
    schedule : str, Schedule or None, default=None
        A name or an object of :mod:`fastbp.schedules`, whose time begins at 0 in each
        call of ``fit``. For a ``Plateau`` an epoch is bad if the loss (that of the
        validation set, if there is one) is no new best; ``patience=None`` is 10.
    batch_size : int or None, default=32
        Samples of a step; None: all.
    shuffle : bool, default=True
        Whether each epoch takes the samples in a new order.
    random_state : int, RandomState or None, default=None
        Where the orders are drawn from, and before them the seed of dropout, if there
        is any.
    callbacks : iterable, default=()
        Objects of :mod:`fastbp.callbacks` or functions ``(trainer, record)``, called
        after each epoch; one that returns True ends the training.
    n_jobs : int or None, default=None
        Threads, as for :class:`MLPClassifier`. The results do not depend on it.
    alpha, l1 : float, default=0
        Penalties ``alpha / 2 * sum(W**2)`` and ``l1 * sum(abs(W))``, divided by the
        number of samples of the batch, as for :class:`MLPClassifier`.
    max_norm, clip_norm : float or None, default=None
        Largest norm of the weights that enter a unit, and of the gradient.
    grad_tol : float or None, default=None
        Training stops after an epoch at whose end the gradient of the mean loss over
        all samples, penalties included, has a norm under this. It costs a pass over
        the samples. Not with layers whose gradient depends on chance or on the batch:
        ``Dropout`` and ``BatchNorm``.
    metrics : mapping of str to function or None, default=None
        Functions ``(y, outputs)`` that return a number, measured after each epoch on
        training and validation data; outputs are those that the loss sees, as
        :meth:`predict` returns them.
    diagnostics : bool, default=False
        Whether ``history['diagnostics']`` gets what :meth:`diagnose` returns, after
        each epoch.
    saturation_bound : float, default=0.01
        A unit counts as saturated where the derivative of its activation is smaller.

    Attributes
    ----------
    network, loss, optimizer, ...
        The parameters, which may be set to other values, between calls of ``fit``.
    history : dict of str to list
        A number for each epoch of all calls of ``fit``: 'epoch' (from 1), 'loss' (mean
        over the epoch's steps, penalties included), 'learning_rate' (of the last step),
        'seconds' (since ``fit`` began); 'val_loss' if there is a validation set;
        'gradient_norm' with ``grad_tol``; for each metric its name and 'val_' + name;
        'diagnostics'.

    Raises
    ------
    ValueError
        If a value is not allowed, or the network has a threshold in it.

    Notes
    -----
    Ctrl-C raises KeyboardInterrupt, and everything is as after the last complete epoch:
    another ``fit`` goes on from there as if it had not been interrupted. A ``fit`` that
    fails leaves everything as it was. Moments of the optimizer are kept from one call
    to the next, unless the attribute ``optimizer`` has been given another rule.

    Examples
    --------
    >>> from fastbp import Network, Trainer
    >>> from fastbp.layers import Dense
    >>> from fastbp.optimizers import SGD
    >>> X, y = [[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]
    >>> network = Network([Dense(1)], n_in=1, random_state=0)
    >>> trainer = Trainer(network, "squared_error", SGD(0.5), batch_size=None)
    >>> network = trainer.fit(X, y, n_epochs=200).network
    >>> network.flat_parameters.round(3)
    array([2., 1.])
    """

    # What checks make of names and the like, when these are set.
    optimizer: Any
    schedule: Any
    callbacks: Any
    metrics: Any

    def __init__(
        self,
        network: Network,
        loss: Any,
        optimizer: str | Optimizer = "sgd",
        schedule: str | Schedule | None = None,
        *,
        batch_size: int | None = 32,
        shuffle: bool = True,
        random_state: Any = None,
        callbacks: Iterable[Any] = (),
        n_jobs: int | None = None,
        alpha: float = 0.0,
        l1: float = 0.0,
        max_norm: float | None = None,
        clip_norm: float | None = None,
        grad_tol: float | None = None,
        metrics: Mapping[str, Callable[[Any, Any], float]] | None = None,
        diagnostics: bool = False,
        saturation_bound: float = 0.01,
    ) -> None:
        self.network = network
        self.loss = loss
        self.optimizer = optimizer
        self.schedule = schedule
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.callbacks = callbacks
        self.n_jobs = n_jobs
        self.alpha = alpha
        self.l1 = l1
        self.max_norm = max_norm
        self.clip_norm = clip_norm
        self.grad_tol = grad_tol
        self.metrics = metrics
        self.diagnostics = diagnostics
        self.saturation_bound = saturation_bound
        self._generator = check_random_state(random_state)
        self._memory = Memory(dropout_seed=self._drawn_seed(network))
        self._records: list[dict[str, Any]] = []

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; the parameters are checked, whenever they are set."""
        check = _CHECKS.get(name)
        super().__setattr__(name, value if check is None else check(self, value))

    @property
    def _objective(self) -> NetworkObjective:
        return self.network._objective(self.loss)

    def _drawn_seed(self, network: Network) -> int:
        """Return the seed of dropout; without it the random stream is as ever."""
        if not any(isinstance(layer, Dropout) for layer in network.layers):
            return 0
        return drawn_seed(self._generator)

    @property
    def history(self) -> dict[str, list[Any]]:
        """What was recorded after each epoch: a list for each name."""
        names = dict.fromkeys(name for record in self._records for name in record)
        return {name: [r.get(name) for r in self._records] for name in names}

    def fit(
        self,
        X: Any,
        y: Any,
        n_epochs: int,
        X_val: Any = None,
        y_val: Any = None,
        *,
        sample_weight: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Trainer:
        """Train for some epochs, from where the network is.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_rows, n_in)
            Inputs; never copied as a whole.
        y : array-like of shape (n_rows, n_out) or (n_rows,)
            Targets; class labels 0 .. n_out - 1 behind a softmax, or probabilities of
            the classes.
        n_epochs : int
            How many at most, at least 1.
        X_val, y_val : like X and y, or None, default=None
            A validation set.
        sample_weight : array-like of shape (n_rows,) or None, default=None
            Weights of the rows of X; None: all 1.
        sample_weight_val : array-like of shape (n_rows,) or None, default=None
            Of those of X_val, for its loss. Metrics do not see them.

        Returns
        -------
        self : Trainer

        Raises
        ------
        ValueError
            If something has the wrong shape or values, a metric returns no number, or
            training diverges.
        """
        n_epochs = check_size(n_epochs, "n_epochs")
        # Checked anew: they, or the network, may have been changed in place.
        for name in ("callbacks", "metrics", "grad_tol"):
            setattr(self, name, getattr(self, name))
        samples = self._samples(X, y, sample_weight)
        samples.weights = weights_in(self.network.dtype, samples.weights)
        if (X_val is None) != (y_val is None):
            raise ValueError("a validation set is both X_val and y_val")
        if X_val is None and sample_weight_val is not None:
            raise ValueError("sample_weight_val needs X_val and y_val, got None")
        held_out = None
        if X_val is not None:
            held_out = self._samples(X_val, y_val, sample_weight_val, "_val")
        TrainerFit(self, samples, held_out, n_epochs).train()
        return self

    def _samples(self, X: Any, y: Any, sample_weight: Any, suffix: str = "") -> Samples:
        X = check_inputs(X, self.network.n_in, f"X{suffix}")
        y = self._objective.encode(y, X.shape[0], self.network.dtype, f"y{suffix}")
        try:
            weights = check_weights(sample_weight, X)
        except ValueError as error:
            raise ValueError(f"sample_weight{suffix}: {error}") from error
        return Samples(X, y, weights)

    def evaluate(
        self, X: Any, y: Any, sample_weight: ArrayLike | None = None
    ) -> dict[str, float]:
        """Measure loss, without penalties, and metrics.

        Parameters
        ----------
        X, y, sample_weight
            As for :meth:`fit`. Metrics do not see the weights.

        Returns
        -------
        measured : dict of str to float
            'loss' and each metric.

        Raises
        ------
        ValueError
            If something has the wrong shape or values, or a metric returns no number.
        """
        samples = self._samples(X, y, sample_weight)
        core = self.network._core_network(self._objective, samples.y)
        return self._measure(samples, core)

    def _measure(self, samples: Samples, core: _core.Network) -> dict[str, float]:
        objective = self._objective
        outputs = predict_rows(core, samples.X, self.n_jobs)
        measured = {"loss": objective.mean(samples, outputs)}
        for name, metric in self.metrics.items():
            measured[name] = _number_of(name, metric(read_only(samples.y), outputs))
        return measured

    def predict(self, X: Any) -> NDArray[Any]:
        """Return outputs as the loss sees them: of a classifier, probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_rows, n_in)
            Inputs.

        Returns
        -------
        outputs : ndarray of shape (n_rows, n_out)
            Of the dtype of the network, whatever that of X.

        Raises
        ------
        ValueError
            If X has the wrong shape or values.
        """
        X = check_inputs(X, self.network.n_in)
        core = self.network._core_network(self._objective)
        return predict_rows(core, X, self.n_jobs)

    def diagnose(
        self, X: Any, y: Any, sample_weight: ArrayLike | None = None
    ) -> NDArray[Any]:
        """Look into every layer: sizes of gradients, dead and saturated units.

        Parameters
        ----------
        X, y, sample_weight
            As for :meth:`fit`; at most 1024 rows of them, evenly spread, are used.

        Returns
        -------
        records : structured ndarray of shape (n_layers,)
            'layer', a name; Euclidean norms over all parameters of the layer:
            'gradient_norm' (of the mean loss), 'weight_norm', and 'update_norm' (the
            change in an epoch; NaN outside of ``fit``); 'dead', the share of units
            whose activation has the derivative 0 in every row, as of a dead ReLU;
            'saturated', the share of units and rows in which the absolute derivative
            is less than ``saturation_bound``. All numbers are float64. The pass is that
            of a prediction: nothing is dropped, and batches are normalised by running
            averages.

        Raises
        ------
        ValueError
            If something has the wrong shape or values.
        """
        return self._diagnose(self._samples(X, y, sample_weight))

    def _diagnose(
        self, samples: Samples, update: NDArray[Any] | None = None
    ) -> NDArray[Any]:
        few = samples.subset(sampled_rows(samples.rows_with_weight()))
        return diagnose(
            self.network,
            few.X,
            few.y,
            few.weights,
            self._objective,
            bound=self.saturation_bound,
            update=update,
        )

    def __repr__(self) -> str:
        return (
            f"Trainer({self.network!r}, {self.loss!r}, {self.optimizer!r}, "
            f"{self.schedule!r}, batch_size={self.batch_size!r})"
        )

    def __copy__(self) -> Trainer:
        """Return one of the same network, whose history goes on separately."""
        twin = object.__new__(type(self))
        own = {"_records": list(self._records), "_memory": replace(self._memory)}
        twin.__dict__.update(self.__dict__, **own)
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> Trainer:
        twin = memo[id(self)] = object.__new__(type(self))
        # Callbacks may be what keeps the copy.
        own = {**self.__dict__, "callbacks": []}
        twin.__dict__.update(copy.deepcopy(own, memo), callbacks=list(self.callbacks))
        return twin

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the callbacks of a pickle: they belong to the process."""
        return {**self.__dict__, "callbacks": []}


def _checked_network(trainer: Trainer, network: Any) -> Network:
    """Refuse what cannot be trained; another network starts without moments."""
    if not isinstance(network, Network):
        raise ValueError(f"network must be a fastbp.Network, got {network!r}")
    check_trainable(network.layers)
    if network is not getattr(trainer, "network", network):
        network._objective(trainer.loss)
        seed = trainer._drawn_seed(network)
        trainer._memory = replace(trainer._memory, dropout_seed=seed, t=0, moments=[])
    return network


def _checked_loss(trainer: Trainer, loss: Any) -> Any:
    trainer.network._objective(loss)
    return loss


def _checked_callbacks(trainer: Trainer, callbacks: Any) -> list[Callback]:
    if not isinstance(callbacks, Iterable):
        raise ValueError(f"callbacks must be a list, got {callbacks!r}")
    return [as_callback(c, f"callbacks[{i}]") for i, c in enumerate(callbacks)]


def _checked_n_jobs(trainer: Trainer, n_jobs: int | None) -> int | None:
    effective_n_threads(n_jobs)
    return n_jobs


def _check_grad_tol(trainer: Trainer, grad_tol: Any) -> float | None:
    limit = _limit(grad_tol, "grad_tol")
    for layer in trainer.network.layers if limit is not None else ():
        if isinstance(layer, BatchNorm | Dropout):
            raise ValueError(
                "grad_tol needs a gradient that depends on the parameters only: it "
                f"must be None for a network with {layer!r}, got {grad_tol!r}"
            )
    return limit


def _checked_metrics(metrics: Any) -> dict[str, Callable[[Any, Any], float]]:
    """Refuse what is no mapping of names, that are free, to functions."""
    if metrics is None:
        return {}
    if not isinstance(metrics, Mapping):
        raise ValueError(f"metrics must map names to functions, got {metrics!r}")
    for name, metric in metrics.items():
        if not isinstance(name, str) or name in RECORDED or name.startswith("val_"):
            raise ValueError(
                f"a name in metrics must be a str that is none of "
                f"{', '.join(map(repr, RECORDED))} and does not begin with 'val_', "
                f"got {name!r}"
            )
        if not callable(metric):
            raise ValueError(f"metrics[{name!r}] must be a function, got {metric!r}")
    return dict(metrics)


def _number_of(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"metrics[{name!r}] must return a number, got {value!r}"
        ) from error


def _limit(value: Any, name: str) -> float | None:
    return None if value is None else check_number(value, name, 0, closed="neither")


_CHECKS: dict[str, Callable[[Trainer, Any], Any]] = {
    "network": _checked_network,
    "loss": _checked_loss,
    "optimizer": lambda _, given: get_optimizer(given),
    "schedule": lambda _, given: None if given is None else get_schedule(given),
    "batch_size": lambda _, n: None if n is None else check_size(n, "batch_size"),
    "shuffle": lambda _, given: check_bool(given, "shuffle"),
    "callbacks": _checked_callbacks,
    "n_jobs": _checked_n_jobs,
    "alpha": lambda _, given: check_number(given, "alpha", 0),
    "l1": lambda _, given: check_number(given, "l1", 0),
    "max_norm": lambda _, given: _limit(given, "max_norm"),
    "clip_norm": lambda _, given: _limit(given, "clip_norm"),
    "grad_tol": _check_grad_tol,
    "metrics": lambda _, given: _checked_metrics(given),
    "diagnostics": lambda _, given: check_bool(given, "diagnostics"),
    "saturation_bound": lambda _, given: check_number(
        given, "saturation_bound", 0, closed="neither"
    ),
}
