"""Trainer: against steps in plain NumPy, the estimators, and closed forms."""

import copy
import linecache
import pickle
import signal
import sys
import threading

import joblib
import numpy as np
import pytest
from scipy import sparse

from fastbp import MLPClassifier, MLPRegressor, Network, Trainer, _core
from fastbp.activations import Activation
from fastbp.callbacks import EarlyStopping, History
from fastbp.layers import Dense, Dropout
from fastbp.losses import Quantile, SquaredError
from fastbp.optimizers import (
    OPTIMIZERS,
    SGD,
    Adagrad,
    Adam,
    AdamW,
    Lion,
    NAdam,
    RMSprop,
)
from fastbp.schedules import Exponential, Plateau, Warmup
from reference.compare import bits
from reference.layers import Stack

X = np.random.default_rng(0).normal(size=(90, 4))
Y = np.sin(X[:, :1]) + X[:, 1:2] * X[:, 2:3]
LABELS = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)


def network(*activations, dtype="float64", n_out=1, **options):
    """A network for X with 6 units in each hidden layer."""
    sizes = [6] * (len(activations) - 1) + [n_out]
    layers = [Dense(n, f, **options) for n, f in zip(sizes, activations, strict=True)]
    return Network(layers, n_in=4, dtype=dtype, random_state=0)


def stack_of(net):
    n = len(net.layers)
    return Stack(
        [net.parameters[f"dense_{i}.weights"].copy() for i in range(n)],
        [net.parameters[f"dense_{i}.biases"].copy() for i in range(n)],
        [layer.activation.name for layer in net.layers],
    )


def assert_parameters_close(net, stack):
    for i, (W, b) in enumerate(zip(stack.weights, stack.biases, strict=True)):
        np.testing.assert_allclose(
            net.parameters[f"dense_{i}.weights"], W, rtol=1e-10, atol=1e-12
        )
        np.testing.assert_allclose(
            net.parameters[f"dense_{i}.biases"], b, rtol=1e-10, atol=1e-12
        )


@pytest.mark.parametrize("batch_size", [1, 7, None])
@pytest.mark.parametrize("activations", [("tanh", "tanh"), ("logistic", "gelu")])
def test_gradient_descent_equals_plain_numpy(activations, batch_size):
    # Algorithm 1 (one at a time), Algorithm 2, all at once; an activation at the end.
    net = network(*activations)
    stack = stack_of(net)
    Trainer(net, "squared_error", SGD(0.1), batch_size=batch_size, shuffle=False).fit(
        X, Y, 2
    )
    size = batch_size or len(X)
    for _ in range(2):
        for first in range(0, len(X), size):
            x, y = X[first : first + size], Y[first : first + size]
            error = stack.forward(x)[1][-1] - y
            of_weights, of_biases, _ = stack.backward(x, error / len(x))
            for values, gradients in (
                (stack.weights, of_weights),
                (stack.biases, of_biases),
            ):
                for value, gradient in zip(values, gradients, strict=True):
                    value -= 0.1 * gradient
    assert_parameters_close(net, stack)


def estimator_and_trainer(make, optimizer, loss, y, dtype="float64", settings=None):
    """Train the same network twice: by an estimator, and by a Trainer."""
    common = {"alpha": 0.3, "batch_size": 13}
    model = make(
        hidden_layer_sizes=(6,),
        max_iter=3,
        random_state=5,
        dtype=dtype,
        **common,
        **settings,
    ).fit(X, y)
    # The estimator's own first weights, and the generator as it then is.
    generator = np.random.RandomState(5)
    layers = []
    for n_in, n_out, f in (
        (4, 6, "relu"),
        (6, model.n_outputs_, "identity"),
    ):
        bound = np.sqrt(6 / (n_in + n_out))
        weights = generator.uniform(-bound, bound, (n_in, n_out))
        biases = generator.uniform(-bound, bound, n_out)
        layers.append(Dense(n_out, f, weights=weights, bias_values=biases))
    net = Network(layers, n_in=4, dtype=dtype)
    trainer = Trainer(net, loss, optimizer, random_state=generator, **common)
    return model, trainer.fit(X, y, 3)


RATE = {"learning_rate_init": 0.002}
SOLVERS = [
    (SGD(0.002), {"solver": "sgd", "momentum": 0, **RATE}),
    (
        SGD(0.002, momentum=0.5),
        {"solver": "sgd", "momentum": 0.5, "nesterovs_momentum": False, **RATE},
    ),
    (
        SGD(0.002, momentum=0.5, nesterov=True),
        {"solver": "sgd", "momentum": 0.5, **RATE},
    ),
    (RMSprop(0.002), {"solver": "rmsprop", "beta_2": 0.9, **RATE}),
    (Adagrad(0.002), {"solver": "adagrad", **RATE}),
    (Adam(0.002, beta_1=0.8), {"solver": "adam", "beta_1": 0.8, **RATE}),
    (AdamW(0.002), {"solver": "adamw", **RATE}),
    (NAdam(0.002), {"solver": "nadam", **RATE}),
    (
        Lion(0.002, weight_decay=0.1),
        {"solver": "lion", "beta_2": 0.99, "weight_decay": 0.1, **RATE},
    ),
]


@pytest.mark.parametrize(("optimizer", "settings"), SOLVERS, ids=str)
def test_optimizers_are_the_solvers_of_the_estimators(optimizer, settings):
    model, trainer = estimator_and_trainer(
        MLPRegressor, optimizer, "squared_error", Y.ravel(), settings=settings
    )
    assert_same_model(model, trainer)
    model, _ = estimator_and_trainer(
        MLPRegressor,
        optimizer,
        "squared_error",
        Y.ravel(),
        settings={"solver": optimizer},
    )
    assert_same_model(model, trainer)


