"""Network: layers with their parameters, to be looked at, run and differentiated."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from . import _core
from ._blas import one_blas_thread
from ._config import configured_blas
from ._data import Samples, check_inputs, check_weights, conversion_of, rows_of
from ._gradient_check import worst_error
from ._hidden_layers import layers_of
from ._network_owner import NetworkOwner
from ._objective import OUTPUT_ONLY, NetworkObjective
from ._objects import check_bool, check_size
from ._prediction import n_threads_for, predict_rows
from ._threads import n_threads_to_copy
from .layers import Dense, Dropout, Layer, check_trainable, drawn_seed
from .losses import OUTPUTS

__all__ = ["Network"]


class _Step:
    """How layers do: as in a prediction, or as in a training step with a seed."""

    def __init__(self, training: bool, random_state: Any = None) -> None:
        self.training = check_bool(training, "training")
        self.seed = 0
        if training:
            self.seed = drawn_seed(check_random_state(random_state))


_PREDICTION = _Step(training=False)


class Network:
    """A stack of layers and the vector of their parameters.

    Parameters
    ----------
    layers : sequence of Layer
        Objects of :mod:`fastbp.layers`, from the inputs to the outputs. The first and
        the last are ``Dense``; before the first there may be one ``Dropout``.
    n_in : int
        Number of inputs, at least 1.
    dtype : {'float32', 'float64'}, default='float64'
        Type of the parameters and of all arithmetic.
    random_state : int, RandomState or None, default=None
        Where the initializers draw from.

    Attributes
    ----------
    layers : tuple of Layer
    n_in, n_out : int
        Number of inputs and of outputs.
    dtype : str

    Raises
    ------
    ValueError
        If a value is not allowed, layers are in another order, or given weights do not
        fit the layer before.

    See Also
    --------
    Trainer : Changes the parameters so that a loss gets smaller.
    MLPClassifier, MLPRegressor : The same networks as scikit-learn estimators.

    Notes
    -----
    The parameters are one flat, row-major vector that belongs to the network;
    ``parameters`` are views of it by name, and so are ``gradients`` of another one.
    ``statistics`` are what ``BatchNorm`` keeps besides. Write into them as you like.
    The core computes with its own copy in another layout. Every call compares the two
    and copies what has changed; a :class:`Trainer` copies it back when training ends,
    and after each epoch if a function or an object of yours may look at it, or its
    ``diagnostics`` or ``grad_tol`` do.

    Nothing here depends on the number of threads.

    Some layers do in training what they do not in a prediction: ``Dropout`` and
    ``BatchNorm``. Everything here is that of a prediction, unless ``training=True``
    asks for a training step's; statistics are changed by a :class:`Trainer` only.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import Network
    >>> from fastbp.layers import Dense
    >>> network = Network([Dense(3, "tanh"), Dense(1)], n_in=2, random_state=0)
    >>> network.forward([[0.0, 1.0], [1.0, 0.0]]).shape
    (2, 1)
    >>> network.backward([[1.0], [0.0]]).shape  # gradient with respect to the inputs
    (2, 2)
    >>> network.gradients["dense_1.biases"]
    array([1.])
    >>> print(network.summary())
    layer    output  activation  parameters
    inputs   (n, 2)
    dense_0  (n, 3)  tanh                 9
    dense_1  (n, 1)  identity             4
    total                                13
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        *,
        n_in: int,
        dtype: str = "float64",
        random_state: Any = None,
    ) -> None:
        self.layers = tuple(layers) if isinstance(layers, Iterable) else ()
        if not self.layers or not all(isinstance(x, Layer) for x in self.layers):
            raise ValueError(
                f"layers must be objects of fastbp.layers, at least one, got {layers!r}"
            )
        self.n_in = check_size(n_in, "n_in")
        self.dtype = _dtype_name(dtype)
        self._check_order()
        self._n_units = [self.n_in]
        for i, layer in enumerate(self.layers):
            self._n_units.append(layer._n_out(self._n_units[-1]))
            if layer.activation.name == "softmax" and self._n_units[-1] == 1:
                raise ValueError(
                    f"layer {i} has activation='softmax' and a single unit, whose "
                    "output is always 1: use 'logistic'"
                )
            if layer.activation.is_only_last and i + 1 < len(self.layers):
                raise ValueError(
                    f"layer {i} has activation={layer.activation.name!r}, which only "
                    "the last layer may have"
                )
        generator = check_random_state(random_state)
        drawn = [
            layer._draw(n, generator)
            for layer, n in zip(self.layers, self._n_units, strict=False)
        ]
        self._reserve()
        for i, values in enumerate(drawn):
            for part, value in values.items():
                name = self._name(i, part)
                held = self.parameters if name in self.parameters else self.statistics
                with np.errstate(over="ignore"):
                    held[name][...] = value
                if not np.isfinite(held[name]).all():
                    raise ValueError(
                        f"layer {i}, {self.layers[i]!r}, must have finite {part} in "
                        f"{self.dtype}, got NaN or infinity"
                    )

    def _check_order(self) -> None:
        """Refuse layers in an order that the core has not."""
        first = self._n_before
        ends = self.layers[first : first + 1] + self.layers[-1:]
        for layer in ends:
            if not isinstance(layer, Dense):
                raise ValueError(
                    "the first layer and the last must be Dense, but one Dropout may "
                    f"come before, got {layer!r}"
                )

    @property
    def _n_before(self) -> int:
        """Number of layers, 0 or 1, before those that the core counts: dropout."""
        return int(isinstance(self.layers[0], Dropout))

    def _reserve(self) -> None:
        """Make the flat vectors and their views."""

        def shapes_of(kind: str) -> dict[str, tuple[int, ...]]:
            return {
                self._name(i, part): shape
                for i, layer in enumerate(self.layers)
                for part, shape in getattr(layer, kind)(self._n_units[i]).items()
            }

        self._shapes = shapes_of("_shapes")
        statistics = shapes_of("_statistics")
        # Parameters first, then statistics: all that training changes.
        self._state = np.zeros(_size(self._shapes) + _size(statistics), self.dtype)
        self._flat = self._state[: _size(self._shapes)]
        self._flat_gradients = np.zeros_like(self._flat)
        self.parameters = self._views_of(self._flat)
        self.gradients = self._views_of(self._flat_gradients)
        self.statistics = _views(self._state[self._flat.size :], statistics)
        self._parameter_arrays = self._arrays_of(self.parameters)
        self._gradient_arrays = self._arrays_of(self.gradients)
        self._core: _core.Network | None = None
        self._blas: _core.Blas | None = None  # that it was made with,
        self._process = 0  # and by whom

    def _views_of(self, flat: NDArray[Any]) -> Mapping[str, NDArray[Any]]:
        """Return views of a vector like that of the parameters, by their names."""
        return _views(flat, self._shapes)

    def _name(self, layer: int, part: str) -> str:
        return f"{self.layers[layer].name}_{layer}.{part}"

    def _names_of(self, layer: int) -> list[str]:
        """Return the names of a layer's parameters."""
        return [
            self._name(layer, part)
            for part in self.layers[layer]._shapes(self._n_units[layer])
        ]

    parameters: Mapping[str, NDArray[Any]]
    """Views of the parameters by name: 'dense_0.weights', 'dense_0.biases', ..."""

    gradients: Mapping[str, NDArray[Any]]
    """Views of the gradients by the same names, as of the last backward pass."""

    statistics: Mapping[str, NDArray[Any]]
    """Views of what batch normalization keeps: 'batch_norm_1.mean' and so on."""

    _tape: _core.Tape | None = None
    """The last forward pass; memory for the next if the core has others now."""

    @property
    def n_out(self) -> int:
        """Number of outputs."""
        return self._n_units[-1]

    @property
    def flat_parameters(self) -> NDArray[Any]:
        """All parameters as one vector, (n_parameters,): the memory of the views."""
        return self._flat

    @property
    def flat_gradients(self) -> NDArray[Any]:
        """All gradients as one vector, likewise."""
        return self._flat_gradients

    @classmethod
    def from_estimator(cls, estimator: Any) -> Network:
        """Return the network of a fitted estimator, to be taken apart.

        Parameters
        ----------
        estimator : MLPClassifier or MLPRegressor
            Fitted.

        Returns
        -------
        network : Network
            With copies of its weights, biases and norms, in their dtype. The last layer
            has the output activation; there is a ``Dropout`` wherever the parameters of
            the estimator ask for it, which a prediction passes by.

        Raises
        ------
        ValueError
            If it is something else, or its attributes do not fit each other.
        sklearn.exceptions.NotFittedError
            If it is not fitted.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from fastbp import MLPClassifier, Network
        >>> X, y = load_iris(return_X_y=True)
        >>> model = MLPClassifier((4,), solver="lbfgs", random_state=0).fit(X, y)
        >>> Network.from_estimator(model)
        Network([Dense(4, ReLU()), Dense(3, Softmax())], n_in=4, dtype='float64')
        """
        if not isinstance(estimator, NetworkOwner):
            raise ValueError(
                "estimator must be a fastbp.MLPClassifier or MLPRegressor, got "
                f"{estimator!r}"
            )
        check_is_fitted(estimator)
        dtype = estimator._parameter_dtype()
        arrays = estimator._parameters(dtype)
        estimator._network(dtype, estimator._core_output())  # refuses what cannot be
        n_units = [len(arrays[0][0]), *map(len, arrays[1])]
        layers = layers_of(estimator, n_units)
        network = cls(layers, n_in=n_units[0], dtype=dtype.name, random_state=0)
        network._store(arrays)
        return network

    # Forward and backward.

    def forward(
        self, X: Any, *, training: bool = False, random_state: Any = None
    ) -> NDArray[Any]:
        """Run X through all layers and keep what each makes of it.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_rows, n_in)
            Inputs, all rows at once.
        training : bool, default=False
            Whether layers do as in a training step on these rows.
        random_state : int, RandomState or None, default=None
            Where the random numbers of dropout come from, in training.

        Returns
        -------
        outputs : ndarray of shape (n_rows, n_out)
            Activations of the last layer.

        Raises
        ------
        ValueError
            If X is not finite numbers of that shape.
        """
        step = _Step(training, random_state)
        tape = self._taped(check_inputs(X, self.n_in), step)
        outputs = self._outputs(tape)
        self._tape = tape
        return outputs

    def _taped(
        self,
        X: Any,
        step: _Step = _PREDICTION,
        weights: NDArray[np.float64] | None = None,
    ) -> _core.Tape:
        """Return the forward pass of X."""
        core = self._synchronized()
        rows = rows_of(X)
        how: Any = {
            "sample_weight": weights,
            "training": step.training,
            "seed": step.seed,
            "n_threads": n_threads_for(core, X),
        }
        spare = self._without_old_tape()
        with one_blas_thread(core):
            if spare is not None and spare.forward(core, rows, **how):
                return spare
            spare = None  # its memory is free before more is asked for
            return _core.Tape(core, rows, **how)

    def _without_old_tape(self) -> _core.Tape | None:
        """Give away the last pass if the core has other parameters now."""
        if self._tape is None or self._tape.is_current:
            return None
        tape: _core.Tape | None = vars(self).pop("_tape", None)  # for one thread
        if tape is not None and tape.is_current:  # of another thread, just now
            self._tape = tape
            return None
        return tape

    @property
    def activations(self) -> list[NDArray[Any]]:
        """Outputs of every layer in the last forward pass, each (n_rows, n_out)."""
        tape = self._last_tape()
        return [
            *([tape.inputs()] * self._n_before),
            *[tape.output(i) for i in range(self._n_in_core - 1)],
            self._outputs(tape),
        ]

    @property
    def pre_activations(self) -> list[NDArray[Any]]:
        """What every activation was applied to in it: z = x W + b, (n_rows, n_out)."""
        tape = self._last_tape()
        return [
            *([tape.inputs()] * self._n_before),
            *[
                tape.pre_activations(i, n_threads=self._n_threads(tape))
                for i in range(self._n_in_core)
            ],
        ]

    @property
    def _n_in_core(self) -> int:
        return len(self.layers) - self._n_before

    def _last_tape(self) -> _core.Tape:
        tape = self._tape
        if tape is None or not tape.is_current:
            raise RuntimeError(
                "there is no forward pass with these parameters: call forward(X) first"
            )
        return tape

    def backward(self, grad_output: ArrayLike) -> NDArray[Any]:
        """Send a gradient at the outputs back through the last forward pass.

        Backpropagation: lecture 004, BP1 to BP4, for any gradient; lecture 001 for the
        error signal at the inputs.

        Parameters
        ----------
        grad_output : array-like of shape (n_rows, n_out)
            Gradient of some number with respect to the outputs.

        Returns
        -------
        grad_input : ndarray of shape (n_rows, n_in)
            Its gradient with respect to the inputs. That with respect to the
            parameters, summed over the rows, is in ``gradients``.

        Raises
        ------
        RuntimeError
            If there is no forward pass with the parameters as they are now.
        ValueError
            If the shape is wrong, or a layer is a threshold.
        """
        core = self._own_core()
        if core is not None:
            self._pass_on_parameters(core)
        return self._backward(self._last_tape(), grad_output, self._gradient_arrays)

    def _backward(
        self, tape: _core.Tape, grad_output: ArrayLike, gradients: Any = None
    ) -> NDArray[Any]:
        """Return the gradient of the inputs; that of the parameters is written."""
        check_trainable(self.layers)
        with conversion_of("grad_output"):
            gradient = np.asarray(grad_output)
        if gradient.dtype.kind not in "fiub":
            raise ValueError(f"grad_output must hold numbers, got {gradient.dtype}")
        gradient = np.ascontiguousarray(gradient, dtype=self.dtype)
        if gradient.shape != (tape.n_rows, self.n_out):
            raise ValueError(
                f"grad_output must have shape {(tape.n_rows, self.n_out)}, got "
                f"{gradient.shape}"
            )
        grad_input: NDArray[Any] = self._loss_backward(
            tape, gradient, OUTPUT_ONLY[self._output], gradients=gradients
        )[1]
        return grad_input

    def loss_and_gradients(
        self,
        X: Any,
        y: Any,
        loss: Any,
        sample_weight: ArrayLike | None = None,
        *,
        training: bool = False,
        random_state: Any = None,
    ) -> tuple[float, Mapping[str, NDArray[Any]]]:
        """Compute the loss over all rows and its gradient, forward and backward.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_rows, n_in)
            Inputs.
        y : array-like of shape (n_rows, n_out) or (n_rows,)
            Targets; class labels 0 .. n_out - 1 behind a softmax.
        loss : str, Loss or callable
            As for :class:`Trainer`.
        sample_weight : array-like of shape (n_rows,) or None, default=None
            Weights of the rows; None: all 1.
        training, random_state
            As for :meth:`forward`.

        Returns
        -------
        loss : float
            Mean over the rows, weighted.
        gradients : mapping of str to ndarray
            Its gradient: ``gradients`` itself, overwritten by the next backward pass.

        Raises
        ------
        ValueError
            If something has the wrong shape or values, or a layer is a threshold.
        """
        objective = self._objective(loss)
        X = check_inputs(X, self.n_in)
        y = objective.encode(y, X.shape[0], self.dtype)
        weights = check_weights(sample_weight, X)
        step = _Step(training, random_state)
        return self._loss_and_gradients(X, y, objective, weights, step), self.gradients

    def _loss_and_gradients(
        self,
        X: Any,
        y: NDArray[Any],
        objective: NetworkObjective,
        weights: NDArray[np.float64] | None,
        step: _Step = _PREDICTION,
    ) -> float:
        if weights is None:
            weights = np.ones(X.shape[0])
        shares = weights / weights.sum()
        tape = self._taped(X, step, shares)
        losses, _ = self._objective_backward(
            tape, y, objective, shares, gradients=self._gradient_arrays, inputs=False
        )
        self._tape = tape
        return float(losses.sum(dtype=np.float64))

    def _objective_backward(
        self,
        tape: _core.Tape,
        y: NDArray[Any],
        objective: NetworkObjective,
        weights: NDArray[np.float64],
        **wanted: Any,
    ) -> tuple[NDArray[Any], Any]:
        """Return losses of the rows, times their weights, and dX as _loss_backward."""
        check_trainable(self.layers)
        if objective.outer_loss is None:
            loss = objective.in_core(y)
            return self._loss_backward(tape, y, loss, weights, **wanted)
        own = objective.numbers(y, self.dtype).copy()
        losses, gradient = objective.outer_loss(own, self._outputs(tape))
        _, dX = self._loss_backward(
            tape, gradient, OUTPUT_ONLY[self._output], weights, **wanted
        )
        return losses * weights.astype(self.dtype), dX

    def _loss_backward(
        self,
        tape: _core.Tape,
        y: NDArray[Any],
        loss: _core.Loss,
        weights: NDArray[np.float64] | None = None,
        *,
        gradients: Any = None,
        inputs: bool = True,
    ) -> tuple[NDArray[Any], Any]:
        """Return losses, and the gradient of their sum: dX, if that is wanted.

        That of the parameters is written into arrays like those of
        :meth:`_arrays_of`, if there are any.
        """
        assert self._core is not None  # there is a tape
        n_threads = self._n_threads(tape)
        with one_blas_thread(self._core):
            return tape.backward(
                y,
                loss,
                sample_weight=weights,
                gradients=gradients,
                inputs=inputs,
                n_threads=n_threads,
            )

    def _n_threads(self, tape: _core.Tape) -> int:
        """Return the threads for another pass through the rows of a tape."""
        assert self._core is not None
        return n_threads_for(self._core, n_rows=tape.n_rows)

    def input_gradient(
        self, X: Any, output: int | None = None, *, y: Any = None, loss: Any = None
    ) -> NDArray[Any]:
        """Compute the gradient with respect to the inputs, for each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_rows, n_in)
            Inputs.
        output : int or None, default=None
            Of which output; None is right for the only one.
        y : array-like or None, default=None
            Targets. With them the gradient is that of each row's loss.
        loss : str, Loss, callable or None, default=None
            The loss, if there are targets.

        Returns
        -------
        gradient : ndarray of shape (n_rows, n_in)

        Raises
        ------
        ValueError
            If something has the wrong shape or values, or a layer is a threshold.
        """
        X = check_inputs(X, self.n_in)
        if y is None and loss is None:
            tape = self._taped(X)
            gradient = self._unit_gradient(tape, self._checked_output(output))
            return self._backward(tape, gradient)
        if y is None or loss is None or output is not None:
            raise ValueError(
                "input_gradient needs an output, or both y and loss, got "
                f"output={output!r}, y {'None' if y is None else 'given'} and "
                f"loss={loss!r}"
            )
        objective = self._objective(loss)
        y = objective.encode(y, X.shape[0], self.dtype)
        ones = np.ones(X.shape[0])
        tape = self._taped(X)
        of_losses: NDArray[Any] = self._objective_backward(tape, y, objective, ones)[1]
        return of_losses

    def _checked_output(self, output: int | None) -> int:
        if output is None and self.n_out == 1:
            return 0
        if not isinstance(output, Integral) or not 0 <= output < self.n_out:
            raise ValueError(
                f"output must be an integer in [0, {self.n_out}), got {output!r}"
            )
        return int(output)

    def _unit_gradient(self, tape: _core.Tape, output: int) -> NDArray[Any]:
        gradient = np.zeros((tape.n_rows, self.n_out), self.dtype)
        gradient[:, output] = 1
        return gradient

    def jacobian(self, X: Any) -> NDArray[Any]:
        """Compute the derivatives of all outputs with respect to all inputs.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_rows, n_in)
            Inputs.

        Returns
        -------
        jacobian : ndarray of shape (n_rows, n_out, n_in)
            One forward pass and ``n_out`` backward passes make it.

        Raises
        ------
        ValueError
            If X has the wrong shape or values, or a layer is a threshold.
        """
        tape = self._taped(check_inputs(X, self.n_in))
        return np.stack(
            [
                self._backward(tape, self._unit_gradient(tape, k))
                for k in range(self.n_out)
            ],
            axis=1,
        )

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the outputs for X, as :meth:`forward`, without keeping the layers'.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_rows, n_in)
            Inputs, of any number of rows.

        Returns
        -------
        outputs : ndarray of shape (n_rows, n_out)

        Raises
        ------
        ValueError
            If X has the wrong shape or values.
        """
        X = check_inputs(X, self.n_in)
        core = self._synchronized()
        self._without_old_tape()  # which may be large, and is not needed here
        return predict_rows(core, X)

    # To look at.

    def summary(self) -> str:
        """Return a table of the layers: output shape, activation, parameters.

        Returns
        -------
        table : str
            A line for each layer, with a heading and the total.
        """
        rows = [("layer", "output", "activation", "parameters")]
        rows.append(("inputs", f"(n, {self.n_in})", "", ""))
        for i, layer in enumerate(self.layers):
            shapes = layer._shapes(self._n_units[i])
            n_parameters = sum(int(np.prod(shape)) for shape in shapes.values())
            output = f"(n, {self._n_units[i + 1]})"
            name = layer.activation.name
            rows.append((f"{layer.name}_{i}", output, name, str(n_parameters)))
        rows.append(("total", "", "", str(self._flat.size)))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join(
                cell.rjust(width) if column == 3 else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        )

    def gradient_check(
        self,
        X: Any,
        y: Any,
        loss: Any,
        sample_weight: ArrayLike | None = None,
        *,
        n_checked: int | None = None,
        training: bool = False,
        random_state: Any = None,
    ) -> dict[str, float]:
        """Compare the gradients with central differences of the loss, in float64.

        Parameters
        ----------
        X, y, loss, sample_weight, training, random_state
            As for :meth:`loss_and_gradients`.
        n_checked : int or None, default=None
            At most so many numbers of each parameter, evenly spread; None: all. Each
            takes the loss twice: a forward pass each, in training all of a step.

        Returns
        -------
        errors : dict of str to float
            For each parameter ``max |g - d| / max(|g|, |d|)``, where both maxima are
            over its gradient g and its differences d, but no less than a hundredth of
            the largest gradient of all: some are 0 but for rounding, as those of biases
            before a norm. About 1e-9 for smooth activations; at a kink (ReLU)
            differences are no derivatives.

        Raises
        ------
        ValueError
            If something has the wrong shape or values, or a layer is a threshold.
        """
        objective = self._objective(loss)
        if n_checked is not None:
            n_checked = check_size(n_checked, "n_checked")
        X = check_inputs(X, self.n_in)
        y = objective.encode(y, X.shape[0], "float64")
        weights = check_weights(sample_weight, X)
        samples = Samples(X, y, weights)
        twin = self._twin("float64")
        step = _Step(training, random_state)
        twin._loss_and_gradients(X, y, objective, weights, step)
        gradients = twin._views_of(twin.flat_gradients.copy())
        least = 0.01 * float(np.abs(twin.flat_gradients).max())
        core = twin._core_network(objective, y)

        def loss_now() -> float:
            if training:
                return twin._loss_and_gradients(X, y, objective, weights, step)
            core.set_parameters(*twin._parameter_arrays)
            return objective.mean(samples, predict_rows(core, X))

        return {
            name: worst_error(
                twin.parameters[name], gradient, loss_now, n_checked, least
            )
            for name, gradient in gradients.items()
        }

    def __repr__(self) -> str:
        layers = ", ".join(map(repr, self.layers))
        return f"Network([{layers}], n_in={self.n_in}, dtype={self.dtype!r})"

    # Copies.

    def copy(self) -> Network:
        """Return a network with the same layers and a copy of the parameters.

        Returns
        -------
        twin : Network
            Of the last forward and backward pass it knows nothing.
        """
        return self._twin(self.dtype)

    def _twin(self, dtype: str) -> Network:
        twin = type(self).__new__(type(self))
        twin.__setstate__({**self.__getstate__(), "dtype": dtype})
        return twin

    def __getstate__(self) -> dict[str, Any]:
        names = ("layers", "n_in", "dtype", "_n_units")
        state = {name: getattr(self, name) for name in names}
        return {**state, "state": self._state}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        numbers = state.pop("state")
        self.__dict__.update(state)
        self._reserve()
        self._state[:] = numbers

    # The core.

    def _objective(self, loss: Any) -> NetworkObjective:
        return NetworkObjective(loss, self.layers[-1].activation, self.n_out)

    def _outputs(self, tape: _core.Tape) -> NDArray[Any]:
        outputs: NDArray[Any] = tape.outputs(n_threads=self._n_threads(tape))
        return outputs

    @property
    def _output(self) -> str:
        """The activation of the last layer, if the core leaves it to the loss."""
        name = self.layers[-1].activation.name
        return name if name in OUTPUTS else "identity"

    def _synchronized(self) -> _core.Network:
        """Return the core's network with the parameters as they are now."""
        core, blas = self._own_core(), configured_blas()
        if core is None or self._blas is not blas:
            self._core = core = self._core_network()
            self._blas, self._process = blas, os.getpid()
            self._tape = None  # was made by the former one
        else:
            self._pass_on_parameters(core)
        return core

    def _own_core(self) -> _core.Network | None:
        """Return the core's network, unless it is that of a parent process.

        There a thread may have held its lock that is not in this one to release it.
        """
        if self._process != os.getpid():
            self._core = self._tape = None
        return self._core

    def _pass_on_parameters(self, core: _core.Network) -> None:
        """Give the core the parameters as they are now."""
        arrays = self._parameter_arrays
        core.set_parameters(*arrays, n_threads=n_threads_to_copy(arrays[0]))

    def _core_network(
        self, objective: NetworkObjective | None = None, y: Any = None
    ) -> _core.Network:
        """Return a new network of the core: the one place that knows how it is made.

        With the loss for targets like y, or for passes that have their own.
        """
        dtype: Any = self.dtype
        output_only = OUTPUT_ONLY[self._output]
        loss = output_only if objective is None else objective.in_core(y)
        last = len(self.layers) - 1
        specs = [
            layer._in_core(
                "identity" if i == last and self._output != "identity" else None
            )
            for i, layer in enumerate(self.layers)
        ]
        core = _core.Network(specs, loss, dtype, n_in=self.n_in, blas=configured_blas())
        self._pass_on_parameters(core)
        return core

    def _arrays_of(
        self, views: Mapping[str, NDArray[Any]]
    ) -> tuple[list[Any], list[Any], list[dict[str, Any]]]:
        """Return them as the core has them: weights, biases or zeros, and norms.

        With statistics, if there are any.
        """
        weights, biases, norms = [], [], []
        for i, n_out in enumerate(self._n_units[1:]):
            own = self._own(i, views)
            if "weights" in own:
                weights.append(own["weights"])
                biases.append(own.get("biases", np.zeros(n_out, self.dtype)))
            elif own:
                norms.append(own)
        return weights, biases, norms

    def _own(
        self, layer: int, views: Mapping[str, NDArray[Any]]
    ) -> dict[str, NDArray[Any]]:
        """Return views of a layer and its statistics, by the names of its parts."""
        n_in = self._n_units[layer]
        parts = self.layers[layer]._shapes(n_in)
        statistics = self.layers[layer]._statistics(n_in)
        own = {part: views[self._name(layer, part)] for part in parts}
        of_others = {p: self.statistics[self._name(layer, p)] for p in statistics}
        return {**own, **of_others}

    def _store(self, arrays: Sequence[Any]) -> None:
        """Take over parameters and statistics from the core."""
        copy_arrays(arrays, self._parameter_arrays)


