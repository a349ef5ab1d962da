"""What fastbp uses of scikit-learn beyond its public API, in one place.

These names are private but used by many third-party estimators; a version of
scikit-learn that moves one is dealt with here.
"""

from typing import TYPE_CHECKING, Any

from sklearn.base import _fit_context
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads
from sklearn.utils._param_validation import (
    Interval,
    Options,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils.multiclass import _check_partial_fit_first_call
from sklearn.utils.optimize import _check_optimize_result
from sklearn.utils.validation import _check_sample_weight

if TYPE_CHECKING:

    class CallbackSupportMixin:
        def _init_callback_context(self, **options: Any) -> Any: ...

else:
    try:  # since 1.9
        from sklearn.callback import CallbackSupportMixin
    except ImportError:

        class CallbackSupportMixin:
            """Older versions have no callbacks: there is no ``set_callbacks``."""


check_optimize_result = _check_optimize_result
check_partial_fit_first_call = _check_partial_fit_first_call
check_sample_weight = _check_sample_weight
fit_context = _fit_context
openmp_effective_n_threads = _openmp_effective_n_threads

__all__ = [
    "CallbackSupportMixin",
    "Interval",
    "Options",
    "StrOptions",
    "check_optimize_result",
    "check_partial_fit_first_call",
    "check_sample_weight",
    "fit_context",
    "openmp_effective_n_threads",
    "validate_parameter_constraints",
]
