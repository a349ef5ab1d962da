"""scikit-learn's callbacks (1.9): a task for the fit, a subtask for each epoch."""

import importlib.util
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import MLPClassifier, MLPRegressor, _compat
from fastbp.callbacks import Checkpoint, EpochRecord

rng = np.random.RandomState(5)
X = rng.standard_normal((90, 4))
TARGET = X @ rng.standard_normal(4)
CLASSES = np.digitize(TARGET, [-0.7, 0.7])
NAMES = np.array(["low", "middle", "high"])[CLASSES]


def classifier(**settings: Any) -> MLPClassifier:
    shared = {"hidden_layer_sizes": (6,), "max_iter": 5, "random_state": 0}
    return MLPClassifier(**{**shared, "batch_size": 30, **settings})


def assert_same_weights(a: Any, b: Any) -> None:
    for ours, theirs in zip(
        a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


class Visitor:
    """A callback by scikit-learn's protocol that notes its calls."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.notes: list[Any] = []
        self.models: list[Any] = []
        self.data: list[Any] = []
        self.stop_after = stop_after

    def setup(self, estimator: Any, context: Any) -> None:
        self.notes.append("setup")

    def teardown(self, estimator: Any, context: Any) -> None:
        self.notes.append("teardown")

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        self.notes.append(("begin", context.task_name, context.task_id))

    def on_fit_task_end(
        self,
        estimator: Any,
        context: Any,
        *,
        X: Any,
        y: Any,
        metadata: Any,
        fitted_estimator: Any,
    ) -> bool:
        self.notes.append(("end", context.task_name, context.task_id))
        self.models.append(fitted_estimator)
        self.data.append((X, y, metadata))
        return context.task_name == "epoch" and context.task_id == self.stop_after


def test_scikit_learns_callbacks_get_a_task_for_each_epoch() -> None:
    visitor = Visitor()
    weights = rng.uniform(1, 2, 90)
    model = classifier(max_iter=2).set_callbacks(visitor)
    model.fit(X, NAMES, sample_weight=weights)
    assert visitor.notes == [
        "setup",
        ("begin", "fit", 0),
        ("begin", "epoch", 0),
        ("end", "epoch", 0),
        ("begin", "epoch", 1),
        ("end", "epoch", 1),
        ("end", "fit", 0),
        "teardown",
    ]
    plain = [classifier(max_iter=n).fit(X, NAMES, weights) for n in (1, 2, 2)]
    for seen, same in zip(visitor.models, plain, strict=True):
        assert_same_weights(seen, same)
    for seen_X, seen_y, metadata in visitor.data:
        np.testing.assert_array_equal(seen_X, X)
        np.testing.assert_array_equal(seen_y, NAMES)
        np.testing.assert_array_equal(metadata["sample_weight"], weights)
    assert not hasattr(model, "_callback_fit_ctx")


def test_scikit_learns_callback_can_stop_the_fit() -> None:
    model = classifier().set_callbacks(Visitor(stop_after=2)).fit(X, NAMES)
    assert model.n_iter_ == 3
    assert_same_weights(model, classifier(max_iter=3).fit(X, NAMES))


def test_failed_fit_tears_scikit_learns_callbacks_down() -> None:
    visitor = Visitor()

    def fail(estimator: Any, record: EpochRecord) -> None:
        raise OSError("disk full")

    model = classifier(callbacks=[fail]).set_callbacks(visitor)
    before = set(vars(model))
    with pytest.raises(OSError, match="disk full"):
        model.fit(X, NAMES)
    assert visitor.notes[-1] == "teardown"
    assert set(vars(model)) == before


def test_lbfgs_is_one_task() -> None:
    visitor = Visitor()
    model = classifier(solver="lbfgs").set_callbacks(visitor).fit(X, NAMES)
    assert visitor.notes[1:-1] == [("begin", "fit", 0), ("end", "fit", 0)]
    assert_same_weights(visitor.models[0], model)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_scoring_monitor_scores_each_epoch(early_stopping: bool) -> None:
    monitor = ScoringMonitor(scoring="accuracy")
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = classifier(max_iter=3, early_stopping=early_stopping)
    model.set_callbacks(monitor).fit(frame, NAMES)
    rows = [r for r in monitor.get_logs().data if r["task_name"] == "epoch"]
    assert len(rows) == 3
    if not early_stopping:
        expected = [
            classifier(max_iter=n).fit(X, NAMES).score(X, NAMES) for n in (1, 2, 3)
        ]
        assert [row["accuracy"] for row in rows] == expected


def test_monitor_of_a_regressor_gets_the_target_as_it_was_given() -> None:
    monitor = ScoringMonitor(scoring="r2")
    model = MLPRegressor(max_iter=3, random_state=0).set_callbacks(monitor)
    model.fit(X, TARGET)
    last = [r for r in monitor.get_logs().data if r["task_name"] == "epoch"][-1]
    assert last["r2"] == pytest.approx(model.score(X, TARGET), rel=1e-12)


def test_progress_bar_of_scikit_learn_runs_to_the_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    classifier().set_callbacks(ProgressBar()).fit(X, NAMES)
    out = capsys.readouterr().out
    assert "MLPClassifier - fit" in out
    assert "100%" in out


def test_callbacks_of_a_pipeline_reach_the_epochs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pipeline = make_pipeline(StandardScaler(), classifier())
    pipeline.set_callbacks(ProgressBar()).fit(X, NAMES)
    assert "MLPClassifier - fit" in capsys.readouterr().out
    assert_same_weights(
        pipeline[-1], make_pipeline(StandardScaler(), classifier()).fit(X, NAMES)[-1]
    )


def test_checkpoint_goes_beside_callbacks_that_no_file_can_hold(
    tmp_path: Path,
) -> None:
    path = tmp_path / "model.pkl"
    model = classifier(callbacks=[Checkpoint(path), lambda *_: None])
    model.set_callbacks(ProgressBar()).fit(X, NAMES)
    loaded = pickle.loads(path.read_bytes())
    assert_same_weights(loaded, model)
    assert loaded.callbacks is None


def test_older_scikit_learn_has_no_set_callbacks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.callback", None)
    spec = importlib.util.spec_from_file_location("old_compat", _compat.__file__)
    old = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(old)
    assert not hasattr(old.CallbackSupportMixin, "set_callbacks")
