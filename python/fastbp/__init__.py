"""Fast multilayer perceptrons for scikit-learn users on CPUs."""

try:
    from . import _core
except ImportError as error:  # a source tree without the compiled core, for instance
    raise ImportError(
        "fastbp's compiled core cannot be imported. In a source tree, install the "
        "package first: python3 -m pip install ."
    ) from error

from . import callbacks, losses, schedules
from ._classifier import MLPClassifier
from ._config import config_context, get_config, set_config, show_config
from ._regressor import MLPRegressor

__all__ = [
    "MLPClassifier",
    "MLPRegressor",
    "__version__",
    "callbacks",
    "config_context",
    "get_config",
    "losses",
    "schedules",
    "set_config",
    "show_config",
]

__version__: str = _core.__version__
