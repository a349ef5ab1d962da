"""Figures of training and of networks, in the form of scikit-learn's displays.

They need matplotlib (``python3 -m pip install ".[plot]"``), which is imported when
a figure is drawn. A display holds data; ``plot`` draws them and sets ``figure_`` and
``axes_``. Boundaries of classes are drawn by
:class:`sklearn.inspection.DecisionBoundaryDisplay`.
"""

from ._gradient_flow import GradientFlowDisplay
from ._learning_curve import LearningCurveDisplay
from ._network import NetworkDisplay
from ._weights import WeightsDisplay

__all__ = [
    "GradientFlowDisplay",
    "LearningCurveDisplay",
    "NetworkDisplay",
    "WeightsDisplay",
]
