"""Network and Trainer with norms and dropout: in predictions and in training."""

import pickle

import numpy as np
import pytest
from scipy import sparse

from fastbp import MLPRegressor, Network, Trainer, _core
from fastbp.layers import BatchNorm, Dense, Dropout, LayerNorm
from fastbp.optimizers import SGD, Adam
from reference.compare import assert_close, bits
from reference.layers import differences_of
from reference.regularised import Regularised

DTYPES = ("float32", "float64")
NORMS = {"layer": LayerNorm, "batch": BatchNorm, None: None}
# (norm, dropout of the hidden layers, of the inputs)
CASES = [
    ("layer", (), 0.0),
    ("batch", (), 0.0),
    (None, (0.5, 0.25), 0.0),
    (None, (0.0, 0.3), 0.2),
    ("layer", (0.5, 0.25), 0.1),
    ("batch", (0.2, 0.3), 0.1),
]


def make_network(
    norm=None,
    dropout=(),
    input_dropout=0.0,
    activation="tanh",
    dtype="float64",
    sizes=(6, 17, 9, 3),
):
    """A network whose norms are not neutral."""
    layers = [Dropout(input_dropout)] if input_dropout else []
    for i, n in enumerate(sizes[1:-1]):
        kind = NORMS[norm]
        layers += [Dense(n), kind(activation)] if kind else [Dense(n, activation)]
        if dropout and dropout[i] > 0:
            layers.append(Dropout(dropout[i]))
    layers.append(Dense(sizes[-1]))
    network = Network(layers, n_in=sizes[0], dtype=dtype, random_state=0)
    rng = np.random.default_rng(1)
    for views in (network.parameters, network.statistics):
        for name, values in views.items():
            if not name.endswith("weights"):
                values[:] = rng.uniform(0.5, 1.5, values.shape)
    return network


def reference_of(network, dropout, input_dropout, seed=0):
    """The same network in plain NumPy and float64."""
    own = [network._own(i, network.parameters) for i in range(len(network.layers))]
    own = [{k: v.astype(np.float64) for k, v in parts.items()} for parts in own]
    hidden = next(x for x in network.layers if x.activation.name != "identity")
    reference = Regularised(
        [x["weights"] for x in own if "weights" in x],
        [x["biases"] for x in own if "weights" in x],
        hidden.activation.name,
        "squared_error",
        norms=[x for x in own if "gain" in x],
        dropout=dropout,
        input_dropout=input_dropout,
        seed=seed,
    )
    # The masks are those of the type.
    typed = Regularised(
        [W.astype(network.dtype) for W in reference.coefs],
        **{
            name: getattr(reference, name)
            for name in ("intercepts", "activation", "loss", "norms", "dropout")
        },
        input_dropout=input_dropout,
        seed=seed,
    )
    reference.masks = lambda n_rows: typed.masks(n_rows)
    return reference


def rows(n, n_in, dtype="float64"):
    return np.random.default_rng(2).normal(size=(n, n_in)).astype(dtype)


def seed_of(random_state):
    high, low = np.random.RandomState(random_state).randint(2**32, size=2, dtype="u4")
    return int(high) * 2**32 + int(low)


def named(network, coefs, intercepts, norms):
    """Arrays as the reference has them, by the network's names."""
    coefs, intercepts, norms = iter(coefs), iter(intercepts), iter(norms)
    found = {}
    for i, layer in enumerate(network.layers):
        if isinstance(layer, Dense):
            found[f"dense_{i}.weights"] = next(coefs)
            found[f"dense_{i}.biases"] = next(intercepts)
        elif not isinstance(layer, Dropout):
            norm = next(norms)
            for part in ("gain", "bias"):
                found[f"{layer.name}_{i}.{part}"] = norm[part]
    return found


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ["tanh", "relu", "gelu"])
@pytest.mark.parametrize("case", CASES)
def test_training_steps_agree_with_the_reference(case, activation, dtype):
    norm, dropout, input_dropout = case
    network = make_network(*case, activation, dtype)
    reference = reference_of(network, dropout, input_dropout, seed_of(7))
    X, y = rows(130, 6, dtype), rows(130, 3, dtype)
    weights = np.random.default_rng(3).uniform(0.2, 2, 130)
    loss, gradients = network.loss_and_gradients(
        X, y, "squared_error", weights, training=True, random_state=7
    )
    data = X.astype(float), y.astype(float), weights
    assert_close(loss, reference.cost(*data), dtype, 130, factor=32)
    expected = named(network, *reference.gradients(*data))
    assert gradients.keys() == expected.keys()
    # As one: biases before a batch norm have no gradient but rounding errors.
    assert_close(
        np.concatenate([gradients[name].ravel() for name in expected]),
        np.concatenate([a.ravel() for a in expected.values()]),
        dtype,
        130,
        factor=64,
    )


