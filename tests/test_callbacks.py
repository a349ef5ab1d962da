"""Callbacks of our own, and the progress bar."""

import copy
import csv
import io
import pickle
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from fastbp import MLPClassifier, Network, Trainer
from fastbp.callbacks import (
    Callback,
    Checkpoint,
    CSVLogger,
    EarlyStopping,
    EpochRecord,
    History,
    Timer,
)
from fastbp.layers import Dense

rng = np.random.RandomState(5)
X = rng.standard_normal((90, 4))
TARGET = X @ rng.standard_normal(4)
CLASSES = np.digitize(TARGET, [-0.7, 0.7])
NAMES = np.array(["low", "middle", "high"])[CLASSES]
VALIDATION = {"X_val": X[:20] + 0.1, "y_val": NAMES[:20]}


def classifier(**settings: Any) -> MLPClassifier:
    shared = {"hidden_layer_sizes": (6,), "max_iter": 5, "random_state": 0}
    return MLPClassifier(**{**shared, "batch_size": 30, **settings})


def assert_same_weights(a: Any, b: Any) -> None:
    for ours, theirs in zip(
        a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def content(model: Any) -> dict[str, bytes]:
    """All attributes, but for callbacks that no file can hold."""
    return {
        name: pickle.dumps(v) for name, v in vars(model).items() if name != "callbacks"
    }


class Diary(Callback):
    """Notes which of its methods were called."""

    def __init__(self) -> None:
        self.notes: list[Any] = []

    def on_fit_begin(self, estimator: Any) -> None:
        self.notes.append("begin")

    def on_epoch_end(self, estimator: Any, record: EpochRecord) -> None:
        self.notes.append(record.epoch)

    def on_fit_end(self, estimator: Any) -> None:
        self.notes.append("end")


# ---------------------------------------------------------------------------- the rules


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_record_says_what_the_curves_say(solver: str) -> None:
    history = History()
    model = classifier(solver=solver, callbacks=[history], learning_rate_init=0.01)
    model.fit(X, NAMES, **VALIDATION)
    assert history.column("epoch") == [1, 2, 3, 4, 5]
    assert history.column("loss") == model.loss_curve_
    assert history.column("validation_loss") == model.validation_loss_curve_
    assert history.column("validation_score") == model.validation_scores_
    assert history.column("learning_rate") == [0.01] * 5
    seconds = history.column("seconds")
    assert seconds == sorted(seconds)
    model.fit(X, NAMES)
    assert history.column("validation_loss") == [None] * 5
    with pytest.raises(ValueError, match="name must be one of 'epoch', .* got 'rate'"):
        history.column("rate")


@pytest.mark.parametrize("early_stopping", [False, True])
def test_callbacks_change_nothing_of_the_training(early_stopping: bool) -> None:
    settings = {"early_stopping": early_stopping, "max_iter": 15}
    watched = classifier(**settings, callbacks=[History(), Diary(), lambda *_: None])
    assert_same_weights(watched.fit(X, NAMES), classifier(**settings).fit(X, NAMES))


def test_function_counts_as_a_callback_and_can_stop_the_fit() -> None:
    seen = []

    def stop_in_third(estimator: Any, record: EpochRecord) -> bool:
        seen.append(estimator.score(X, NAMES))
        return record.epoch == 3

    model = classifier(callbacks=(stop_in_third,)).fit(X, NAMES)
    assert model.n_iter_ == 3
    expected = [classifier(max_iter=n).fit(X, NAMES).score(X, NAMES) for n in (1, 2, 3)]
    assert seen == expected
    assert_same_weights(model, classifier(max_iter=3).fit(X, NAMES))


def test_estimator_of_a_callback_cannot_harm_the_training() -> None:
    def spoil(estimator: Any, record: EpochRecord) -> None:
        estimator.coefs_[0][:] = np.nan
        estimator.loss_curve_.clear()
        estimator.classes_ = None

    model = classifier(callbacks=[spoil]).fit(X, NAMES)
    assert_same_weights(model, classifier().fit(X, NAMES))
    assert len(model.loss_curve_) == 5


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_exception_in_a_callback_fails_the_call_and_changes_nothing(
    method: str, trained: bool
) -> None:
    diary = Diary()

    def fail(estimator: Any, record: EpochRecord) -> None:
        if fail.armed:
            raise OSError("disk full")

    fail.armed = False
    model = classifier(callbacks=[diary, fail], warm_start=True)
    if trained:
        model.fit(X, NAMES)
    before = content(model)
    fail.armed = True
    extra = {} if method == "fit" else {"classes": np.unique(NAMES)}
    with pytest.raises(OSError, match="disk full"):
        getattr(model, method)(X, NAMES, **extra)
    assert diary.notes[-3:] == ["begin", 1, "end"]
    assert content(model) == before


def test_callback_that_fails_to_begin_ends_those_before_it() -> None:
    class Stillborn(Callback):
        def on_fit_begin(self, estimator: Any) -> None:
            raise OSError("no room")

    first, last = Diary(), Diary()
    with pytest.raises(OSError, match="no room"):
        classifier(callbacks=[first, Stillborn(), last]).fit(X, NAMES)
    assert (first.notes, last.notes) == (["begin", "end"], [])


def test_ctrl_c_in_a_callback_keeps_the_epoch() -> None:
    diary = Diary()

    def press(estimator: Any, record: EpochRecord) -> None:
        if record.epoch == 2:
            raise KeyboardInterrupt

    model = classifier(callbacks=[diary, press])
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, NAMES)
    assert model.n_iter_ == 2
    assert_same_weights(model, classifier(max_iter=2).fit(X, NAMES))
    assert diary.notes == ["begin", 1, 2, "end"]


