"""Fast multilayer perceptrons for scikit-learn users on CPUs."""

try:
    from . import _core
except ImportError as error:  # a source tree without the compiled core, for instance
    raise ImportError(
        "fastbp's compiled core cannot be imported. In a source tree, install the "
        "package first: python3 -m pip install ."
    ) from error

from . import (
    activations,
    callbacks,
    initializers,
    layers,
    losses,
    optimizers,
    plots,
    schedules,
)
from ._classifier import MLPClassifier
from ._config import config_context, get_config, set_config, show_config
from ._regressor import MLPRegressor
from .network import Network
from .trainer import Trainer

__all__ = [
    "MLPClassifier",
    "MLPRegressor",
    "Network",
    "Trainer",
    "__version__",
    "activations",
    "callbacks",
    "config_context",
    "get_config",
    "initializers",
    "layers",
    "losses",
    "optimizers",
    "plots",
    "schedules",
    "set_config",
    "show_config",
]

__version__: str = _core.__version__