# As docs/optimizers.md and the docstrings have them.
OF_NAMES = {
    "sgd": SGD(0.01, momentum=0, nesterov=False),
    "adam": Adam(0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-8),
    "adamw": AdamW(0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-8, weight_decay=0.01),
    "nadam": NAdam(0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-8),
    "rmsprop": RMSprop(0.001, beta_2=0.9, epsilon=1e-8),
    "adagrad": Adagrad(0.01, epsilon=1e-8),
    "lion": Lion(0.0001, beta_1=0.9, beta_2=0.99, weight_decay=0),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_name_of_an_optimizer_stands_for_the_documented_one(name):
    trainer = Trainer(network("identity"), "squared_error", name)
    assert trainer.optimizer == OF_NAMES[name]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["classes", "two classes", "counts", "huber"])
def test_losses_are_those_of_the_estimators(kind, dtype):
    make, y, loss, settings = {
        "classes": (MLPClassifier, LABELS, "log_loss", {}),
        "two classes": (MLPClassifier, (LABELS > 0).astype(int), "log_loss", {}),
        "counts": (MLPRegressor, LABELS, "poisson", {"loss": "poisson"}),
        "huber": (MLPRegressor, Y.ravel(), "huber", {"loss": "huber"}),
    }[kind]
    model, trainer = estimator_and_trainer(make, "adam", loss, y, dtype, settings)
    assert_same_model(model, trainer)


def assert_same_model(model, trainer):
    parameters = trainer.network.parameters
    assert bits(*model.coefs_) == bits(
        parameters["dense_0.weights"], parameters["dense_1.weights"]
    )
    assert bits(*model.intercepts_) == bits(
        parameters["dense_0.biases"], parameters["dense_1.biases"]
    )
    assert trainer.history["loss"] == model.loss_curve_


# ------------------------------------------------------------------ when to stop


def test_training_stops_when_the_gradient_is_small():
    net = network("identity")
    trainer = Trainer(net, "squared_error", SGD(0.3), batch_size=None, grad_tol=1e-4)
    norms = trainer.fit(X, Y, 1000).history["gradient_norm"]
    assert 3 < len(norms) < 1000
    assert norms[-1] < 1e-4 <= min(norms[:-1])
    A = np.column_stack([X, np.ones(len(X))])
    solution, *_ = np.linalg.lstsq(A, Y.ravel())
    np.testing.assert_allclose(net.flat_parameters, solution, atol=1e-3)


def test_norm_of_the_gradient_contains_the_penalties_of_what_is_trained():
    net = Network([Dense(6, "tanh", trainable=False), Dense(1)], n_in=4, random_state=0)
    trainer = Trainer(net, "squared_error", grad_tol=1e-9, alpha=2.0, l1=3.0)
    (norm,) = trainer.fit(X, Y, 1).history["gradient_norm"]
    net.loss_and_gradients(X, Y, "squared_error")
    W = net.parameters["dense_1.weights"]
    of_weights = net.gradients["dense_1.weights"] + (2 * W + 3 * np.sign(W)) / len(X)
    of_bias = net.gradients["dense_1.biases"]
    expected = np.sqrt((of_weights**2).sum() + (of_bias**2).sum())
    assert norm == pytest.approx(expected, rel=1e-10)


def test_callback_can_stop_and_sees_the_new_parameters():
    seen = []

    def look(trainer, record):
        seen.append((record.epoch, record.loss, trainer.network.flat_parameters.copy()))
        return record.epoch == 3

    net = network("tanh", "identity")
    trainer = Trainer(net, "squared_error", callbacks=[look]).fit(X, Y, 10)
    assert [epoch for epoch, *_ in seen] == [1, 2, 3] == trainer.history["epoch"]
    assert [loss for _, loss, _ in seen] == trainer.history["loss"]
    assert bits(seen[-1][-1]) == bits(net.flat_parameters) != bits(seen[0][-1])


def test_objects_of_callbacks_work():
    history = History()
    stopper = EarlyStopping("validation_score", patience=2)
    trainer = Trainer(
        network("identity"),
        "squared_error",
        callbacks=[history, stopper],
        metrics={"constant": lambda y, outputs: 0.5},
    ).fit(X, Y, 10, X[:9], Y[:9])
    assert len(trainer.history["epoch"]) == 3
    assert history.column("validation_loss") == trainer.history["val_loss"]
    assert history.column("validation_score") == [0.5] * 3


# ------------------------------------------------------------ what is recorded


def test_history_has_losses_and_metrics():
    def accuracy(y, outputs):
        return np.mean(outputs.argmax(axis=1) == y)

    net = network("tanh", "identity", n_out=3)
    trainer = Trainer(net, "log_loss", "adam", metrics={"accuracy": accuracy})
    history = trainer.fit(X[:60], LABELS[:60], 4, X[60:], LABELS[60:]).history
    assert {name: len(values) for name, values in history.items()} == dict.fromkeys(
        "epoch loss learning_rate seconds accuracy val_loss val_accuracy".split(), 4
    )
    measured = trainer.evaluate(X[60:], LABELS[60:])
    assert measured == {
        "loss": history["val_loss"][-1],
        "accuracy": history["val_accuracy"][-1],
    }
    z = net.predict(X[60:])
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(trainer.predict(X[60:]), p, rtol=1e-12)
    expected = -np.log(p[np.arange(30), LABELS[60:]]).mean()
    assert measured["loss"] == pytest.approx(expected, rel=1e-12)
    assert measured["accuracy"] == np.mean(z.argmax(axis=1) == LABELS[60:])