def copy_arrays(arrays: Sequence[Any], to: Sequence[Any]) -> None:
    """Copy (weights, biases), and norms if any, of the core into like arrays."""
    weights, biases, *norms = arrays
    for held, array in zip((*to[0], *to[1]), (*weights, *biases), strict=True):
        held[...] = array
    for held, norm in zip(to[2], norms[0] if norms else (), strict=True):
        for part, array in norm.items():
            held[part][...] = array


def _dtype_name(dtype: Any) -> str:
    """Return 'float32' or 'float64' for what NumPy understands as such."""
    try:
        name = "" if dtype is None else np.dtype(dtype).name
    except TypeError:
        name = ""
    if name not in ("float32", "float64"):
        raise ValueError(f"dtype must be 'float32' or 'float64', got {dtype!r}")
    return name


def _size(shapes: Mapping[str, tuple[int, ...]]) -> int:
    return sum(int(np.prod(shape)) for shape in shapes.values())


def _views(
    flat: NDArray[Any], shapes: Mapping[str, tuple[int, ...]]
) -> Mapping[str, NDArray[Any]]:
    """Return views of a vector, one after the other."""
    views, first = {}, 0
    for name, shape in shapes.items():
        size = int(np.prod(shape))
        views[name] = flat[first : first + size].reshape(shape)
        first += size
    return MappingProxyType(views)