@pytest.mark.parametrize("case", CASES)
def test_layers_of_a_training_step_agree_with_the_reference(case):
    norm, dropout, input_dropout = case
    network = make_network(*case)
    reference = reference_of(network, dropout, input_dropout, seed_of(7))
    X = rows(130, 6)
    z, a, _, masks, output = reference.train_forward(X, np.ones(130))
    outputs = network.forward(X, training=True, random_state=7)
    np.testing.assert_allclose(outputs, output, rtol=1e-12)
    after = dict(enumerate(network.activations))
    before = dict(enumerate(network.pre_activations))
    hidden = [
        i for i, x in enumerate(network.layers) if x.activation.name != "identity"
    ]
    for i, at in enumerate(hidden):
        np.testing.assert_allclose(before[at], z[i], rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(
            after[at], np.tanh(z[i]), rtol=1e-11, atol=1e-12, err_msg="not dropped"
        )
        if dropout and dropout[i]:
            np.testing.assert_allclose(after[at + 1], a[i + 1], rtol=1e-11, atol=1e-12)
    if input_dropout:
        np.testing.assert_array_equal(after[0], X * masks[0])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES)
def test_predictions_agree_with_the_reference(case, dtype):
    _, dropout, input_dropout = case
    network = make_network(*case, dtype=dtype)
    X = rows(130, 6, dtype)
    expected = reference_of(network, dropout, input_dropout).predict(X.astype(float))
    assert_close(network.predict(X), expected, dtype, 17, factor=32)
    assert bits(network.forward(X)) == bits(network.predict(X))
    assert bits(network.activations[-1]) == bits(network.predict(X))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("activation", ["tanh", "gelu"])
@pytest.mark.parametrize("case", CASES)
def test_gradients_agree_with_differences(case, activation, training):
    network = make_network(*case, activation, sizes=(3, 5, 4, 2))
    X, y = rows(12, 3), rows(12, 2)
    weights = np.random.default_rng(3).uniform(0.2, 2, 12)
    errors = network.gradient_check(
        X, y, "squared_error", weights, training=training, random_state=1
    )
    assert max(errors.values()) < 2e-8