def fourth_power(y, p):
    return ((y - p) ** 4).sum(axis=1), -4 * (y - p) ** 3


@pytest.mark.parametrize("last", ["identity", "tanh", "gelu"])
def test_loss_of_the_user_is_minimised(last):
    net = network("tanh", last)
    stack = stack_of(net)
    trainer = Trainer(net, fourth_power, SGD(0.1), batch_size=None, shuffle=False)
    (loss,) = trainer.fit(X, Y, 1).history["loss"]
    p = stack.forward(X)[1][-1]
    assert loss == pytest.approx(((Y - p) ** 4).mean(), rel=1e-12)
    of_weights, of_biases, _ = stack.backward(X, -4 * (Y - p) ** 3 / len(X))
    stack.weights = [
        w - 0.1 * g for w, g in zip(stack.weights, of_weights, strict=True)
    ]
    stack.biases = [b - 0.1 * g for b, g in zip(stack.biases, of_biases, strict=True)]
    assert_parameters_close(net, stack)


def test_evaluate_takes_weights():
    net = network("identity")
    trainer = Trainer(net, "squared_error")
    weights = np.arange(1.0, 91.0)
    losses = (net.predict(X) - Y).ravel() ** 2 / 2
    expected = (weights * losses).sum() / weights.sum()
    assert trainer.evaluate(X, Y, weights)["loss"] == pytest.approx(expected, rel=1e-12)


def test_rate_follows_the_schedule():
    net = network("identity")
    trainer = Trainer(
        net, "squared_error", SGD(0.5), Exponential(0.5), batch_size=45
    ).fit(X, Y, 3)
    # The last of two steps is half an epoch after its beginning.
    expected = [0.5 * 0.5 ** (epoch + 0.5) for epoch in range(3)]
    assert trainer.history["learning_rate"] == pytest.approx(expected, rel=1e-12)


def test_plateau_falls_after_bad_epochs():
    trainer = Trainer(
        network("identity"),
        "squared_error",
        SGD(0.5),
        Plateau(0.1, patience=2),
        metrics={},
    )
    # Weights of zero for all but one sample, which is learned at once: from then on no
    # epoch is better.
    trainer.fit(np.zeros((2, 4)), [[0.0], [0.0]], 8)
    rates = trainer.history["learning_rate"]
    assert rates == pytest.approx([0.5] * 4 + [0.05] * 3 + [0.005], rel=1e-12)


def test_update_norm_of_one_step_is_rate_times_gradient_norm():
    net = network("tanh", "identity")
    trainer = Trainer(
        net, "squared_error", SGD(0.25), batch_size=None, diagnostics=True
    )
    before = trainer.diagnose(X, Y)
    after = trainer.fit(X, Y, 1).history["diagnostics"][0]
    assert after["layer"].tolist() == ["dense_0", "dense_1"]
    np.testing.assert_allclose(
        after["update_norm"], 0.25 * before["gradient_norm"], rtol=1e-10
    )
    assert np.isnan(before["update_norm"]).all()
    for i in range(2):
        parts = [net.parameters[f"dense_{i}.{p}"] for p in ("weights", "biases")]
        norm = np.sqrt(sum((p**2).sum() for p in parts))
        assert after["weight_norm"][i] == pytest.approx(norm, rel=1e-12)


def test_dead_and_saturated_units_are_counted():
    # Of four ReLUs one is never active, of four tanh units two are far out.
    dead = Dense(4, "relu", weights=np.zeros((4, 4)), bias_values=[1, 1, 1, -1])
    far = Dense(4, "tanh", weights=np.zeros((4, 4)), bias_values=[0, 0.1, 9, -9])
    net = Network([dead, far, Dense(1)], n_in=4, random_state=0)
    trainer = Trainer(net, "squared_error")
    records = trainer.diagnose(X, Y)
    assert records["dead"].tolist() == [0.25, 0, 0]
    assert records["saturated"].tolist() == [0.25, 0.5, 0]


def test_diagnostics_leave_the_last_pass_alone():
    net = network("tanh", "identity")
    net.forward(X[:3])
    net.backward(np.ones((3, 1)))
    before = bits(net.flat_gradients)
    Trainer(net, "squared_error").diagnose(X, Y)
    assert bits(net.flat_gradients) == before
    assert len(net.activations[0]) == 3


# ------------------------------------------------------ what is trained, and how


@pytest.mark.parametrize("gemm", ["builtin", "blas"])
@pytest.mark.parametrize("limits", [{}, {"clip_norm": 0.1, "max_norm": 0.5}])
def test_frozen_layers_and_missing_biases_stay(limits, gemm):
    import fastbp

    layers = [
        Dense(6, "tanh", trainable=False),
        Dense(5, "tanh", bias=False),
        Dense(1),
    ]
    net = Network(layers, n_in=4, random_state=0)
    before = {name: values.copy() for name, values in net.parameters.items()}
    with fastbp.config_context(gemm=gemm):
        Trainer(net, "squared_error", "adamw", alpha=0.5, **limits).fit(X, Y, 2)
    for name, values in net.parameters.items():
        assert (bits(values) == bits(before[name])) == name.startswith("dense_0")
    origin = np.zeros((1, 6))
    twin = Network([Dense(5, "tanh", bias=False)], n_in=6)
    assert not twin.predict(origin).any()


