"""A multilayer perceptron in plain NumPy, written from the formulas of the lectures.

It is the oracle of the tests and the shortest description of what the compiled core
computes. It knows nothing of the core, takes no short cut and has no speed.

==================  ==========================================================
``activations.py``  hidden units: f and f'
``losses.py``       output units and losses, in pairs
``network.py``      forward pass, cost, backward pass
``optimizers.py``   what a step does with a gradient
``training.py``     an epoch of mini-batches
==================  ==========================================================

and, for the tests only, ``problems.py`` (small random data sets), ``compare.py``
(tolerances) and ``compiled.py`` (the same network in the core; it alone imports it).

"Lecture 004, BP1" means the formula of that name in the notes whose file name begins
with 004. The notes write a layer as ``a = f(W x + b)`` with column vectors; here a
row of a matrix is a sample, so that a layer is ``A = f(X W + b)`` and every weight
matrix is the transpose of theirs, as in scikit-learn's ``coefs_``.
"""

from reference.activations import ACTIVATIONS, Activation, leaky_relu
from reference.losses import LOSSES, Loss
from reference.network import Network
from reference.optimizers import OPTIMIZERS, Adam, Momentum, Nesterov, Optimizer, Sgd
from reference.training import run_epoch

__all__ = [
    "ACTIVATIONS",
    "LOSSES",
    "OPTIMIZERS",
    "Activation",
    "Adam",
    "Loss",
    "Momentum",
    "Nesterov",
    "Network",
    "Optimizer",
    "Sgd",
    "leaky_relu",
    "run_epoch",
]
