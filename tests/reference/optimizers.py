"""Update rules: what a step does to the parameters, given their gradients."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from reference.activations import Array


@dataclass
class Optimizer:
    """Counts the steps; the rule is in ``update``, which changes the parameters.

    Around it, for any rule: clipping of the gradient's norm (Pascanu et al., 2013, "On
    the difficulty of training recurrent neural networks", Algorithm 1), weight decay
    beside the gradient (Loshchilov and Hutter, 2019, "Decoupled weight decay
    regularization", Algorithm 2), and the limit to the norm of the weights that enter a
    unit (lecture 002, "Limiting the size of the Weights"; Srivastava et al., 2014,
    "Dropout", section 5.1).
    """

    t: int = 0
    weight_decay: float = 0.0
    max_norm: float = np.inf
    clip_norm: float = np.inf

    def step(
        self, parameters: Sequence[Array], gradients: Sequence[Array], rate: float
    ) -> None:
        """Take one step with the learning rate ``rate``."""
        self.t += 1
        norm = np.sqrt(sum((g**2).sum() for g in gradients))
        if norm > self.clip_norm:
            gradients = [g * self.clip_norm / norm for g in gradients]
        for key, (w, g) in enumerate(zip(parameters, gradients, strict=True)):
            if w.ndim == 2:  # weights, not biases
                w *= 1 - rate * self.weight_decay
            self.update(key, w, g, rate)
            if w.ndim == 2:
                norms = np.linalg.norm(w, axis=0)
                too_long = norms > self.max_norm
                w[:, too_long] *= self.max_norm / norms[too_long]

    def update(self, key: int, w: Array, g: Array, rate: float) -> None:
        """Change the parameter array ``w``, the ``key``-th of the network, in place."""
        raise NotImplementedError

    @property
    def moments(self) -> list[list[Array]]:
        """The state of the rule: each moment is a list with an array per parameter."""
        return []


@dataclass
class Sgd(Optimizer):
    """w <- w - rate g (lecture 000, "Gradient descent"; 002, "How often to update")."""

    def update(self, key: int, w: Array, g: Array, rate: float) -> None:
        w -= rate * g


@dataclass
class Momentum(Optimizer):
    """v <- mu v - rate g; w <- w + v (lecture 002, "Add momentum", with v negated)."""

    momentum: float = 0.9
    velocity: dict[int, Array] = field(default_factory=dict)

    def update(self, key: int, w: Array, g: Array, rate: float) -> None:
        w += self._accelerate(key, g, rate)

    def _accelerate(self, key: int, g: Array, rate: float) -> Array:
        v = self.velocity.get(key, np.zeros_like(g))
        self.velocity[key] = self.momentum * v - rate * g
        return self.velocity[key]

    @property
    def moments(self) -> list[list[Array]]:
        return [list(self.velocity.values())]


@dataclass
class Nesterov(Momentum):
    """v as with momentum, but w moves on by the velocity of the step to come.

    w <- w + mu v_new - rate g: Sutskever et al. (2013), "On the importance of
    initialization and momentum in deep learning", in scikit-learn's form.
    """

    def update(self, key: int, w: Array, g: Array, rate: float) -> None:
        w += self.momentum * self._accelerate(key, g, rate) - rate * g


@dataclass
class Adam(Optimizer):
    """Kingma and Ba (2015), "Adam", in the form that ends their section 2.

    The bias of both moments is corrected in the learning rate, so that epsilon is added
    to the square root of the second moment as it is.
    """

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    first: dict[int, Array] = field(default_factory=dict)
    second: dict[int, Array] = field(default_factory=dict)

    def update(self, key: int, w: Array, g: Array, rate: float) -> None:
        m = self.first.get(key, np.zeros_like(g))
        v = self.second.get(key, np.zeros_like(g))
        self.first[key] = m = self.beta_1 * m + (1 - self.beta_1) * g
        self.second[key] = v = self.beta_2 * v + (1 - self.beta_2) * g**2
        rate *= np.sqrt(1 - self.beta_2**self.t) / (1 - self.beta_1**self.t)
        w -= rate * m / (np.sqrt(v) + self.epsilon)

    @property
    def moments(self) -> list[list[Array]]:
        return [list(self.first.values()), list(self.second.values())]


@dataclass
class Nadam(Adam):
    """Dozat (2016), "Incorporating Nesterov momentum into Adam", Algorithm 2.

    With the schedule mu_t = beta_1 (1 - 0.96^(0.004 t) / 2) of its section 3 and
    PyTorch's numbers in it; both moments are corrected before epsilon is added.
    """

    def mu(self, t: int) -> float:
        return float(self.beta_1 * (1 - 0.5 * 0.96 ** (0.004 * t)))

    def update(self, key: int, w: Array, g: Array, rate: float) -> None:
        m = self.first.get(key, np.zeros_like(g))
        v = self.second.get(key, np.zeros_like(g))
        self.first[key] = m = self.beta_1 * m + (1 - self.beta_1) * g
        self.second[key] = v = self.beta_2 * v + (1 - self.beta_2) * g**2
        product = np.prod([self.mu(i) for i in range(1, self.t + 1)])
        mu, mu_next = self.mu(self.t), self.mu(self.t + 1)
        ahead = mu_next * m / (1 - product * mu_next) + (1 - mu) * g / (1 - product)
        w -= rate * ahead / (np.sqrt(v / (1 - self.beta_2**self.t)) + self.epsilon)


@dataclass
class Rmsprop(Optimizer):
    """Tieleman and Hinton (2012), lecture 6e: rates divided by a root mean square."""

    beta_2: float = 0.999
    epsilon: float = 1e-8
    square: dict[int, Array] = field(default_factory=dict)

    def update(self, key: int, w: Array, g: Array, rate: float) -> None:
        v = self.square.get(key, np.zeros_like(g))
        self.square[key] = v = self.beta_2 * v + (1 - self.beta_2) * g**2
        w -= rate * g / (np.sqrt(v) + self.epsilon)

    @property
    def moments(self) -> list[list[Array]]:
        return [list(self.square.values())]


@dataclass
class Adagrad(Rmsprop):
    """Duchi et al. (2011), "Adaptive subgradient methods", diagonal form: the sum."""

    def update(self, key: int, w: Array, g: Array, rate: float) -> None:
        self.square[key] = v = self.square.get(key, np.zeros_like(g)) + g**2
        w -= rate * g / (np.sqrt(v) + self.epsilon)


@dataclass
class Lion(Optimizer):
    """Chen et al. (2023), "Symbolic discovery of optimization algorithms", Algorithm 2.

    beta_2 is 0.99 there, as here.
    """

    beta_1: float = 0.9
    beta_2: float = 0.99
    mean: dict[int, Array] = field(default_factory=dict)

    def update(self, key: int, w: Array, g: Array, rate: float) -> None:
        m = self.mean.get(key, np.zeros_like(g))
        w -= rate * np.sign(self.beta_1 * m + (1 - self.beta_1) * g)
        self.mean[key] = self.beta_2 * m + (1 - self.beta_2) * g

    @property
    def moments(self) -> list[list[Array]]:
        return [list(self.mean.values())]


OPTIMIZERS = {
    "sgd": Sgd,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "rmsprop": Rmsprop,
    "adagrad": Adagrad,
    "lion": Lion,
    "adam": Adam,
    "nadam": Nadam,
}