def test_clipping_leaves_out_what_is_frozen():
    # One step with the gradient clipped moves the trained layer by rate * clip_norm.
    net = Network([Dense(6, "tanh", trainable=False), Dense(1)], n_in=4, random_state=0)
    before = net.flat_parameters.copy()
    Trainer(net, "squared_error", SGD(0.5), batch_size=None, clip_norm=1e-3).fit(
        X, Y, 1
    )
    assert np.linalg.norm(net.flat_parameters - before) == pytest.approx(5e-4, rel=1e-9)


@pytest.mark.parametrize(
    "make", [np.asfortranarray, sparse.csr_array, sparse.csc_array]
)
def test_data_in_other_forms_give_the_same_model(make):
    data = np.where(X > 0.3, X, 0)
    nets = [network("tanh", "identity") for _ in range(2)]
    for net, x in zip(nets, (data, make(data)), strict=True):
        Trainer(net, "squared_error", "adam", "cosine", random_state=0).fit(x, Y, 3)
    np.testing.assert_allclose(
        nets[0].flat_parameters, nets[1].flat_parameters, rtol=1e-10
    )


def test_sample_weights_count_like_copies():
    nets = [network("tanh", "identity") for _ in range(2)]
    weights = np.random.default_rng(1).integers(1, 4, len(X))
    Trainer(nets[0], "squared_error", batch_size=None).fit(
        X, Y, 3, sample_weight=weights
    )
    Trainer(nets[1], "squared_error", batch_size=None).fit(
        np.repeat(X, weights, axis=0), np.repeat(Y, weights, axis=0), 3
    )
    np.testing.assert_allclose(
        nets[0].flat_parameters, nets[1].flat_parameters, rtol=1e-11
    )


def test_number_of_threads_does_not_change_bits():
    layers = [Dense(200, "tanh"), Dense(150, "gelu"), Dense(1)]
    options = {"batch_size": 225, "grad_tol": 1e-9, "random_state": 0}
    trained = []
    for n_jobs in (1, 2, 3):
        net = Network(layers, n_in=4, random_state=0)
        assert _core.threads_for(net._core_network(), 225, 3) == 3
        trainer = Trainer(net, "squared_error", "adam", n_jobs=n_jobs, **options)
        trainer.fit(np.repeat(X, 5, axis=0), np.repeat(Y, 5, axis=0), 3)
        trained.append(bits(net.flat_parameters))
    assert len(set(trained)) == 1


def test_two_calls_of_fit_equal_one():
    nets = [network("tanh", "identity") for _ in range(2)]
    options = {"loss": "squared_error", "optimizer": "adam", "random_state": 3}
    one = Trainer(nets[0], **options).fit(X, Y, 4)
    two = Trainer(nets[1], **options).fit(X, Y, 1).fit(X, Y, 3)
    assert bits(nets[0].flat_parameters) == bits(nets[1].flat_parameters)
    assert one.history["loss"] == two.history["loss"]
    assert two.history["epoch"] == [1, 2, 3, 4]


# ------------------------------------------------------------- failures, Ctrl-C


def content(trainer):
    history = {k: v for k, v in trainer.history.items() if k != "seconds"}
    return (
        bits(trainer.network.flat_parameters),
        trainer._memory.t,
        bits(*trainer._memory.moments),
        None if trainer._memory.order is None else bits(trainer._memory.order),
        bits(trainer._generator.get_state()[1]),
        history,
    )


@pytest.mark.parametrize("where", ["callback", "metric"])
def test_ctrl_c_keeps_the_last_complete_epoch(where):
    calls = []

    def press(*_):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return False

    # A metric is measured before the epoch is complete, a callback runs after it.
    hooks = {"callbacks": [press]} if where == "callback" else {"metrics": {"m": press}}
    options = {"loss": "squared_error", "optimizer": "adam", "random_state": 3}
    trainer = Trainer(network("tanh", "identity"), **options, **hooks)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(X, Y, 10)
    n_complete = 3 if where == "callback" else 2
    same = Trainer(network("tanh", "identity"), **options).fit(X, Y, n_complete)
    assert content(trainer)[:3] == content(same)[:3]
    assert trainer.history["epoch"] == list(range(1, n_complete + 1))
    trainer.fit(X, Y, 2)
    same.fit(X, Y, 2)
    assert content(trainer)[:5] == content(same)[:5]


class InterruptAt:
    """Raises KeyboardInterrupt before the n-th line of fit's code, as Ctrl-C may."""

    FILES = ("trainer.py", "_training_loop.py", "_descent.py")

    def __init__(self, n):
        self.n_left = n

    def __call__(self, frame, event, argument):
        if not frame.f_code.co_filename.endswith(self.FILES):
            return None
        line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
        # Between this line and the one before it, signals are not handled.
        if event == "line" and line.strip() != "shuffle(rows)":
            self.n_left -= 1
            if self.n_left == 0:
                raise KeyboardInterrupt
        return self


@pytest.mark.parametrize("hooks", [{}, {"metrics": {"m": lambda y, p: 0.0}}])
def test_ctrl_c_anywhere_in_fit_and_going_on_equals_one_fit(hooks):
    options = {"loss": "squared_error", "optimizer": "adam", "random_state": 3}
    whole = Trainer(network("tanh", "identity"), **options).fit(X, Y, 4)
    n_interrupted, n_lines = 0, 0
    while True:
        n_lines += 1
        trainer = Trainer(network("tanh", "identity"), **options, **hooks)
        former = sys.gettrace()
        sys.settrace(InterruptAt(n_lines))
        try:
            trainer.fit(X, Y, 3)
        except KeyboardInterrupt:
            n_interrupted += 1
        finally:
            sys.settrace(former)
        n_done = len(trainer.history.get("epoch", []))
        trainer.fit(X, Y, 4 - n_done)
        assert content(trainer)[:5] == content(whole)[:5], n_lines
        assert trainer.history["loss"] == whole.history["loss"]
        if n_interrupted < n_lines:
            break
    assert n_interrupted > 100


