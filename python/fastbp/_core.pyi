"""The compiled core: networks, training and prediction. Internal."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias, final, overload

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32] | NDArray[np.float64]
Activation: TypeAlias = Literal[
    "identity",
    "logistic",
    "tanh",
    "relu",
    "leaky_relu",
    "elu",
    "selu",
    "hard_tanh",
    "gelu",
    "silu",
    "mish",
    "softplus",
    "sign",
    "step",
]
# With a negative slope of its own, if need be.
OneActivation: TypeAlias = Activation | tuple[Activation, float]
LossName: TypeAlias = Literal[
    "softmax_cross_entropy",
    "binary_cross_entropy",
    "squared_error",
    "poisson",
    "absolute_error",
    "huber",
    "log_cosh",
    "quantile",
    "gamma",
    "cross_entropy",
    "kl_divergence",
    "focal",
    "symmetric_cross_entropy",
    "linear",
]
OuterLoss: TypeAlias = Callable[[Any, Any], tuple[Any, Any]]
__version__: str

Isa: TypeAlias = Literal["", "baseline", "avx2", "avx512", "neon"]

@final
class Rows:
    """Samples as they lie in memory, read batch by batch, never copied as a whole."""

    @staticmethod
    def dense(X: NDArray[Any]) -> Rows:
        """View a 2-D array: any float, integer or bool dtype, strides, native order."""

    @staticmethod
    def csr(
        indptr: NDArray[Any], indices: NDArray[Any], data: NDArray[Any], n_cols: int
    ) -> Rows:
        """View the three arrays of a CSR matrix; a bad structure raises ValueError."""

    @property
    def n_rows(self) -> int: ...
    @property
    def n_cols(self) -> int: ...

@final
class Blas:
    """The matrix product of a BLAS, as pointers to its sgemm and dgemm.

    Takes capsules whose names are the C signatures, as in
    ``scipy.linalg.cython_blas.__pyx_capi__``; others raise ValueError.
    """

    def __init__(self, sgemm: object, dgemm: object) -> None: ...
    @property
    def integer_bits(self) -> int:
        """Width of its integers: 32 or 64."""

@final
class Loss:
    """A loss with its parameters, and the output activation in front of it."""

    def __init__(
        self,
        name: str,
        output: str,
        *,
        delta: float = 1.0,
        gamma: float = 2.0,
        alpha: float = 1.0,
        beta: float = 1.0,
        log_zero: float = -4.0,
        label_smoothing: float = 0.0,
        levels: Sequence[float] = ...,
    ) -> None:
        """Take a `LossName`, and an output activation or '' for the loss's own.

        Outputs are identity, logistic, tanh, softplus, exp and softmax. ``levels`` has
        one number for each output, with the loss 'quantile' only.
        """

@final
class Layer:
    """What a layer of a network shall be."""

    @staticmethod
    def dense(
        n_out: int,
        activation: Activation = "identity",
        *,
        negative_slope: float = 0.01,
        trains_weights: bool = True,
        trains_biases: bool = True,
    ) -> Layer:
        """Return activation(x W + b), fully connected; training may leave W or b."""

    @staticmethod
    def layer_norm(
        activation: Activation = "identity", *, negative_slope: float = 0.01
    ) -> Layer:
        """Return activation(gain * n + bias), n each row with mean 0 and variance 1."""

    @staticmethod
    def batch_norm(
        activation: Activation = "identity", *, negative_slope: float = 0.01
    ) -> Layer:
        """Return the same with n by columns, over the batch or running averages."""

    @staticmethod
    def dropout(rate: float) -> Layer:
        """Return, in training only, zeros with probability ``rate`` in [0, 1)."""

@final
class Network:
    """A stack of layers and the loss at its end, in one floating-point type.

    The last layer is dense, and so is the first, but dropout of the inputs may come
    before. The loss has an output activation of its own for the outputs.
    Parameters are (coefs, intercepts) of the dense layers and, if the network
    normalises, norms: a dict for each with ``gain`` and ``bias`` and, of batch
    normalization, the running ``mean`` and ``variance``.
    ``Network(n_units, activation, ...)`` is short for dense layers only.
    """

    @overload
    def __init__(
        self,
        layers: Sequence[Layer],
        loss: Loss | LossName,
        dtype: Literal["float32", "float64"],
        *,
        n_in: int,
        isa: Isa = "",
        blas: Blas | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        n_units: Sequence[int],
        activation: OneActivation | Sequence[OneActivation],
        loss: Loss | LossName,
        dtype: Literal["float32", "float64"],
        *,
        negative_slope: float = 0.01,
        isa: Isa = "",
        blas: Blas | None = None,
    ) -> None: ...
    @property
    def dtype(self) -> str: ...
    @property
    def isa(self) -> str: ...
    @property
    def uses_blas(self) -> bool: ...
    @property
    def n_units(self) -> list[int]: ...
    def set_parameters(
        self,
        coefs: Sequence[Floats],
        intercepts: Sequence[Floats],
        norms: Sequence[dict[str, Any]] = (),
        *,
        n_threads: int = 1,
    ) -> bool:
        """Copy weights (n_in, n_out) and biases (n_out,) of every layer in.

        Returns whether something was other.
        """

    def get_parameters(self, *, n_threads: int = 1) -> tuple[Any, ...]:
        """Return fresh arrays (coefs, intercepts), and norms if there are any."""

    def is_finite(self) -> bool:
        """Whether all parameters are finite."""

    def predict(
        self, X: Rows, *, raw: bool = False, hidden: bool = False, n_threads: int = 1
    ) -> Any:
        """Outputs (n_rows, n_outputs): activations, or raw pre-activations.

        ``hidden``: those of the last hidden layer, (n_rows, n_units).
        """

    def loss_and_gradients(
        self,
        X: Rows,
        y: NDArray[Any],
        sample_weight: NDArray[np.float64] | None = None,
        *,
        alpha: float = 0.0,
        seed: int = 0,
        n_threads: int = 1,
        outer_loss: OuterLoss | None = None,
    ) -> tuple[Any, ...]:
        """Loss over all rows and its gradients (coef_grads, intercept_grads).

        Layers do as in training. With norms their gradients follow, gain and bias of
        each; batch normalization takes at most 1024 rows. ``seed`` is that of dropout.

        ``y`` is int64 class indices (n_rows,) for softmax_cross_entropy, else an array
        (n_rows, n_outputs) of the network's dtype, C-contiguous; other losses of a
        softmax take either. ``sample_weight`` is (n_rows,) or, unless the output is a
        softmax, (n_rows, n_outputs).

        ``outer_loss``, for a network with the loss 'linear', is called for each batch
        with targets and outputs and returns the losses (n_rows,) and their gradient
        with respect to the outputs (n_rows, n_outputs), in the network's dtype.
        """

@final
class Tape:
    """A forward pass of some rows that is kept, and backward passes through it."""

    def __init__(
        self,
        network: Network,
        X: Rows,
        *,
        sample_weight: NDArray[np.float64] | None = None,
        training: bool = False,
        seed: int = 0,
        n_threads: int = 1,
    ) -> None:
        """Run X forward. The network must keep its parameters.

        Layers do as in predictions, or as in a training step on X, with the dropout of
        ``seed``. Running averages stay as they are.
        """

    def forward(
        self,
        network: Network,
        X: Rows,
        *,
        sample_weight: NDArray[np.float64] | None = None,
        training: bool = False,
        seed: int = 0,
        n_threads: int = 1,
    ) -> bool:
        """Run other rows forward, in the same memory.

        Returns False, and nothing has been done, unless they are dense, as many and as
        wide, and the network is that of the tape.
        """

    @property
    def is_current(self) -> bool:
        """Whether the network has still the parameters of the last forward pass."""

    @property
    def n_rows(self) -> int: ...
    def inputs(self) -> Any:
        """X as the first layer has it, after dropout of the inputs; dense."""
    def output(self, layer: int) -> Any:
        """Activations of a layer, (n_rows, n_out), a copy."""

    def outputs(self, *, n_threads: int = 1) -> Any:
        """Those of the last layer through the output of the network's loss."""

    def pre_activations(self, layer: int, *, n_threads: int = 1) -> Any:
        """What its activation was applied to, (n_rows, n_out), computed again."""

    def backward(
        self,
        y: NDArray[Any],
        loss: Loss | str,
        *,
        sample_weight: NDArray[np.float64] | None = None,
        gradients: Sequence[Any] | None = None,
        inputs: bool = True,
        n_threads: int = 1,
    ) -> tuple[Any, Any]:
        """Losses of the rows, with weights, and the gradient of their sum.

        That of the inputs is returned, if it is wanted, else None. That of the
        parameters is written into ``gradients``, (coefs, intercepts) and norms, if it
        is not None. The loss need not be the network's; y is as in
        `Network.loss_and_gradients`. With the loss 'linear' y is a gradient at the
        outputs, which is sent back.
        """

