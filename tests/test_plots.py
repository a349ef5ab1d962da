"""Displays: the data in what they draw."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex
from sklearn.exceptions import NotFittedError
from sklearn.inspection import DecisionBoundaryDisplay
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import MLPClassifier, MLPRegressor, Network, Trainer
from fastbp.callbacks import EpochRecord, History
from fastbp.layers import BatchNorm, Dense, Dropout, LayerNorm
from fastbp.plots import (
    GradientFlowDisplay,
    LearningCurveDisplay,
    NetworkDisplay,
    WeightsDisplay,
)

rng = np.random.RandomState(3)
X = rng.standard_normal((80, 9))
CLASSES = (X[:, 0] + X[:, 1] > 0).astype(int)
BLUE, ORANGE = "#0072b2", "#d55e00"


@pytest.fixture(autouse=True)
def closed_figures() -> Iterator[None]:
    yield
    plt.close("all")


def fitted(estimator: Any = MLPClassifier, **settings: Any) -> Any:
    shared = {"hidden_layer_sizes": (20, 3), "max_iter": 6, "random_state": 0}
    return estimator(**{**shared, **settings}).fit(X, CLASSES)


def make_network() -> Network:
    layers = [Dense(6), BatchNorm("relu"), Dropout(0.2), Dense(2, "softmax")]
    return Network(layers, n_in=9, random_state=0)


def accuracy(y: Any, outputs: Any) -> float:
    return float(np.mean(y == outputs.argmax(axis=1)))


def mean_output(y: Any, outputs: Any) -> float:
    return float(outputs[:, 0].mean())


METRICS = {"accuracy": accuracy, "mean_output": mean_output}


def trained(n_epochs: int = 3, validated: bool = True, **settings: Any) -> Trainer:
    trainer = Trainer(make_network(), "log_loss", "adam", random_state=0, **settings)
    held_out = (X[:30], CLASSES[:30]) if validated else ()
    return trainer.fit(X, CLASSES, n_epochs, *held_out)


def labels(axes: Any) -> list[str]:
    legend = axes.get_legend()
    return [] if legend is None else [text.get_text() for text in legend.get_texts()]


def assert_nothing_overlaps(figure: Any) -> None:
    """No two axes of the figure lie on each other, labels included."""
    figure.canvas.draw()
    boxes = [axes.get_tightbbox() for axes in figure.axes if axes.has_data()]
    for i, box in enumerate(boxes):
        for other in boxes[:i]:
            width = min(box.x1, other.x1) - max(box.x0, other.x0)
            height = min(box.y1, other.y1) - max(box.y0, other.y0)
            assert width < 2 or height < 2  # pixels


# ------------------------------------------------------------------- learning curves


def test_learning_curves_are_those_of_the_estimator() -> None:
    model = fitted(early_stopping=True, max_iter=12)
    display = LearningCurveDisplay.from_estimator(model)
    epochs = list(range(1, model.n_iter_ + 1))
    for name, curve in [
        ("loss", model.loss_curve_),
        ("validation_loss", model.validation_loss_curve_),
        ("validation_score", model.validation_scores_),
    ]:
        assert list(display.lines_[name].get_xdata()) == epochs
        assert list(display.lines_[name].get_ydata()) == curve
    assert [a.get_ylabel() for a in display.axes_] == ["loss", "accuracy"]
    assert display.axes_[-1].get_xlabel() == "epoch"
    best = int(np.argmax(model.validation_scores_)) + 1
    assert display.best_epoch == best
    expected = ["training", "validation", f"best epoch: {best}"]
    assert labels(display.axes_[0]) == expected
    assert display.figure_ is display.axes_[0].figure
    assert_nothing_overlaps(display.figure_)


def test_learning_curve_of_a_plain_fit_is_one_line() -> None:
    display = LearningCurveDisplay.from_estimator(fitted(MLPRegressor))
    assert list(display.lines_) == ["loss"]
    assert len(display.axes_) == 1
    assert display.best_epoch is None
    assert labels(display.axes_[0]) == []


def test_learning_curves_of_two_models_share_an_axes() -> None:
    _, ax = plt.subplots()
    for name in ("one", "two"):
        display = LearningCurveDisplay.from_estimator(
            fitted(), name=name, ax=ax, linewidth=3
        )
        assert display.axes_[0] is ax
    assert labels(ax) == ["one", "two"]
    assert {line.get_linewidth() for line in ax.lines} == {3}


def test_history_has_the_rate_too() -> None:
    history = History()
    model = MLPClassifier((5,), max_iter=8, lr_schedule="cosine", callbacks=[history])
    model.fit(X, CLASSES, X_val=X[:30], y_val=CLASSES[:30])
    display = LearningCurveDisplay.from_history(history, score_name="accuracy")
    rates = [record.learning_rate for record in history.records]
    assert list(display.lines_["learning_rate"].get_ydata()) == rates
    names = ["loss", "accuracy", "learning rate"]
    assert [a.get_ylabel() for a in display.axes_] == names
    assert_nothing_overlaps(display.figure_)


@pytest.mark.parametrize(
    ("settings", "name"),
    [({"scoring": "roc_auc"}, "roc auc"), ({"scoring": "loss"}, "negative loss")],
)
def test_score_has_the_name_of_the_scoring(settings: Any, name: str) -> None:
    model = fitted(early_stopping=True, **settings)
    assert LearningCurveDisplay.from_estimator(model).axes_[1].get_ylabel() == name


@pytest.mark.parametrize(
    ("loss", "name"), [("huber", "R²"), ("quantile", "negative loss")]
)
def test_score_of_a_regressor_is_that_of_its_loss(loss: str, name: str) -> None:
    model = MLPRegressor(loss, max_iter=3, early_stopping=True).fit(X, CLASSES)
    assert LearningCurveDisplay.from_estimator(model).axes_[1].get_ylabel() == name


def test_validation_that_began_later_ends_with_the_training() -> None:
    model = fitted(warm_start=True, max_iter=3)
    model.fit(X, CLASSES, X_val=X[:30], y_val=CLASSES[:30])
    display = LearningCurveDisplay.from_estimator(model)
    assert list(display.lines_["validation_loss"].get_xdata()) == [4, 5, 6]
    assert display.best_epoch in (4, 5, 6)


def test_model_without_a_curve_is_refused() -> None:
    with pytest.raises(ValueError, match="no loss_curve_.* got solver='lbfgs'"):
        LearningCurveDisplay.from_estimator(fitted(solver="lbfgs"))
    with pytest.raises(ValueError, match="history has no records"):
        LearningCurveDisplay.from_history(History())


@pytest.mark.parametrize("metric", [None, "accuracy", "mean_output"])
def test_learning_curves_are_those_of_the_trainer(metric: str | None) -> None:
    history = trained(4, metrics=METRICS).history
    display = LearningCurveDisplay.from_history(history, metric=metric)
    score = metric or "accuracy"
    for name, column in [
        ("loss", "loss"),
        ("validation_loss", "val_loss"),
        ("training_score", score),
        ("validation_score", f"val_{score}"),
        ("learning_rate", "learning_rate"),
    ]:
        assert list(display.lines_[name].get_xdata()) == [1, 2, 3, 4]
        assert list(display.lines_[name].get_ydata()) == history[column]
    assert [a.get_ylabel() for a in display.axes_] == ["loss", score, "learning rate"]
    assert to_hex(display.lines_["training_score"].get_color()) == BLUE
    assert to_hex(display.lines_["validation_score"].get_color()) == ORANGE
    assert display.lines_["training_score"].axes is display.axes_[1]
    assert labels(display.axes_[1]) == ["training", "validation"]
    assert display.best_epoch == int(np.argmax(history[f"val_{score}"])) + 1
    assert_nothing_overlaps(display.figure_)


def test_best_epoch_of_an_error_has_the_smallest() -> None:
    history = {"loss": [3, 2, 1, 1], "error": [4, 3, 2, 1], "val_error": [4, 2, 3, 5]}
    display = LearningCurveDisplay.from_history(history, greater_is_better=False)
    assert (display.score_name, display.best_epoch) == ("error", 2)
    assert "best epoch: 2" in labels(display.axes_[0])
    assert LearningCurveDisplay.from_history(history).best_epoch == 4


def test_score_of_a_trainer_may_have_another_name() -> None:
    history = trained(2, metrics=METRICS).history
    display = LearningCurveDisplay.from_history(history, score_name="hits")
    assert display.axes_[1].get_ylabel() == "hits"


def test_trainer_without_metrics_has_no_scores() -> None:
    network = Network([Dense(2, "softmax")], n_in=9, random_state=0)
    trainer = Trainer(network, "log_loss", grad_tol=1e-9, diagnostics=True)
    trainer.fit(X, CLASSES, 2, X[:30], CLASSES[:30])
    assert {"gradient_norm", "diagnostics"} < set(trainer.history)
    display = LearningCurveDisplay.from_history(trainer.history)
    assert set(display.lines_) == {"loss", "validation_loss", "learning_rate"}


def test_trainer_without_validation_has_a_training_score_alone() -> None:
    history = trained(validated=False, metrics=METRICS).history
    display = LearningCurveDisplay.from_history(history)
    assert set(display.lines_) == {"loss", "training_score", "learning_rate"}
    assert display.axes_[1].get_ylabel() == "accuracy"
    assert display.best_epoch is None
    assert display.score_name == "accuracy"


def test_epochs_without_validation_are_gaps() -> None:
    trainer = trained(2, metrics=METRICS)
    trainer.fit(X, CLASSES, 1)
    history = trainer.history
    assert history["val_loss"][2] is None
    display = LearningCurveDisplay.from_history(history)
    for name, column in [
        ("validation_loss", "val_loss"),
        ("validation_score", "val_accuracy"),
    ]:
        values = display.lines_[name].get_ydata()
        np.testing.assert_array_equal(values, [*history[column][:2], np.nan])
    assert display.best_epoch in (1, 2)


def test_numbers_between_gaps_have_markers() -> None:
    trainer = trained(1, diagnostics=True)
    trainer.diagnostics = False
    trainer.fit(X, CLASSES, 2)
    lines = LearningCurveDisplay.from_history(trainer.history).lines_
    markers = [lines[name].get_marker() for name in ("loss", "validation_loss")]
    assert markers == ["None", "o"]
    lines = GradientFlowDisplay.from_history(trainer.history).lines_["dense_0"]
    assert {line.get_marker() for line in lines.values()} == {"o"}


@pytest.mark.parametrize("name", [None, "small"])
def test_training_score_is_drawn_beside_the_validation_score(name: str | None) -> None:
    display = LearningCurveDisplay(
        [3.0, 2.0, 1.0],
        training_score=[0.5, 0.7, 0.9],
        validation_score=np.array([0.6, 0.5]),
        name=name,
    ).plot()
    assert list(display.lines_["training_score"].get_ydata()) == [0.5, 0.7, 0.9]
    assert list(display.lines_["validation_score"].get_xdata()) == [2, 3]
    assert len(display.axes_) == 2
    expected = ["training", "validation"]
    prefix = "" if name is None else f"{name}, "
    assert labels(display.axes_[1]) == [prefix + label for label in expected]
    assert display.best_epoch == 2


def test_callback_of_a_trainer_without_metrics_has_no_score() -> None:
    history = History()
    trained(callbacks=[history])
    display = LearningCurveDisplay.from_history(history)
    assert set(display.lines_) == {"loss", "validation_loss", "learning_rate"}
    assert display.best_epoch is None


def test_validation_of_any_record_is_drawn() -> None:
    history = History()
    history.records = [
        EpochRecord(1, 0.9, None, None, 0.1, 1.0),
        EpochRecord(2, 0.8, 0.7, 0.6, 0.1, 2.0),
        EpochRecord(3, 0.7, 0.6, None, 0.1, 3.0),
    ]
    lines = LearningCurveDisplay.from_history(history).lines_
    for name, expected in [
        ("validation_loss", [np.nan, 0.7, 0.6]),
        ("validation_score", [np.nan, 0.6, np.nan]),
    ]:
        np.testing.assert_array_equal(lines[name].get_ydata(), expected)


LOSSES = {"loss": [2.0, 1.0], "accuracy": [0.5, 0.6], "val_loss": [None, 1.0]}


@pytest.mark.parametrize(
    ("history", "settings", "message"),
    [
        ([1], {}, r"history must be a History .* got \[1\]"),
        (None, {}, "history must be a History .* got None"),
        ({}, {}, r"history has no losses.* columns \[\]"),
        ({"loss": 3.0}, {}, r"history\['loss'\] must be a list of numbers.* got 3"),
        ({"loss": [{}]}, {}, r"history\['loss'\] must be a list of numbers"),
        (
            LOSSES,
            {"greater_is_better": "no"},
            "greater_is_better must be a bool",
        ),
        (LOSSES, {"metric": "f1"}, r"metric .* \['accuracy'\], got 'f1'"),
        (LOSSES, {"metric": "loss"}, r"metric .* \['accuracy'\], got 'loss'"),
        (History(), {"metric": "f1"}, "metric must be None for a History .* got 'f1'"),
    ],
)
def test_bad_history_is_refused(history: Any, settings: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LearningCurveDisplay.from_history(history, **settings)


def test_best_epoch_has_a_docstring() -> None:
    assert "validation score" in (LearningCurveDisplay.best_epoch.__doc__ or "")


# --------------------------------------------------------------------------- weights


def test_images_are_the_weights_of_the_first_units() -> None:
    model = fitted()
    display = WeightsDisplay.from_estimator(model, max_images=12)
    assert len(display.images_) == len(display.axes_) == 12
    largest = np.abs(model.coefs_[0][:, :12]).max()
    for unit, image in enumerate(display.images_):
        expected = model.coefs_[0][:, unit].reshape(3, 3)
        np.testing.assert_array_equal(image.get_array(), expected)
        assert image.get_clim() == (-largest, largest)
    titles = [panel.get_title() for panel in display.axes_]
    assert titles == [f"unit {unit}" for unit in range(12)]
    assert display.figure_.axes[-1].get_ylabel() == "weight"  # of the colour bar


def test_images_may_have_another_shape() -> None:
    display = WeightsDisplay([np.arange(12.0).reshape(6, 2)]).plot(image_shape=(2, 3))
    assert display.images_[1].get_array().tolist() == [[1, 3, 5], [7, 9, 11]]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "image_shape must be given: 6 inputs"),
        ({"image_shape": (2, 4)}, "product 6, the number of inputs, got"),
        ({"image_shape": (2, 3), "max_images": 0}, "max_images .* at least 1, got 0"),
        ({"image_shape": "ab"}, "image_shape must be two numbers .* got 'ab'"),
        ({"image_shape": 6}, "image_shape must be two numbers .* got 6"),
        ({"image_shape": (2.0, 3.0)}, r"image_shape must be two .* got \(2.0, 3.0\)"),
        ({"image_shape": (-2, -3)}, r"image_shape must be two .* got \(-2, -3\)"),
        ({"kind": "bars"}, "kind must be one of"),
    ],
)
def test_bad_image_is_refused(settings: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WeightsDisplay([np.ones((6, 2))]).plot(**settings)


def test_histograms_count_the_weights_of_each_layer() -> None:
    model = fitted()
    display = WeightsDisplay.from_estimator(model, kind="histograms", bins=7)
    titles = ["layer 1 (9 × 20)", "layer 2 (20 × 3)", "layer 3 (3 × 1)"]
    assert [panel.get_title("left") for panel in display.axes_] == titles
    for panel, coef in zip(display.axes_, model.coefs_, strict=True):
        counts = [bar.get_height() for bar in panel.patches]
        assert counts == np.histogram(coef, 7)[0].tolist()
    assert display.axes_[-1].get_xlabel() == "weight"
    assert_nothing_overlaps(display.figure_)


def test_weights_of_a_network_are_those_of_its_dense_layers() -> None:
    network = make_network()
    first = network.parameters["dense_0.weights"]
    display = WeightsDisplay.from_estimator(network)
    for unit, image in enumerate(display.images_):
        expected = first[:, unit].reshape(3, 3)
        np.testing.assert_array_equal(image.get_array(), expected)
    assert len(display.images_) == 6
    display = WeightsDisplay.from_estimator(network, kind="histograms")
    titles = [panel.get_title("left") for panel in display.axes_]
    assert titles == ["layer 1 (9 × 6)", "layer 2 (6 × 2)"]


def test_display_of_a_network_keeps_its_weights() -> None:
    network = make_network()
    before = network.parameters["dense_3.weights"].copy()
    display = WeightsDisplay.from_estimator(network)
    network.flat_parameters[:] = 0
    np.testing.assert_array_equal(display.coefs[1], before)


# --------------------------------------------------------------------------- network


def test_network_shows_signs_and_sizes_of_its_weights() -> None:
    coefs = [np.array([[1.0, -2.0, 0.5], [0.0, 4.0, -1.0]]), np.array([[1], [-2], [3]])]
    display = NetworkDisplay(coefs, ["tanh", "logistic"]).plot()
    first, second = display.edges_
    np.testing.assert_allclose(
        first.get_linewidths(), 3 * np.array([1, 2, 0.5, 0, 4, 1]) / 4
    )
    colours = [BLUE, ORANGE, BLUE, BLUE, BLUE, ORANGE]
    assert [to_hex(c) for c in first.get_colors()] == colours
    assert [to_hex(c) for c in second.get_colors()] == [BLUE, ORANGE, BLUE]
    # A line for each weight, from its input's circle to its unit's.
    centres = [patch.center for patch in display.axes_.patches]
    assert len(centres) == 2 + 3 + 1
    ends = [tuple(map(tuple, path.vertices)) for path in first.get_paths()]
    assert ends == [(a, b) for a in centres[:2] for b in centres[2:5]]
    texts = [text.get_text() for text in display.axes_.texts]
    assert texts == ["input\n2", "hidden 1\n3\ntanh", "output\n1\nlogistic"]
    assert labels(display.axes_) == ["weight > 0", "weight < 0"]


def test_long_layers_are_abridged() -> None:
    model = fitted()
    display = NetworkDisplay.from_estimator(model, max_units=5)
    shown = [[0, 1, 2, 7, 8], [0, 1, 2, 18, 19], [0, 1, 2], [0]]
    assert [list(units) for units in display.units_] == shown
    widths = display.edges_[0].get_linewidths()
    expected = np.abs(model.coefs_[0][np.ix_(shown[0], shown[1])]).ravel()
    np.testing.assert_allclose(widths, 3 * expected / np.abs(model.coefs_[0]).max())
    texts = [text.get_text() for text in display.axes_.texts]
    assert texts.count("⋮") == 2
    assert "hidden 1\n20\nrelu" in texts


def test_units_of_a_network_do_not_touch() -> None:
    for max_units in (2, 3, 12):
        display = NetworkDisplay.from_estimator(fitted(), max_units=max_units)
        centres = np.array([patch.center for patch in display.axes_.patches])
        distances = np.linalg.norm(centres[:, None] - centres, axis=-1)
        assert distances[np.triu_indices(len(centres), 1)].min() >= 1
        plt.close(display.figure_)
    for few in (1, 2.5, "a"):
        with pytest.raises(ValueError, match=f"max_units .* at least 2, got {few!r}"):
            NetworkDisplay.from_estimator(fitted(), max_units=few)


@pytest.mark.parametrize("norm", [LayerNorm, BatchNorm])
def test_activation_after_a_norm_is_that_of_the_units(norm: Any) -> None:
    hidden = [Dense(3), norm("tanh"), Dropout(0.5), Dense(2, "relu"), norm()]
    network = Network([Dropout(0.1), *hidden, Dense(1)], n_in=4)
    display = NetworkDisplay.from_estimator(network)
    assert display.activations == ["tanh", "relu", "identity"]


def test_network_of_layers_shows_its_dense_layers() -> None:
    network = make_network()
    display = NetworkDisplay.from_estimator(network)
    texts = [text.get_text() for text in display.axes_.texts]
    assert texts == ["input\n9", "hidden 1\n6\nrelu", "output\n2\nsoftmax"]
    weights = network.parameters["dense_3.weights"]
    np.testing.assert_allclose(
        display.edges_[1].get_linewidths(),
        3 * np.abs(weights).ravel() / np.abs(weights).max(),
    )


# --------------------------------------------------------------------- gradient flow

LAYERS = {
    "dense 1": {"gradient_norm": [0.01, 0.002], "saturated": [0.5, 0.75]},
    "dense 2": {"gradient_norm": [0.5, 0.25]},
}


def test_gradient_flow_has_a_curve_for_each_layer() -> None:
    display = GradientFlowDisplay.from_history(LAYERS)
    norms, saturated = display.axes_
    assert norms.get_ylabel() == "gradient norm"
    assert norms.get_yscale() == "log"
    assert saturated.get_ylabel() == "saturated (%)"
    assert saturated.get_xlabel() == "epoch"
    for layer, quantities in LAYERS.items():
        assert set(display.lines_[layer]) == set(quantities)
        line = display.lines_[layer]["gradient_norm"]
        assert list(line.get_xdata()) == [1, 2]
        assert list(line.get_ydata()) == quantities["gradient_norm"]
    percent = display.lines_["dense 1"]["saturated"].get_ydata()
    assert list(percent) == [50, 75]
    assert labels(norms) == ["dense 1", "dense 2"]
    assert_nothing_overlaps(display.figure_)


def test_gradient_flow_draws_quantities_that_it_does_not_know() -> None:
    layers = {"a": {"mean_activation": [-1.0, 2.0]}, "b": {}}
    display = GradientFlowDisplay.from_history(layers, linestyle="--")
    (axes,) = display.axes_
    assert axes.get_ylabel() == "mean activation"
    assert axes.get_yscale() == "linear"
    assert axes.lines[0].get_linestyle() == "--"


@pytest.mark.parametrize("layers", [{}, {"dense 1": {}}])
def test_gradient_flow_of_nothing_is_refused(layers: Any) -> None:
    with pytest.raises(ValueError, match="at least one quantity"):
        GradientFlowDisplay.from_history(layers)


@pytest.mark.parametrize("is_alone", [False, True])
def test_gradient_flow_is_that_of_the_trainer(is_alone: bool) -> None:
    history = trained(3, diagnostics=True).history
    records = history["diagnostics"]
    display = GradientFlowDisplay.from_history(records if is_alone else history)
    names = ["dense_0", "batch_norm_1", "dropout_2", "dense_3"]
    assert list(display.lines_) == labels(display.axes_[0]) == names
    norms = {"gradient_norm", "weight_norm", "update_norm"}
    shares = {"dead", "saturated"}
    for i, layer in enumerate(names):
        has_parameters = layer != "dropout_2"
        assert set(display.lines_[layer]) == (
            norms | shares if has_parameters else shares
        )
        for quantity, line in display.lines_[layer].items():
            scale = 100 if quantity in shares else 1
            expected = [scale * record[quantity][i] for record in records]
            assert list(line.get_xdata()) == [1, 2, 3]
            np.testing.assert_allclose(line.get_ydata(), expected)
    assert_nothing_overlaps(display.figure_)


def test_gradient_flow_leaves_out_what_is_nan_everywhere() -> None:
    trainer = trained()
    records = [trainer.diagnose(X, CLASSES)]
    assert np.isnan(records[0]["update_norm"]).all()
    display = GradientFlowDisplay.from_history(records)
    names = ["gradient norm", "weight norm", "dead (%)", "saturated (%)"]
    assert [panel.get_ylabel() for panel in display.axes_] == names


def test_gradient_flow_leaves_out_norms_that_are_0() -> None:
    layers = [Dense(4, trainable=False), Dropout(0.5), Dense(2, "softmax")]
    network = Network(layers, n_in=9, random_state=0)
    trainer = Trainer(network, "log_loss", diagnostics=True).fit(X, CLASSES, 2)
    lines = GradientFlowDisplay.from_history(trainer.history).lines_
    assert "update_norm" not in lines["dense_0"]
    assert "update_norm" in lines["dense_2"]
    assert set(lines["dropout_1"]) == {"dead", "saturated"}


def test_epochs_without_diagnostics_are_gaps() -> None:
    trainer = trained(1)
    trainer.diagnostics = True
    trainer.fit(X, CLASSES, 1)
    display = GradientFlowDisplay.from_history(trainer.history)
    values = display.lines_["dense_0"]["weight_norm"].get_ydata()
    expected = trainer.history["diagnostics"][1]["weight_norm"][0]
    np.testing.assert_array_equal(values, [np.nan, expected])


def test_layer_may_be_called_diagnostics() -> None:
    layers = {"diagnostics": {"dead": [0.5]}, "loss": {"dead": [0.25]}}
    display = GradientFlowDisplay.from_history(layers)
    assert list(display.lines_) == ["diagnostics", "loss"]


def test_gradient_flow_needs_diagnostics() -> None:
    for history in (trained().history, []):
        with pytest.raises(ValueError, match="make the Trainer with diagnostics=True"):
            GradientFlowDisplay.from_history(history)


@pytest.mark.parametrize(
    ("history", "message"),
    [
        (None, "history must be that of a Trainer .* got None"),
        ([1], r"history must be that of a Trainer .* got \[1\]"),
        ({"diagnostics": [1]}, r"history must be that of a Trainer .* got \[1\]"),
        (History(), "history must be that of a Trainer .* got History"),
        ({"a": [1, 2]}, r"history\['a'\] must be a dict .* got \[1, 2\]"),
        ({"a": {"dead": 1}}, r"history\['a'\]\['dead'\] must be a list .* got 1"),
    ],
)
def test_bad_gradient_flow_is_refused(history: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GradientFlowDisplay.from_history(history)


def test_gradient_flow_of_two_networks_is_refused() -> None:
    one = trained().diagnose(X, CLASSES)
    with pytest.raises(ValueError, match="same layers in all epochs"):
        GradientFlowDisplay.from_history([one, one[:2]])


# ------------------------------------------------------------------ what they share


def test_one_axes_is_divided_and_several_are_used() -> None:
    figure, axes = plt.subplots(2, 2)
    divided = GradientFlowDisplay.from_history(LAYERS, ax=axes[0, 0])
    assert len(divided.axes_) == 2
    assert {panel.figure for panel in divided.axes_} == {figure}
    used = GradientFlowDisplay.from_history(LAYERS, ax=axes[1])
    assert list(used.axes_) == list(axes[1])
    with pytest.raises(ValueError, match="or 2 Axes, got 4"):
        GradientFlowDisplay.from_history(LAYERS, ax=axes)


@pytest.mark.parametrize(
    "display", [LearningCurveDisplay, NetworkDisplay, WeightsDisplay]
)
def test_untrained_model_is_refused(display: Any) -> None:
    with pytest.raises(NotFittedError):
        display.from_estimator(MLPClassifier())


@pytest.mark.parametrize(
    "display", [LearningCurveDisplay, NetworkDisplay, WeightsDisplay]
)
def test_other_estimators_are_refused(display: Any) -> None:
    pipeline = make_pipeline(StandardScaler(), MLPClassifier((3,), max_iter=2))
    pipeline.fit(X, CLASSES)
    message = r"^estimator must be an MLP.* last step.*, got Pipeline"
    with pytest.raises(ValueError, match=message):
        display.from_estimator(pipeline)
    assert display.from_estimator(pipeline[-1]).figure_ is not None
    with pytest.raises(ValueError, match="^estimator must be .* got NoneType"):
        display.from_estimator(None)


def test_learning_curve_of_a_network_is_refused() -> None:
    with pytest.raises(ValueError, match="estimator must be .* got Network"):
        LearningCurveDisplay.from_estimator(make_network())


def test_displays_draw_scikit_learns_models_too() -> None:
    from sklearn.neural_network import MLPClassifier as SklearnMLPClassifier

    model = fitted(SklearnMLPClassifier)
    for display in (LearningCurveDisplay, NetworkDisplay, WeightsDisplay):
        assert display.from_estimator(model).figure_ is not None


def test_boundary_of_the_classes_is_drawn_by_scikit_learn() -> None:
    model = MLPClassifier((10,), solver="lbfgs", random_state=0)
    model.fit(X[:, :2], CLASSES)
    display = DecisionBoundaryDisplay.from_estimator(
        model, X[:, :2], response_method="predict_proba", grid_resolution=20
    )
    plane = np.column_stack([display.xx0.ravel(), display.xx1.ravel()])
    expected = model.predict_proba(plane)[:, 1].reshape(20, 20)
    np.testing.assert_array_equal(display.response, expected)


def test_without_matplotlib_the_module_says_what_to_install() -> None:
    script = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from fastbp.plots import LearningCurveDisplay\n"
        "try: LearningCurveDisplay([1.0]).plot()\n"
        "except ImportError as error: print(error)\n"
    )
    command = [sys.executable, "-c", script]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "python3 -m pip install matplotlib" in printed