def test_ctrl_c_at_any_time_and_going_on_equals_one_fit():
    n_epochs, longest = 60, 3e-3  # seconds until an interrupt, about those of a fit
    options = {"loss": "squared_error", "optimizer": "adam", "random_state": 3}
    whole = Trainer(network("tanh", "identity"), **options).fit(X, Y, n_epochs)
    n_left, n_within = 0, 0
    for share in np.random.default_rng(0).uniform(size=2000):
        if n_left == 0:
            trainer, n_left = Trainer(network("tanh", "identity"), **options), n_epochs
        former = n_left
        press = threading.Timer(share * longest, signal.raise_signal, [signal.SIGINT])
        try:
            press.start()
            trainer.fit(X, Y, former)
            press.join()
        except KeyboardInterrupt:
            n_left = n_epochs - len(trainer.history.get("epoch", []))
            n_within += 0 < n_left < former
        else:
            n_left = 0
        longest *= 0.9 if n_left == 0 else 1.1
        if n_left == 0:
            assert content(trainer)[:5] == content(whole)[:5]
            if n_within >= 100:
                break
    assert n_within >= 100


def test_failing_fit_changes_nothing():
    def fail(trainer, record):
        if record.epoch == 3:
            raise ZeroDivisionError

    net = network("tanh", "identity")
    trainer = Trainer(net, "squared_error", "adam", callbacks=[fail], random_state=1)
    trainer.fit(X, Y, 1)
    before = content(trainer)
    with pytest.raises(ZeroDivisionError):
        trainer.fit(X, Y, 5)
    assert content(trainer) == before


def test_divergence_is_an_error_and_changes_nothing():
    net = network("identity")
    trainer = Trainer(net, "squared_error", SGD(1e200), random_state=0)
    before = content(trainer)
    with pytest.raises(ValueError, match="non-finite parameter weights"):
        trainer.fit(X, Y, 5)
    assert content(trainer) == before


def test_trainer_in_mapped_memory_goes_on(tmp_path):
    trainer = Trainer(network("relu", "identity"), "huber", "adam", random_state=0)
    trainer.fit(X, Y, 2)
    joblib.dump(trainer, tmp_path / "trainer.joblib")
    mapped = joblib.load(tmp_path / "trainer.joblib", mmap_mode="r")
    assert isinstance(mapped._memory.order, np.memmap)
    assert content(mapped.fit(X, Y, 2)) == content(trainer.fit(X, Y, 2))


def test_loss_may_be_changed():
    trainer = Trainer(network("identity"), "squared_error")
    before = trainer.evaluate(X, Y)["loss"]
    trainer.loss = "huber"
    net = network("identity")
    assert trainer.evaluate(X, Y) == Trainer(net, "huber").evaluate(X, Y)
    assert trainer.evaluate(X, Y)["loss"] < before
    with pytest.raises(ValueError, match="loss"):
        trainer.loss = "hinge"
    assert trainer.loss == "huber"


def test_pickled_trainer_goes_on():
    options = {"loss": "squared_error", "optimizer": "adam", "random_state": 3}
    trainer = Trainer(
        network("tanh", "identity"), callbacks=[lambda *_: None], **options
    ).fit(X, Y, 2)
    twin = pickle.loads(pickle.dumps(trainer))
    for one in (trainer, twin):
        one.fit(X, Y, 2)
    assert content(twin) == content(trainer)


# -------------------------------------------------------------------- bad values


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"network": 3}, "network must be a fastbp.Network, got 3"),
        ({"loss": "mse"}, "a loss must be one of .* got 'mse'"),
        ({"loss": Quantile([0.1, 0.9])}, "needs 2 outputs for each target, got 1"),
        ({"optimizer": "lbfgs"}, "an optimizer must be one of .* got 'lbfgs'"),
        ({"schedule": "warm"}, "a schedule must be one of .* got 'warm'"),
        ({"batch_size": 0}, "batch_size must be an integer of at least 1, got 0"),
        ({"callbacks": [3]}, r"callbacks\[0\] must be"),
        ({"n_jobs": 0}, "n_jobs must be"),
        ({"alpha": -1}, r"alpha must be a finite number in \[0, inf\), got -1"),
        ({"l1": np.nan}, "l1 must be"),
        ({"max_norm": 0}, r"max_norm must be a finite number in \(0, inf\), got 0"),
        ({"clip_norm": "1"}, "clip_norm must be"),
        ({"grad_tol": 0}, "grad_tol must be"),
        ({"saturation_bound": 0}, "saturation_bound must be"),
    ],
)
def test_bad_settings_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Trainer(
            **{"network": network("identity"), "loss": "squared_error", **arguments}
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_epochs": 0}, "n_epochs must be an integer of at least 1, got 0"),
        ({"X": X[:, :2]}, "X has 2 columns, the network has 4 inputs"),
        ({"y": Y[:5]}, r"y must have shape \(90, 1\)"),
        ({"X_val": X}, "both X_val and y_val"),
        ({"X_val": X[:, :2], "y_val": Y}, "X_val has 2 columns"),
        ({"X_val": X, "y_val": Y[:5]}, r"y_val must have shape \(90, 1\)"),
        ({"sample_weight": -np.ones(90)}, "weights must not be negative"),
    ],
)
def test_bad_data_are_refused(arguments, message):
    trainer = Trainer(network("identity"), "squared_error")
    with pytest.raises(ValueError, match=message):
        trainer.fit(**{"X": X, "y": Y, "n_epochs": 1, **arguments})


