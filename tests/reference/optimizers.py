"""Update rules: what a step does to the parameters, given their gradients."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from reference.activations import Array


@dataclass
class Optimizer:
    """Counts the steps; the rule is in ``update``, which changes the parameters."""

    t: int = 0

    def step(
        self, parameters: Sequence[Array], gradients: Sequence[Array], rate: float
    ) -> None:
        """Take one step with the learning rate ``rate``."""
        self.t += 1
        for key, (w, g) in enumerate(zip(parameters, gradients, strict=True)):
            self.update(key, w, g, rate)

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


OPTIMIZERS = {"sgd": Sgd, "momentum": Momentum, "nesterov": Nesterov, "adam": Adam}
