"""Network: layers with their parameters, to be looked at, run and differentiated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from . import _core
from ._blas import one_blas_thread
from ._config import configured_blas
from ._data import check_inputs, check_weights, rows_of
from ._gradient_check import worst_error
from ._objective import Objective
from ._objects import check_size
from ._prediction import n_threads_for, predict_rows
from ._threads import effective_n_threads
from .activations import Activation
from .layers import Layer, check_trainable

__all__ = ["Network"]


class Network:
    """A stack of layers and the vector of their parameters.

    Parameters
    ----------
    layers : sequence of Layer
        Objects of :mod:`fastbp.layers`, from the inputs to the outputs.
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
        If a value is not allowed, or given weights do not fit the layer before.

    See Also
    --------
    Trainer : Changes the parameters so that a loss gets smaller.
    MLPClassifier, MLPRegressor : The same networks as scikit-learn estimators.

    Notes
    -----
    The parameters are one flat, row-major vector that belongs to the network;
    ``parameters`` are views of it by name, and so are ``gradients`` of another one.
    Write into them as you like. The core computes with its own copy in another layout,
    which is made anew whenever the vector has changed: a call with changed parameters
    copies them once, training copies them back after each epoch.

    Nothing here depends on the number of threads.

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
        self.layers = tuple(layers)
        if not self.layers or not all(isinstance(x, Layer) for x in self.layers):
            raise ValueError(
                f"layers must be objects of fastbp.layers, at least one, got {layers!r}"
            )
        if dtype not in ("float32", "float64"):
            raise ValueError(f"dtype must be 'float32' or 'float64', got {dtype!r}")
        self.n_in = check_size(n_in, "n_in")
        self.dtype = dtype
        self._n_units = [self.n_in]
        for i, layer in enumerate(self.layers):
            self._n_units.append(layer._n_out(self._n_units[-1]))
            if not layer.activation.is_elementwise and i + 1 < len(self.layers):
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
                self.parameters[self._name(i, part)][...] = value

    def _reserve(self) -> None:
        """Make the flat vectors and their views."""
        shapes = {
            self._name(i, part): shape
            for i, layer in enumerate(self.layers)
            for part, shape in layer._shapes(self._n_units[i]).items()
        }
        size = sum(int(np.prod(shape)) for shape in shapes.values())
        self._flat = np.zeros(size, self.dtype)
        self._flat_gradients = np.zeros(size, self.dtype)
        self._shapes = shapes
        self.parameters = self._views_of(self._flat)
        self.gradients = self._views_of(self._flat_gradients)
        self._core: _core.Network | None = None
        self._copied: NDArray[Any] | None = None  # the parameters that the core has
        self._tape: _core.Tape | None = None

    def _views_of(self, flat: NDArray[Any]) -> Mapping[str, NDArray[Any]]:
        """Return views of a vector like that of the parameters, by their names."""
        views, first = {}, 0
        for name, shape in self._shapes.items():
            size = int(np.prod(shape))
            views[name] = flat[first : first + size].reshape(shape)
            first += size
        return MappingProxyType(views)

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

    # Forward and backward.

    def forward(self, X: Any) -> NDArray[Any]:
        """Run X through all layers and keep what each makes of it.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_rows, n_in)
            Inputs, all rows at once.

        Returns
        -------
        outputs : ndarray of shape (n_rows, n_out)
            Activations of the last layer.

        Raises
        ------
        ValueError
            If X is not finite numbers of that shape.
        """
        self._tape = self._taped(check_inputs(X, self.n_in))
        return self._outputs(self._tape)

    def _taped(self, X: Any) -> _core.Tape:
        core = self._synchronized()
        with one_blas_thread(core):
            return _core.Tape(core, rows_of(X), n_threads=n_threads_for(core, X))

    @property
    def activations(self) -> list[NDArray[Any]]:
        """Outputs of every layer in the last forward pass, each (n_rows, n_out)."""
        tape = self._last_tape()
        hidden = [tape.output(i) for i in range(len(self.layers) - 1)]
        return [*hidden, self._outputs(tape)]

    @property
    def pre_activations(self) -> list[NDArray[Any]]:
        """What every activation was applied to in it: z = x W + b, (n_rows, n_out)."""
        tape = self._last_tape()
        return [tape.pre_activations(i) for i in range(len(self.layers))]

    def _last_tape(self) -> _core.Tape:
        if self._tape is None:
            raise RuntimeError(
                "there is no forward pass with these parameters: call forward(X) first"
            )
        return self._tape

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
            If there is no forward pass, or other parameters have been used since.
        ValueError
            If the shape is wrong, or a layer is a threshold.
        """
        weights, biases, grad_input = self._backward(self._last_tape(), grad_output)
        self._store(weights, biases, self.gradients)
        return grad_input

    def _backward(
        self, tape: _core.Tape, grad_output: ArrayLike, *, parameters: bool = True
    ) -> tuple[list[Any], list[Any], NDArray[Any]]:
        check_trainable(self.layers)
        gradient = np.ascontiguousarray(grad_output, dtype=self.dtype)
        if gradient.shape != (tape.n_rows, self.n_out):
            raise ValueError(
                f"grad_output must have shape {(tape.n_rows, self.n_out)}, got "
                f"{gradient.shape}"
            )
        core = self._core
        assert core is not None  # there is a tape
        last = len(self.layers) - 1
        activation = self.layers[last].activation
        gradient = np.ascontiguousarray(
            activation._start_backward(tape.output(last), gradient)
        )
        n_threads = _core.threads_for(core, tape.n_rows, effective_n_threads()[0])
        with one_blas_thread(core):
            return tape.backward(gradient, parameters=parameters, n_threads=n_threads)

    def loss_and_gradients(
        self, X: Any, y: Any, loss: Any, sample_weight: ArrayLike | None = None
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
        return self._loss_and_gradients(X, y, objective, weights), self.gradients

    def _loss_and_gradients(
        self,
        X: Any,
        y: NDArray[Any],
        objective: Objective,
        weights: NDArray[np.float64] | None,
    ) -> float:
        self._tape = self._taped(X)
        total = X.shape[0] if weights is None else weights.sum()
        shares = np.full(X.shape[0], 1.0) if weights is None else weights
        losses, of_weights, of_biases, _ = self._loss_backward(
            X, y, objective, shares / total
        )
        self._store(of_weights, of_biases, self.gradients)
        return float(losses.sum(dtype=np.float64))

    def _loss_backward(
        self,
        X: Any,
        y: NDArray[Any],
        objective: Objective,
        weights: NDArray[np.float64],
        *,
        parameters: bool = True,
    ) -> tuple[NDArray[Any], list[Any], list[Any], NDArray[Any]]:
        """Return losses of the rows, times their weights, and gradients of the sum."""
        check_trainable(self.layers)
        if objective.outer_loss is not None:
            tape = self._taped(X)
            y = objective.numbers(y, self.dtype)
            losses, gradient = objective.outer_loss(y, self._outputs(tape))
            scale = weights.astype(self.dtype)
            gradients = self._backward(
                tape, gradient * scale[:, np.newaxis], parameters=parameters
            )
            return losses * scale, *gradients
        core = self._core_network(objective, y)
        n_threads = n_threads_for(core, X)
        rows = rows_of(X)
        with one_blas_thread(core):
            return _core.Tape(core, rows, n_threads=n_threads).loss_backward(
                rows, y, weights, parameters=parameters, n_threads=n_threads
            )

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
            return self._backward(tape, gradient, parameters=False)[2]
        if y is None or loss is None or output is not None:
            raise ValueError(
                "input_gradient needs an output, or both y and loss, got "
                f"output={output!r}, y {'None' if y is None else 'given'} and "
                f"loss={loss!r}"
            )
        objective = self._objective(loss)
        y = objective.encode(y, X.shape[0], self.dtype)
        ones = np.ones(X.shape[0])
        return self._loss_backward(X, y, objective, ones, parameters=False)[3]

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
                self._backward(tape, self._unit_gradient(tape, k), parameters=False)[2]
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
        return self._finished(predict_rows(self._synchronized(), X, raw=True))

    # To look at.

    def summary(self) -> str:
        """Return a table of the layers: output shape, activation, parameters."""
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
    ) -> dict[str, float]:
        """Compare the gradients with central differences of the loss, in float64.

        Parameters
        ----------
        X, y, loss, sample_weight
            As for :meth:`loss_and_gradients`.
        n_checked : int or None, default=None
            At most so many numbers of each parameter, evenly spread; None: all. Each
            takes two forward passes.

        Returns
        -------
        errors : dict of str to float
            For each parameter ``max |g - d| / max(|g|, |d|)``, where both maxima are
            over its gradient g and its differences d. About 1e-9 for smooth
            activations; at a kink (ReLU) differences are no derivatives.

        Raises
        ------
        ValueError
            If something has the wrong shape or values, or a layer is a threshold.
        """
        objective = self._objective(loss)
        X = check_inputs(X, self.n_in)
        y = objective.encode(y, X.shape[0], "float64")
        weights = check_weights(sample_weight, X)
        twin = self._twin("float64")
        twin._loss_and_gradients(X, y, objective, weights)
        core = twin._core_network(objective, y)

        def loss_now() -> float:
            core.set_parameters(*twin._arrays())
            outputs = predict_rows(core, X)
            return objective.mean(y, outputs, weights)

        return {
            name: worst_error(twin.parameters[name], gradient, loss_now, n_checked)
            for name, gradient in twin.gradients.items()
        }

    def __repr__(self) -> str:
        layers = ", ".join(map(repr, self.layers))
        return f"Network([{layers}], n_in={self.n_in}, dtype={self.dtype!r})"

    # Copies.

    def copy(self) -> Network:
        """Return a network with the same layers and a copy of the parameters."""
        return self._twin(self.dtype)

    def _twin(self, dtype: str) -> Network:
        twin = Network.__new__(Network)
        twin.__setstate__({**self.__getstate__(), "dtype": dtype})
        return twin

    def __getstate__(self) -> dict[str, Any]:
        names = ("layers", "n_in", "dtype", "_n_units")
        state = {name: getattr(self, name) for name in names}
        return {**state, "parameters": self._flat}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        parameters = state.pop("parameters")
        self.__dict__.update(state)
        self._reserve()
        self._flat[:] = parameters

    # The core.

    def _objective(self, loss: Any) -> Objective:
        return Objective(loss, self.layers[-1].activation, self.n_out)

    def _outputs(self, tape: _core.Tape) -> NDArray[Any]:
        return self._finished(tape.output(len(self.layers) - 1))

    def _finished(self, outputs: NDArray[Any]) -> NDArray[Any]:
        activation: Activation = self.layers[-1].activation
        return activation._finish(outputs)

    def _synchronized(self) -> _core.Network:
        """Return the core's network with the parameters as they are now."""
        if self._core is None:
            self._core = self._core_network()
        elif self._copied is None or not _same_bits(self._flat, self._copied):
            self._tape = None  # was made with others
            self._copied = None
            self._core.set_parameters(*self._arrays())
        self._copied = self._flat.copy()
        return self._core

    def _core_network(
        self, objective: Objective | None = None, y: Any = None
    ) -> _core.Network:
        """Return a new network of the core: the one place that knows how it is made.

        With the loss for targets like y, or for the outputs only.
        """
        dtype: Any = self.dtype
        loss: Any = "squared_error" if objective is None else objective.in_core(y)
        is_in_loss = objective is not None and objective.takes_activation
        last = len(self.layers) - 1
        specs = [
            layer._in_core("identity" if i == last and is_in_loss else None)
            for i, layer in enumerate(self.layers)
        ]
        core = _core.Network(specs, loss, dtype, n_in=self.n_in, blas=configured_blas())
        core.set_parameters(*self._arrays())
        return core

    def _arrays(self) -> tuple[list[Any], list[Any]]:
        """Return the parameters for the core: weights, and biases or zeros."""
        weights, biases = [], []
        for i, n_out in enumerate(self._n_units[1:]):
            weights.append(self.parameters[self._name(i, "weights")])
            zeros = np.zeros(n_out, self.dtype)
            biases.append(self.parameters.get(self._name(i, "biases"), zeros))
        return weights, biases

    def _store(
        self, weights: list[Any], biases: list[Any], views: Mapping[str, NDArray[Any]]
    ) -> None:
        """Copy arrays of the core into views."""
        for part, arrays in (("weights", weights), ("biases", biases)):
            for i, array in enumerate(arrays):
                name = self._name(i, part)
                if name in views:
                    views[name][...] = array


def _same_bits(a: NDArray[Any], b: NDArray[Any]) -> bool:
    return bool(np.array_equal(a.view(np.uint8), b.view(np.uint8)))