def test_warm_up_must_end_before_the_fit():
    trainer = Trainer(network("identity"), "squared_error", schedule=Warmup(3))
    message = r"Warmup\(epochs=3.* must end before n_epochs=3"
    with pytest.raises(ValueError, match=message):
        trainer.fit(X, Y, 3)
    assert len(trainer.fit(X, Y, 4).history["loss"]) == 4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"metrics": {"loss": len}}, "a name in metrics .* got 'loss'"),
        ({"metrics": {"seconds": len}}, "a name in metrics .* got 'seconds'"),
        ({"metrics": {"val_loss": len}}, "a name in metrics .* got 'val_loss'"),
        ({"metrics": {3: len}}, "a name in metrics .* got 3"),
        ({"metrics": [len]}, "metrics must map names to functions"),
        ({"metrics": {"a": 3}}, r"metrics\['a'\] must be a function, got 3"),
        ({"callbacks": None}, "callbacks must be a list, got None"),
        ({"shuffle": "a"}, "shuffle must be a bool, got 'a'"),
        ({"diagnostics": 1}, "diagnostics must be a bool, got 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Trainer(network("tanh", "identity"), "squared_error", **settings)


def test_metric_must_return_a_number():
    trainer = Trainer(
        network("identity"), "squared_error", metrics={"none": lambda y, p: None}
    )
    with pytest.raises(ValueError, match=r"metrics\['none'\] must return a number"):
        trainer.fit(X, Y, 1)
    assert trainer.history == {}


def test_probabilities_must_have_the_sum_one():
    net = network("softmax", n_out=3)
    with pytest.raises(ValueError, match="sum is 1 in each row, got 0.9 in row 0"):
        Trainer(net, "log_loss").fit(X, np.full((90, 3), 0.3), 1)


def test_targets_of_many_classes_take_memory_for_their_rows_only():
    net = Network([Dense(200_000, "softmax")], n_in=1, dtype="float32")
    net.flat_parameters[:] = 0
    loss = Trainer(net, "log_loss").evaluate(np.zeros((3, 1)), [0, 1, 199_999])["loss"]
    assert loss == pytest.approx(np.log(200_000), rel=1e-5)


def test_what_a_callback_writes_is_trained_on():
    seen = []

    def prune(trainer, record):
        weights = trainer.network.parameters["dense_0.weights"]
        seen.append(weights.copy())
        weights[0] = 0

    net = network("identity")
    stack = stack_of(net)
    Trainer(net, "squared_error", SGD(0.1), batch_size=None, callbacks=[prune]).fit(
        X, Y, 3
    )
    for values in seen:
        z, _ = stack.forward(X)
        of_weights, of_biases, _ = stack.backward(X, (z[-1] - Y) / len(X))
        stack.weights[0] -= 0.1 * of_weights[0]
        stack.biases[0] -= 0.1 * of_biases[0]
        np.testing.assert_allclose(values, stack.weights[0], rtol=1e-10)
        stack.weights[0][0] = 0
    assert_parameters_close(net, stack)


@pytest.mark.parametrize("second", [Adam(0.01), SGD(0.01, momentum=0.9)], ids=repr)
def test_another_rule_begins_with_new_moments(second):
    trainer = Trainer(network("tanh", "identity"), "squared_error", RMSprop(0.01))
    net = trainer.fit(X, Y, 2).network.copy()
    trainer.optimizer = second
    trainer.shuffle = False
    fresh = Trainer(net, "squared_error", second, shuffle=False)
    for one in (trainer, fresh):
        one.fit(X, Y, 2)
    assert bits(trainer.network.flat_parameters) == bits(net.flat_parameters)


def test_what_a_callback_writes_before_the_first_epoch_is_trained_on():
    class Zeros(History):
        def on_fit_begin(self, trainer):
            super().on_fit_begin(trainer)
            trainer.network.flat_parameters[:] = 0

    net = network("identity")
    Trainer(net, "squared_error", SGD(1e-300), callbacks=[Zeros()]).fit(X, Y, 1)
    assert np.abs(net.flat_parameters).max() < 1e-200


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("network", 3, "network must be a fastbp.Network, got 3"),
        ("network", Network([Dense(1, "step")], n_in=4), "layer 0 has activation"),
        ("loss", "hinge", "got 'hinge'"),
        ("optimizer", "newton", "an optimizer must be one of .* got 'newton'"),
        ("schedule", "never", "a schedule must be one of .* got 'never'"),
        ("batch_size", 0, "batch_size must be an integer of at least 1, got 0"),
        ("shuffle", 1, "shuffle must be a bool, got 1"),
        ("callbacks", [3], r"callbacks\[0\]"),
        ("n_jobs", 0, "n_jobs"),
        ("alpha", -1, "alpha must be a finite number"),
        ("l1", None, "l1 must be a finite number"),
        ("max_norm", 0.0, "max_norm must be a finite number"),
        ("clip_norm", "a", "clip_norm must be a finite number"),
        ("grad_tol", -1, "grad_tol must be a finite number"),
        ("metrics", [len], "metrics must map names to functions"),
        ("diagnostics", None, "diagnostics must be a bool"),
        ("saturation_bound", 0, "saturation_bound must be a finite number"),
    ],
)
def test_parameters_are_checked_when_they_are_set(name, value, message):
    trainer = Trainer(network("identity"), "squared_error")
    before = getattr(trainer, name)
    with pytest.raises(ValueError, match=message):
        setattr(trainer, name, value)
    assert getattr(trainer, name) is before