@pytest.mark.parametrize("case", CASES)
def test_jacobian_is_the_difference_of_the_predictions(case):
    network = make_network(*case)
    X = rows(5, 6)
    differences = differences_of(network.predict, X)
    np.testing.assert_allclose(network.jacobian(X), differences, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("case", CASES)
def test_gradient_at_the_inputs_of_a_training_step_is_a_difference(case):
    network = make_network(*case)
    X, dy = rows(8, 6), rows(8, 3)

    def value(inputs):
        return (network.forward(inputs, training=True, random_state=5) * dy).sum()

    value(X)
    gradient = network.backward(dy)
    differences, h = np.empty_like(X), 1e-6
    for at in np.ndindex(X.shape):
        step = np.zeros_like(X)
        step[at] = h
        differences[at] = (value(X + step) - value(X - step)) / (2 * h)
    np.testing.assert_allclose(gradient, differences, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_sparse_rows_give_what_dense_ones_give(case, training):
    network = make_network(*case)
    X = np.where(rows(120, 6) > 0.5, rows(120, 6), 0)
    mode = {"training": training, "random_state": 3}
    dense = network.forward(X, **mode)
    dense_inputs, dense_gradient = network.activations[0], network.backward(dense)
    got = network.forward(sparse.csr_array(X), **mode)
    np.testing.assert_allclose(got, dense, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(network.activations[0], dense_inputs, atol=1e-13)
    np.testing.assert_allclose(network.backward(dense), dense_gradient, atol=1e-11)


def tape_bits(network, X, dy, n_threads):
    core = network._core_network()
    tape = _core.Tape(
        core, _core.Rows.dense(X), training=True, seed=9, n_threads=n_threads
    )
    gradients = network._gradient_arrays
    _, dx = tape.backward(dy, "linear", gradients=gradients, n_threads=n_threads)
    z = tape.pre_activations(1, n_threads=n_threads)
    return bits(tape.output(2), z, network.flat_gradients, dx)


@pytest.mark.parametrize("case", CASES)
def test_bits_do_not_depend_on_the_number_of_threads(case):
    network = make_network(*case, sizes=(20, 33, 40, 3))
    X, dy = rows(900, 20), rows(900, 3)
    expected = tape_bits(network, X, dy, 1)
    for n_threads in (2, 3, 4):
        assert tape_bits(network, X, dy, n_threads) == expected


def test_random_state_decides_what_is_dropped():
    network = make_network(None, (0.5, 0.5))
    X = rows(20, 6)
    mode = {"training": True}
    first = network.forward(X, **mode, random_state=1)
    assert (network.forward(X, **mode, random_state=1) == first).all()
    assert (network.forward(X, **mode, random_state=2) != first).any()
    stream = np.random.RandomState(1)
    assert (network.forward(X, **mode, random_state=stream) == first).all()
    assert (network.forward(X, **mode, random_state=stream) != first).any()
    assert (network.forward(X, random_state=1) == network.predict(X)).all()


# --------------------------------------------------------------------- training


def trained(network, n_epochs=3, **settings):
    X, y = rows(90, 6), rows(90, 3)
    options = {"batch_size": 16, "random_state": 4, **settings}
    trainer = Trainer(network, "squared_error", Adam(0.01), **options)
    return trainer.fit(X, y, n_epochs)


def test_dropout_of_one_random_state_is_the_same_for_trainer_and_estimator():
    X, y = rows(90, 6), rows(90, 3)
    given = [0.3 * rows(6, 17), 0.3 * rows(17, 3)]
    model = MLPRegressor(
        hidden_layer_sizes=(17,),
        weight_init=[lambda n_in, n_out, rng, W=W: W for W in given],
        dropout=0.4,
        alpha=0,
        batch_size=16,
        max_iter=3,
        random_state=5,
    ).fit(X, y)
    layers = [Dense(17, "relu"), Dropout(0.4), Dense(3)]
    network = Network(layers, n_in=6, random_state=0)
    zeros = [np.zeros(17), np.zeros(3)]
    network._store((given, zeros))
    options = {"batch_size": 16, "random_state": 5}
    Trainer(network, "squared_error", Adam(0.001), **options).fit(X, y, 3)
    weights, biases, _ = network._parameter_arrays
    assert bits(weights, biases) == bits(model.coefs_, model.intercepts_)


@pytest.mark.parametrize("normalization", ["layer", "batch"])
@pytest.mark.parametrize("input_dropout", [0.0, 0.2])
def test_trainer_and_estimator_give_the_same_bits(normalization, input_dropout):
    X, y = rows(90, 6), rows(90, 3)
    model = MLPRegressor(
        hidden_layer_sizes=(17, 9),
        activation="tanh",
        normalization=normalization,
        dropout=0.3 if input_dropout else 0.0,
        input_dropout=input_dropout,
        batch_size=16,
        learning_rate_init=0.01,
        alpha=0,
        shuffle=False,
        max_iter=1,
        random_state=0,
    )
    first = pickle.loads(pickle.dumps(model)).set_params(learning_rate_init=1e-300)
    first.fit(X, y)
    model.fit(X, y)
    dropout = (0.3, 0.3) if input_dropout else ()
    network = make_network(normalization, dropout, input_dropout)
    neutral = Network(network.layers, n_in=6)
    network._state[:] = neutral._state
    norms = network._parameter_arrays[2]
    network._store((first.coefs_, first.intercepts_, norms))
    trainer = Trainer(
        network, "squared_error", Adam(0.01), batch_size=16, shuffle=False
    )
    trainer._memory.dropout_seed = model._optimizer.dropout_seed or 0
    trainer.fit(X, y, 1)
    weights, biases, norms = network._parameter_arrays
    assert bits(weights, biases) == bits(model.coefs_, model.intercepts_)
    for got, expected in zip(norms, model.norms_, strict=True):
        assert got.keys() == expected.keys()
        assert bits(*got.values()) == bits(*expected.values())
    assert bits(network.predict(X)) == bits(model.predict(X))


@pytest.mark.parametrize("case", CASES)
def test_two_fits_are_one(case):
    once = trained(make_network(*case), 4).network
    trainer = trained(make_network(*case), 2)
    trainer.fit(rows(90, 6), rows(90, 3), 2)
    assert bits(trainer.network._state) == bits(once._state)


@pytest.mark.parametrize("case", CASES)
def test_number_of_threads_does_not_change_bits(case):
    options, states = {"batch_size": 200, "random_state": 4}, []
    for n_jobs in (1, 2, 3):
        network = make_network(*case, sizes=(6, 200, 150, 3))
        assert _core.threads_for(network._core_network(), 200, 3) == 3
        trainer = Trainer(network, "squared_error", n_jobs=n_jobs, **options)
        trainer.fit(rows(400, 6), rows(400, 3), 2)
        states.append(bits(network._state))
    assert len(set(states)) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_fit_that_ends_early_leaves_a_whole_state(error):
    case = ("batch", (0.2, 0.3), 0.1)

    def stop(trainer, record):
        if record.epoch == 3:
            trainer.network._state[:] = 0
            raise error

    settings = {"batch_size": 16, "random_state": 4}
    trainer = Trainer(
        make_network(*case), "squared_error", callbacks=[stop], **settings
    )
    before = trainer.network._state.copy()
    with pytest.raises(error):
        trainer.fit(rows(90, 6), rows(90, 3), 5)
    if error is RuntimeError:
        assert bits(trainer.network._state) == bits(before)
        assert trainer.history == {}
    else:
        expected = Trainer(make_network(*case), "squared_error", **settings)
        expected.fit(rows(90, 6), rows(90, 3), 3)
        assert bits(trainer.network._state) == bits(expected.network._state)
        assert trainer.history["epoch"] == [1, 2, 3]


def test_statistics_are_changed_by_training_alone():
    network = make_network("batch")
    before = {name: values.copy() for name, values in network.statistics.items()}
    X, y = rows(40, 6), rows(40, 3)
    network.loss_and_gradients(X, y, "squared_error", training=True)
    for name, values in network.statistics.items():
        np.testing.assert_array_equal(values, before[name])
    Trainer(network, "squared_error", SGD(1e-300), batch_size=None).fit(X, y, 1)
    z = X @ network.parameters["dense_0.weights"] + network.parameters["dense_0.biases"]
    for part, now in (("mean", z.mean(axis=0)), ("variance", z.var(axis=0, ddof=1))):
        name = f"batch_norm_1.{part}"
        np.testing.assert_allclose(
            network.statistics[name], 0.9 * before[name] + 0.1 * now, rtol=1e-12
        )


def test_written_statistics_are_used():
    network = make_network("batch")
    X = rows(4, 6)
    before = network.predict(X)
    network.statistics["batch_norm_1.mean"][:] += 1
    assert (network.predict(X) != before).all()


def test_copies_and_pickles_have_the_statistics():
    network = trained(make_network("batch", (0.2, 0.2))).network
    X = rows(4, 6)
    for twin in (network.copy(), pickle.loads(pickle.dumps(network))):
        assert bits(twin.predict(X)) == bits(network.predict(X))
        twin.statistics["batch_norm_1.mean"][:] += 1
        assert (twin.predict(X) != network.predict(X)).any()


def test_diagnostics_see_every_layer():
    trainer = trained(make_network("batch", (0.2, 0.2), 0.1), diagnostics=True)
    records = trainer.history["diagnostics"][-1]
    assert list(records["layer"]) == [
        "dropout_0",
        "dense_1",
        "batch_norm_2",
        "dropout_3",
        "dense_4",
        "batch_norm_5",
        "dropout_6",
        "dense_7",
    ]
    has_parameters = ~np.char.startswith(records["layer"], "dropout")
    assert (records["gradient_norm"][has_parameters] > 0).all()
    assert (records["update_norm"][has_parameters] > 0).all()
    assert (records["weight_norm"][~has_parameters] == 0).all()


def test_summary_counts_gains_and_biases():
    lines = make_network("batch", (0.2, 0.2)).summary().splitlines()
    assert lines[3].split() == ["batch_norm_1", "(n,", "17)", "tanh", "34"]
    assert lines[4].split() == ["dropout_2", "(n,", "17)", "identity", "0"]
    assert lines[-1].split() == ["total", str(6 * 17 + 17 + 34 + 17 * 9 + 9 + 18 + 30)]


# --------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("layers", "got"),
    [
        ([LayerNorm(), Dense(1)], "LayerNorm"),
        ([Dropout(0.5), Dropout(0.5), Dense(1)], "Dropout"),
        ([Dropout(0.5)], "Dropout"),
        ([Dense(1), BatchNorm()], "BatchNorm"),
        ([Dense(1), Dropout(0.5)], "Dropout"),
        ([Dropout(0.1), BatchNorm(), Dense(1)], "BatchNorm"),
    ],
    ids=str,
)
def test_layers_in_a_bad_order_are_refused(layers, got):
    with pytest.raises(ValueError, match=f"must be Dense, .* got {got}"):
        Network(layers, n_in=2)


@pytest.mark.parametrize("rate", [1.0, -0.1, np.nan, np.inf, "0.5", None, True, [0.5]])
def test_bad_rates_are_refused(rate):
    with pytest.raises(ValueError, match=r"rate of Dropout must be .* \[0, 1\), got"):
        Dropout(rate)


@pytest.mark.parametrize("training", ["yes", 1, None])
def test_training_must_be_a_bool(training):
    with pytest.raises(ValueError, match="training must be a bool, got"):
        make_network("layer").forward(rows(2, 6), training=training)


@pytest.mark.parametrize("layer", [LayerNorm, BatchNorm])
def test_bad_activations_of_norms_are_refused(layer):
    with pytest.raises(ValueError, match="activation must be one of"):
        layer("sigmoid")
    with pytest.raises(ValueError, match="softmax.* only the last layer"):
        Network([Dense(2), layer("softmax"), Dense(2)], n_in=2)


@pytest.mark.parametrize("layer", [Dropout(0.5), BatchNorm()], ids=repr)
def test_grad_tol_needs_a_gradient_of_the_parameters_alone(layer):
    network = Network([Dense(2), layer, Dense(1)], n_in=2)
    with pytest.raises(ValueError, match="grad_tol .* must be None"):
        Trainer(network, "squared_error", grad_tol=1e-3)


def test_layers_are_immutable_and_equal_to_their_copies():
    for layer in (Dropout(0.25), LayerNorm("relu"), BatchNorm("tanh")):
        twin = pickle.loads(pickle.dumps(layer))
        assert twin == layer and hash(twin) == hash(layer) and repr(twin) == repr(layer)
        with pytest.raises(AttributeError):
            layer.rate = 0.5
        with pytest.raises(AttributeError):
            layer.activation = "tanh"
    assert LayerNorm("relu") != BatchNorm("relu")
    assert repr(BatchNorm("tanh")) == "BatchNorm(Tanh())"


@pytest.mark.parametrize("n_rows", [1, 40])
def test_batch_norm_needs_more_than_a_row(n_rows):
    X, y = rows(n_rows, 6), rows(n_rows, 3)
    trainer = Trainer(
        make_network("batch"), "squared_error", batch_size=1 if n_rows > 1 else None
    )
    with pytest.raises(ValueError, match="batches of at least 2 samples, got"):
        trainer.fit(X, y, 1)
    with pytest.raises(ValueError, match="batches of at least 2 samples, got 1"):
        MLPRegressor(normalization="batch").fit(X[:1], y[:1])