def test_ctrl_c_at_the_end_of_the_fit_keeps_the_model() -> None:
    class Upload(Callback):
        def on_fit_end(self, estimator: Any) -> None:
            raise KeyboardInterrupt

    model = classifier(callbacks=[Upload()])
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, NAMES)
    assert_same_weights(model, classifier().fit(X, NAMES))
    assert model.n_iter_ == model.max_iter


def test_ctrl_c_after_the_epoch_of_partial_fit_keeps_its_order() -> None:
    presses = iter([True, False])

    def press(estimator: Any, record: EpochRecord) -> None:
        if next(presses):
            raise KeyboardInterrupt

    model = classifier(callbacks=[press])
    with pytest.raises(KeyboardInterrupt):
        model.partial_fit(X, NAMES, classes=np.unique(NAMES))
    model.partial_fit(X, NAMES)
    assert_same_weights(model, classifier(max_iter=2).fit(X, NAMES))


@pytest.mark.parametrize(
    ("callbacks", "said"),
    [
        ([3], r"callbacks\[0\] must be an object of fastbp.callbacks .* got 3"),
        ([History(), History], r"callbacks\[1\] must be .* got <class"),
        (History(), "callbacks"),
        ("history", "callbacks"),
    ],
)
def test_bad_callbacks_are_refused(callbacks: Any, said: str) -> None:
    model = classifier(callbacks=callbacks)
    with pytest.raises(ValueError, match=said):
        model.fit(X, NAMES)
    assert set(vars(model)) == set(model.get_params())


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: EarlyStopping("f1"), "monitor of EarlyStopping .*'loss'.* got 'f1'"),
        (lambda: EarlyStopping(patience=0), "patience of EarlyStopping .* got 0"),
        (lambda: EarlyStopping(min_delta=-1), "min_delta of EarlyStopping .* got -1"),
        (lambda: Checkpoint("x", "f1"), "monitor of Checkpoint .* got 'f1'"),
        (lambda: Checkpoint("x", every=0), "every of Checkpoint .* got 0"),
        (lambda: Checkpoint(5), "path of Checkpoint must be a path, got 5"),
        (lambda: CSVLogger(5), "path of CSVLogger must be a path, got 5"),
        (lambda: CSVLogger("x", "no"), "append of CSVLogger must be a bool, got 'no'"),
    ],
)
def test_bad_setting_of_a_callback_is_refused(make: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()


def test_lbfgs_refuses_callbacks() -> None:
    with pytest.raises(ValueError, match="callbacks=.* needs a solver of"):
        classifier(solver="lbfgs", callbacks=[History()]).fit(X, NAMES)


@pytest.mark.parametrize("callbacks", [None, [], ()])
def test_lbfgs_takes_no_callbacks(callbacks: Any) -> None:
    model = classifier(solver="lbfgs", callbacks=callbacks).fit(X, NAMES)
    assert_same_weights(model, classifier(solver="lbfgs").fit(X, NAMES))


@pytest.mark.parametrize(
    "callback",
    [EarlyStopping(), Checkpoint("never", every=2), Checkpoint("never", "loss")],
    ids=repr,
)
def test_partial_fit_refuses_callbacks_that_need_several_epochs(callback: Any) -> None:
    model = classifier(callbacks=[History(), callback])
    said = f"partial_fit does not support {type(callback).__name__}"
    with pytest.raises(ValueError, match=said):
        model.partial_fit(X, NAMES, classes=np.unique(NAMES), **VALIDATION)
    assert set(vars(model)) == set(model.get_params())


def test_partial_fit_takes_a_checkpoint_of_each_call(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    model = classifier(callbacks=[Checkpoint(path)])
    for _ in range(2):
        model.partial_fit(X, NAMES, classes=np.unique(NAMES))
        assert_same_weights(pickle.loads(path.read_bytes()), model)


def test_call_of_partial_fit_is_a_fit_of_one_epoch() -> None:
    diary = Diary()
    model = classifier(callbacks=[diary])
    for _ in range(2):
        model.partial_fit(X, NAMES, classes=np.unique(NAMES))
    assert diary.notes == ["begin", 1, "end"] * 2


def test_clones_of_a_search_do_not_share_callbacks() -> None:
    history = History()
    search = GridSearchCV(classifier(callbacks=[history]), {"alpha": [0, 1]}, cv=2)
    search.fit(X, NAMES)
    assert history.records == []
    assert len(search.best_estimator_.callbacks[0].records) == 5
    copied = clone(search.best_estimator_).callbacks[0]
    assert copied == search.best_estimator_.callbacks[0]
    assert copied is not search.best_estimator_.callbacks[0]


# --------------------------------------------------------------------- the single ones


def records(**columns: list[float]) -> list[EpochRecord]:
    n = len(next(iter(columns.values())))
    rest = {"loss": [0.0] * n, "validation_loss": [0.0] * n, "seconds": [0.0] * n}
    rest |= {"validation_score": [0.0] * n, "learning_rate": [0.0] * n, **columns}
    return [EpochRecord(i + 1, **{k: v[i] for k, v in rest.items()}) for i in range(n)]


@pytest.mark.parametrize(
    ("settings", "column", "stops"),
    [
        ({"patience": 2}, {"validation_loss": [3.0, 2.0, 2.0, 2.5, 1.0]}, 4),
        ({"patience": 2}, {"validation_loss": [3.0, 4.0, 2.0, 2.5, 1.0]}, None),
        ({"patience": 1, "monitor": "loss"}, {"loss": [3.0, 2.0, 1.0, 1.0, 0.0]}, 4),
        (
            {"patience": 1, "min_delta": 0.5, "monitor": "loss"},
            {"loss": [3.0, 2.0, 1.75, 1.0, 0.0]},
            3,
        ),
        (
            {"patience": 2, "monitor": "validation_score", "min_delta": 0.25},
            {"validation_score": [0.1, 0.2, 0.5, 0.6, 0.7]},
            5,
        ),
        ({"patience": 1, "monitor": "loss"}, {"loss": [3.0, np.nan, 1.0]}, 2),
        ({"patience": 3, "monitor": "loss"}, {"loss": [np.nan, 3.0, 2.0, 1.0]}, None),
        ({"patience": 2, "monitor": "loss"}, {"loss": [np.nan, np.nan, 1.0]}, 2),
    ],
)
def test_early_stopping_waits_for_its_patience(
    settings: dict[str, Any], column: dict[str, list[float]], stops: int | None
) -> None:
    callback = EarlyStopping(**settings)
    for _ in range(2):  # a second fit begins afresh
        callback.on_fit_begin(None)
        said = [callback.on_epoch_end(None, record) for record in records(**column)]
        assert (said.index(True) + 1 if True in said else None) == stops


def test_early_stopping_ends_a_fit() -> None:
    model = classifier(
        max_iter=300, tol=0.0, n_iter_no_change=np.inf, learning_rate_init=0.1
    )
    model.set_params(callbacks=[EarlyStopping(patience=7)])
    model.fit(X, NAMES, **VALIDATION)
    assert model.n_iter_ == int(np.argmin(model.validation_loss_curve_)) + 1 + 7


@pytest.mark.parametrize(
    "callback", [EarlyStopping(), Checkpoint("never", "validation_score")], ids=repr
)
def test_monitor_of_validation_needs_a_validation_set(callback: Any) -> None:
    model = classifier(callbacks=[callback])
    with pytest.raises(ValueError, match="needs a validation set: X_val and y_val"):
        model.fit(X, NAMES)
    assert not hasattr(model, "coefs_")
    assert not Path("never").exists()


@pytest.mark.parametrize("early_stopping", [False, True])
def test_checkpoint_holds_the_model_of_its_epoch(
    tmp_path: Path, early_stopping: bool
) -> None:
    path = tmp_path / "model.pkl"
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = classifier(callbacks=[Checkpoint(path, every=2), CSVLogger(tmp_path / "c")])
    model.set_params(early_stopping=early_stopping)
    model.fit(frame, NAMES)
    loaded = pickle.loads(path.read_bytes())
    early = classifier(max_iter=4, early_stopping=early_stopping, restore_best=None)
    if early_stopping:
        early.set_params(restore_best=False)
    early.fit(frame, NAMES)
    np.testing.assert_array_equal(
        loaded.predict_proba(frame), early.predict_proba(frame)
    )
    assert loaded.n_iter_ == 4
    assert list(loaded.feature_names_in_) == list("abcd")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c", "model.pkl"]
    loaded.set_params(warm_start=True, callbacks=None).fit(frame, NAMES)
    assert len(loaded.loss_curve_) == 9


def test_checkpoint_keeps_the_best(tmp_path: Path) -> None:
    for monitor, column, best in (
        ("validation_score", {"validation_score": [0.1, 0.9, 0.5, 0.9]}, 2),
        ("loss", {"loss": [3.0, 2.0, 1.0, 1.5]}, 3),
        ("loss", {"loss": [np.nan, 2.0, 1.0, np.nan]}, 3),
    ):
        callback = Checkpoint(tmp_path / monitor, monitor)
        callback.on_fit_begin(None)
        for record in records(**column):
            callback.on_epoch_end({"epoch": record.epoch}, record)
        assert pickle.loads((tmp_path / monitor).read_bytes()) == {"epoch": best}


def test_failed_checkpoint_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    callback = Checkpoint(path)
    callback.on_fit_begin(None)
    first, second = records(loss=[1.0, 0.5])
    callback.on_epoch_end("first", first)
    with pytest.raises((AttributeError, pickle.PicklingError)):
        callback.on_epoch_end(lambda: None, second)
    assert pickle.loads(path.read_bytes()) == "first"


def test_checkpoint_leaves_alone_what_others_write(tmp_path: Path) -> None:
    other = tmp_path / "model.pkl.part"
    other.write_bytes(b"of another process")
    classifier(callbacks=[Checkpoint(tmp_path / "model.pkl")]).fit(X, NAMES)
    assert other.read_bytes() == b"of another process"
    assert {p.name for p in tmp_path.iterdir()} == {"model.pkl", "model.pkl.part"}


def test_checkpoint_that_cannot_be_put_in_place_leaves_no_rest(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.mkdir()
    with pytest.raises(OSError, match=r"model\.pkl"):
        classifier(callbacks=[Checkpoint(path)]).fit(X, NAMES)
    assert list(tmp_path.iterdir()) == [path]


def test_checkpoint_without_a_directory_fails_before_the_first_epoch(
    tmp_path: Path,
) -> None:
    diary = Diary()
    model = classifier(callbacks=[diary, Checkpoint(tmp_path / "no" / "model.pkl")])
    with pytest.raises(FileNotFoundError, match="path of Checkpoint must be in a dir"):
        model.fit(X, NAMES)
    assert diary.notes == ["begin", "end"]


def test_copy_for_a_callback_lacks_what_only_training_needs(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    model = classifier(callbacks=[Checkpoint(path)])
    for _ in range(2):  # the second has them all
        model.partial_fit(X, NAMES, classes=np.unique(NAMES))
    loaded = pickle.loads(path.read_bytes())
    training = {"_order", "_optimizer", "_random_state"}
    samples = {"_kept_rows"}  # of which a pickle has the importances
    assert set(vars(model)) - set(vars(loaded)) == training | samples
    loaded.set_params(callbacks=None).partial_fit(X, NAMES)
    assert np.isfinite(loaded.coefs_[0]).all()


def test_csv_logger_writes_a_line_an_epoch(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    history = History()
    model = classifier(callbacks=[CSVLogger(path), history]).fit(X, NAMES)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == model.loss_curve_
    assert [row["validation_loss"] for row in rows] == [""] * 5
    frame = pd.read_csv(path)
    assert list(frame.columns) == list(EpochRecord._fields)
    model.fit(X, NAMES)
    assert len(pd.read_csv(path)) == 5
    model.set_params(callbacks=[CSVLogger(path, append=True)]).fit(X, NAMES)
    assert list(pd.read_csv(path)["epoch"]) == [1, 2, 3, 4, 5] * 2


def test_timer_has_the_differences_of_the_record() -> None:
    timer = Timer()
    assert np.isnan(timer.mean)
    timer.on_fit_begin(None)
    for record in records(seconds=[0.5, 1.5, 1.75]):
        timer.on_epoch_end(None, record)
    assert timer.seconds == [0.5, 1.0, 0.25]
    assert timer.mean == 1.75 / 3


# ------------------------------------------------------------------- verbose='progress'


@pytest.fixture
def no_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("rich", "rich.progress", "tqdm"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.usefixtures("no_bars")
def test_progress_without_a_library_prints_lines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = classifier(verbose="progress", learning_rate_init=0.01)
    model.fit(X, NAMES, **VALIDATION)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    for line, loss, val, score in zip(
        lines,
        model.loss_curve_,
        model.validation_loss_curve_,
        model.validation_scores_,
        strict=True,
    ):
        expected = f"loss {loss:.4f}  val. loss {val:.4f}  score {score:.4f}  rate 0.01"
        assert expected in line
        assert "ETA" in line
    assert lines[4].startswith("epoch 5/5")


@pytest.mark.usefixtures("no_bars")
def test_progress_on_a_terminal_ends_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        encoding = "utf-8"

        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdout", Terminal())
    model = classifier(verbose="progress", callbacks=[lambda _, r: r.epoch == 2])
    text = model.fit(X, NAMES) and sys.stdout.getvalue()
    assert text.count("\n") == 1
    assert text.endswith("\n")
    assert "epoch 2/5" in text


@pytest.mark.parametrize("library", ["rich", "tqdm"])
def test_progress_uses_the_library_that_is_there(
    library: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if library == "tqdm":
        for name in ("rich", "rich.progress"):
            monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setenv("COLUMNS", "150")
    model = classifier(verbose="progress").fit(X, NAMES)
    out = capsys.readouterr().out
    assert "5/5" in out
    assert f"loss {model.loss_:.4f}" in out
    assert "Iteration" not in out
    assert {"rich": "━", "tqdm": "|"}[library] in out
    assert_same_weights(model, classifier().fit(X, NAMES))


def test_eta_is_that_of_the_epochs_or_of_the_time() -> None:
    from fastbp._progress import _figures

    record = EpochRecord(4, 0.5, None, None, 0.001, 2.0)
    without, with_limit = (
        SimpleNamespace(max_iter=10, max_time=limit) for limit in (None, 2.5)
    )
    assert _figures(without, record) == "loss 0.5000  rate 0.001  ETA 3 s"
    assert _figures(with_limit, record) == "loss 0.5000  rate 0.001  ETA 0 s"


def test_lbfgs_refuses_the_bar() -> None:
    with pytest.raises(ValueError, match="verbose='progress' needs a solver of"):
        classifier(solver="lbfgs", verbose="progress").fit(X, NAMES)


class Keeper(Callback):
    """Keeps copies of the model, and has what cannot be copied."""

    reads_model = True

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.copies: list[Any] = []

    def on_epoch_end(self, estimator: Any, record: EpochRecord) -> None:
        self.copies.append(copy.deepcopy(estimator))


def test_callback_may_keep_deep_copies_of_the_model() -> None:
    keeper = Keeper()
    model = classifier(callbacks=[keeper]).fit(X, NAMES)
    np.testing.assert_array_equal(keeper.copies[-1].coefs_[0], model.coefs_[0])
    model.callbacks = None
    assert copy.deepcopy(model).n_iter_ == 5


def test_callback_may_keep_deep_copies_of_the_trainer() -> None:
    keeper = Keeper()
    network = Network([Dense(3, "tanh"), Dense(1)], n_in=X.shape[1], random_state=0)
    trainer = Trainer(network, "squared_error", callbacks=[keeper], random_state=0)
    trainer.fit(X, X[:, 0], 3)
    early = keeper.copies[0]
    assert early.callbacks == [keeper]
    early.callbacks = []
    early.fit(X, X[:, 0], 2)
    np.testing.assert_array_equal(
        early.network.flat_parameters, network.flat_parameters
    )