def test_parameters_may_be_names_when_they_are_set():
    first = Trainer(network("identity"), "squared_error", "adam", "cosine")
    second = Trainer(network("identity"), "huber")
    second.loss, second.optimizer = "squared_error", "adam"
    second.schedule = "cosine"
    seen = []
    second.callbacks = [lambda trainer, record: seen.append(record.epoch)]
    for trainer in (first, second):
        trainer._generator = np.random.RandomState(0)
        trainer.fit(X, Y, 3)
    assert bits(first.network.flat_parameters) == bits(second.network.flat_parameters)
    assert seen == [1, 2, 3]


def test_another_network_is_trained_with_its_own_outputs_and_no_moments():
    y = np.arange(len(X)) % 3
    trainer = Trainer(network("softmax", n_out=3), "log_loss", "adam", random_state=0)
    trainer.fit(X, y, 2)
    trainer.network = network("tanh", "identity", n_out=3)
    fresh = Trainer(network("tanh", "identity", n_out=3), "log_loss", "adam")
    fresh._generator = trainer._generator
    fresh._memory.order = trainer._memory.order.copy()
    stream = trainer._generator.get_state()
    trainer.fit(X, y, 2)
    trainer._generator.set_state(stream)
    fresh.fit(X, y, 2)
    assert bits(trainer.network.flat_parameters) == bits(fresh.network.flat_parameters)
    with pytest.raises(ValueError, match="log_loss"):
        trainer.network = network("tanh", n_out=3)


def test_losses_and_activations_of_ones_own_are_functions_and_not_subclasses():
    class Absolute(SquaredError):
        def per_output(self, y_true, y_pred):
            return np.abs(y_true - y_pred)

    class Cubic(Activation):
        name = "relu"

    with pytest.raises(ValueError, match="a loss must be one of"):
        Trainer(network("identity"), Absolute())
    with pytest.raises(ValueError, match="an activation must be one of"):
        Dense(2, Cubic())
    with pytest.raises(ValueError, match="activation must be one of"):
        MLPRegressor(activation=Cubic()).fit(X, Y[:, 0])


@pytest.mark.parametrize("answer", [1, "stop", np.ones(2)], ids=str)
def test_callbacks_answer_with_a_bool_or_nothing(answer):
    trainer = Trainer(
        network("identity"), "squared_error", callbacks=[lambda trainer, record: answer]
    )
    with pytest.raises(ValueError, match="in callbacks must return True"):
        trainer.fit(X, Y, 1)
    model = MLPRegressor(callbacks=[lambda estimator, record: answer])
    with pytest.raises(ValueError, match="in callbacks must return True"):
        model.fit(X, Y[:, 0])


def test_weights_of_the_validation_set_count_in_its_loss():
    weights = np.random.default_rng(1).uniform(0, 2, 30)
    trainer = Trainer(network("tanh", "identity"), "squared_error", shuffle=False)
    trainer.fit(X[:60], Y[:60], 2, X[60:], Y[60:], sample_weight_val=weights)
    expected = trainer.evaluate(X[60:], Y[60:], weights)["loss"]
    assert trainer.history["val_loss"][-1] == expected
    assert expected != trainer.evaluate(X[60:], Y[60:])["loss"]
    with pytest.raises(ValueError, match="sample_weight_val needs X_val and y_val"):
        trainer.fit(X, Y, 1, sample_weight_val=weights)
    with pytest.raises(ValueError, match="sample_weight_val: .*negative"):
        trainer.fit(X[:60], Y[:60], 1, X[60:], Y[60:], sample_weight_val=-weights)


def test_dropout_of_another_network_comes_from_the_random_state():
    def trained(seed):
        trainer = Trainer(
            network("identity"), "squared_error", shuffle=False, random_state=seed
        )
        layers = [Dense(6, "tanh"), Dropout(0.5), Dense(1)]
        trainer.network = Network(layers, n_in=4, random_state=0)
        return bits(trainer.fit(X, Y, 1).network.flat_parameters)

    assert trained(1) == trained(1) != trained(2)


# ------------------------------------------------------------- what the user may do


@pytest.mark.parametrize("part", ["metric", "evaluate"])
def test_metric_cannot_write_into_the_targets(part):
    def centred(y, outputs):
        y -= y.mean()
        return 0.0

    y = Y.copy()
    trainer = Trainer(network("identity"), "squared_error", metrics={"m": centred})
    with pytest.raises(ValueError, match="read-only"):
        trainer.fit(X, y, 2) if part == "metric" else trainer.evaluate(X, y)
    np.testing.assert_array_equal(y, Y)


def test_target_too_large_for_float32_is_refused():
    y = Y.copy()
    y[0] = -1e39
    trainer = Trainer(network("identity", dtype="float32"), "huber")
    with pytest.raises(ValueError, match=r"y must be in the range of float32, got 1e"):
        trainer.fit(X, y, 1)


def test_callback_that_sets_another_network_fails_and_changes_nothing():
    def exchange(trainer, record):
        if record.epoch == 2:
            trainer.network = network("relu", "identity")

    net = network("identity")
    trainer = Trainer(net, "squared_error", random_state=1).fit(X, Y, 1)
    before = content(trainer)
    trainer.callbacks = [exchange]
    with pytest.raises(ValueError, match="must not set another network"):
        trainer.fit(X, Y, 5)
    assert trainer.network is net
    assert content(trainer) == before


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy])
def test_copy_trains_on_with_its_callbacks(make):
    seen = []
    trainer = Trainer(
        network("tanh", "identity"),
        "squared_error",
        "adam",
        callbacks=[lambda trainer, record: seen.append(record.epoch)],
        random_state=1,
    ).fit(X, Y, 2)
    copied = make(trainer)
    copied.fit(X, Y, 1)
    assert seen == [1, 2, 3]
    assert trainer.history["epoch"] == [1, 2]
    assert copied.history["epoch"] == [1, 2, 3]
    assert (copied.network is trainer.network) == (make is copy.copy)