@final
class Trainer:
    """Mini-batch gradient descent on a network: the update rule and its state."""

    def __init__(
        self,
        network: Network,
        rule: Literal[
            "sgd",
            "momentum",
            "nesterov",
            "rmsprop",
            "adagrad",
            "lion",
            "adam",
            "nadam",
        ],
        *,
        momentum: float = 0.9,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        l1: float = 0.0,
        weight_decay: float = 0.0,
        max_norm: float = ...,
        clip_norm: float = ...,
        ema: float = 0.0,
        measures_norm: bool = False,
        seed: int = 0,
    ) -> None:
        """Start with moments of zero; norms are not limited by default (infinity).

        ``ema`` is the decay of the moving average of the parameters, 0 for none. Step
        ``t`` has the dropout of ``seed`` and ``t``.
        """

    @property
    def t(self) -> int:
        """Update steps taken so far."""

    @property
    def n_moments(self) -> int:
        """Moments that the rule keeps: sgd 0, adam and nadam 2, others 1."""

    def set_state(
        self,
        t: int,
        moments: Sequence[Sequence[Floats]],
        *,
        average_start: int = 0,
        n_threads: int = 1,
    ) -> None:
        """Restore ``t`` and each moment.

        A moment is a list shaped like coefs + intercepts, and gain and bias of norms.
        With ``ema`` the average may follow the moments: it is that of the steps after
        ``average_start``. Without, averaging begins with the next step.
        """

    def get_state(self, *, n_threads: int = 1) -> tuple[int, list[list[Any]]]:
        """Return ``t`` and copies of the ``n_moments`` moments and of the average."""

    def get_average(self, *, n_threads: int = 1) -> tuple[Any, ...]:
        """Return the average of the parameters, as `Network.get_parameters` does.

        Mean and variance of batch normalization are its running averages as they are.
        The average is all zeros before the first step; without ``ema`` a ValueError.
        """

    @property
    def average_start(self) -> int:
        """``t`` at the time when averaging began."""

    @property
    def norm_sum(self) -> float:
        """Sum over the steps of the last ``run_epoch`` of the gradient's norm.

        It is that which ``clip_norm`` limits, before; 0 without ``measures_norm``.
        """

    def run_epoch(
        self,
        X: Rows,
        y: NDArray[Any],
        sample_weight: NDArray[np.float64] | None,
        order: NDArray[np.int64] | None,
        *,
        batch_size: int,
        learning_rate: float | NDArray[np.float64],
        alpha: float = 0.0,
        n_threads: int = 1,
        outer_loss: OuterLoss | None = None,
    ) -> float:
        """One pass over the rows in ``order``; returns sum(batch loss * batch rows).

        ``learning_rate`` is one for all batches or an array with one for each, also for
        those that are skipped because all their weights are zero.

        A KeyboardInterrupt leaves network and state somewhere within the pass.
        """

    def save(self, *, n_threads: int = 1) -> None:
        """Copy parameters and state to arrays that `take_saved` returns."""

    @property
    def saved_t(self) -> int:
        """``t`` of what is saved; -1 if nothing is."""

    def take_saved(self) -> tuple[Any, ...]:
        """Return (t, coefs, intercepts, moments) as saved, and keep nothing.

        With norms they come before the moments. With ``ema`` the average follows the
        moments.
        """