def test_trainer_pickled_by_a_callback_trains_on_as_the_trainer_does():
    pickles = {}

    def keep(trainer, record):
        pickles[record.epoch] = pickle.dumps(trainer)

    trainer = Trainer(
        network("tanh", "identity"),
        "squared_error",
        "adam",
        callbacks=[keep],
        random_state=1,
    ).fit(X, Y, 5)
    for epoch in (1, 3):
        loaded = pickle.loads(pickles[epoch])
        loaded.fit(X, Y, 5 - epoch)
        assert content(loaded)[:5] == content(trainer)[:5]


@pytest.mark.parametrize("where", ["loss", "schedule"])
def test_functions_of_the_user_see_the_network_of_the_last_epoch(where):
    net = network("identity")
    seen = []

    def look():
        seen.append(net.flat_parameters.copy())

    def half_squared(y, p):
        look()
        return 0.5 * ((p - y) ** 2).sum(axis=1), p - y

    class Looking(Exponential):
        def __call__(self, epoch, n_epochs):
            look()
            return super().__call__(epoch, n_epochs)

    loss = half_squared if where == "loss" else "squared_error"
    schedule = Warmup(1, Looking()) if where == "schedule" else None
    trainer = Trainer(net, loss, schedule=schedule, batch_size=None, random_state=0)
    trainer.fit(X, Y, 4)
    assert len({bits(parameters) for parameters in seen}) == len(seen) >= 3


def test_ctrl_c_after_another_network_was_set_keeps_the_one_that_trains():
    def exchange(trainer, record):
        if record.epoch == 2:
            trainer.network = network("relu", "identity")
            raise KeyboardInterrupt

    net, other = network("identity"), network("identity")
    options = {"loss": "squared_error", "optimizer": "adam", "random_state": 1}
    trainer = Trainer(net, callbacks=[exchange], **options)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(X, Y, 3)
    assert trainer.network is net
    trainer.callbacks = []
    same = Trainer(other, **options).fit(X, Y, 3)
    assert content(trainer.fit(X, Y, 1))[:5] == content(same)[:5]


def test_callbacks_and_metrics_changed_in_place_are_checked():
    seen = []
    trainer = Trainer(
        network("identity"), "squared_error", metrics={"m": lambda y, p: 0}
    )
    trainer.callbacks.append(lambda trainer, record: seen.append(1))
    trainer.fit(X, Y, 2)
    assert len(seen) == 2
    trainer.metrics["b"] = 3
    with pytest.raises(ValueError, match=r"metrics\['b'\] must be a function"):
        trainer.fit(X, Y, 1)


def test_diagnostics_are_of_rows_with_weight():
    many = np.zeros((5000, 4))
    many[1] = 1
    weights = np.zeros(5000)
    weights[1] = 1  # between the rows that would be taken
    trainer = Trainer(network("tanh", "identity"), "squared_error")
    records = trainer.diagnose(many, many[:, :1], weights)
    assert np.isfinite(records["gradient_norm"]).all()
    assert (records["gradient_norm"] > 0).all()


@pytest.mark.parametrize(
    "weights",
    [np.array(["1970-01-02"] * 90, "M8[D]"), np.ones(90) + 1j, [10**400] * 90],
    ids=["dates", "complex", "huge integers"],
)
def test_weights_that_are_no_numbers_are_refused(weights):
    trainer = Trainer(network("identity"), "squared_error")
    with pytest.raises(ValueError, match="sample_weight"):
        trainer.fit(X, Y, 1, sample_weight=weights)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"X_val": [["a"] * 4], "y_val": [1.0]}, "X_val: could not convert"),
        ({"X_val": X[:0], "y_val": Y[:0]}, r"X_val: Found array with 0 sample"),
        ({"X_val": X[0], "y_val": Y[:1]}, "X_val: Expected 2D array"),
        ({"X_val": X[:2], "y_val": [[1.0], [1.0, 2.0]]}, "y_val must hold numbers: "),
    ],
    ids=["words", "no rows", "one row", "ragged"],
)
def test_bad_validation_set_is_named(arguments, said):
    trainer = Trainer(network("identity"), "squared_error")
    with pytest.raises(ValueError, match=f"^{said}"):
        trainer.fit(X, Y, 1, **arguments)
    network_ = network("identity")
    network_.forward(X[:2])
    with pytest.raises(ValueError, match="^grad_output must hold numbers: "):
        network_.backward([[1.0], [1.0, 2.0]])


def test_integer_too_large_for_a_float_is_refused():
    with pytest.raises(ValueError, match="SGD must be a finite number"):
        SGD(10**400)
    with pytest.raises(ValueError, match="alpha must be a finite number"):
        Trainer(network("identity"), "squared_error", alpha=10**400)


def test_sparse_matrix_that_a_callback_breaks_is_refused():
    rows = sparse.csr_array(np.where(X > 0, X, 0))

    def breaks(trainer, record):
        rows.indices[:] = 10**8

    trainer = Trainer(network("identity"), "squared_error", callbacks=[breaks])
    with pytest.raises(ValueError, match="index 100000000 at position 0"):
        trainer.fit(rows, Y, 3)