def predict_few(
    coefs: Sequence[Floats],
    intercepts: Sequence[Floats],
    X: Rows,
    activation: OneActivation | Sequence[OneActivation],
    loss: Loss | LossName,
    *,
    negative_slope: float = 0.01,
    raw: bool = False,
) -> Any:
    """Outputs as of ``Network.predict``, to the bit, without building a network.

    For few dense rows, where bringing the weights into a network takes longer than the
    prediction. It does not release the GIL.
    """

def check_compressed(
    indptr: NDArray[Any], indices: NDArray[Any], n_data: int, n_major: int, n_minor: int
) -> None:
    """Raise ValueError unless the arrays are a valid CSR (CSC) structure."""

def elementwise(
    function: Literal["exp", "log", "tanh", "logistic"], x: Floats, isa: Isa = ""
) -> Any:
    """Apply one of the core's own elementary functions; used by the accuracy tests."""

def activate(
    activation: Activation,
    x: Floats,
    *,
    negative_slope: float = 0.01,
    isa: Isa = "",
) -> tuple[Any, Any]:
    """Value and derivative of an activation at x, in the shape of x."""

def max_threads() -> int:
    """Threads the parallel runtime would use now (OMP_NUM_THREADS, threadpoolctl)."""

def threads_for(
    network: Network,
    n_rows: int,
    n_threads: int,
    *,
    n_inputs: float | None = None,
    training: bool = True,
) -> int:
    """Threads, at most ``n_threads``, that the work pays for.

    The work is that of a training step of ``n_rows`` rows, or of predicting them;
    ``n_inputs`` is the mean number of non-zero inputs of a row (default: all).
    """

def build_info() -> dict[str, Any]:
    """Version, compiler, isa paths (compiled, available, active), parallel runtime."""
