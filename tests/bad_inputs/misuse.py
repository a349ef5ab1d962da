"""Calls in the wrong order, and estimators whose attributes were tampered with."""

from collections.abc import Callable
from typing import Any

import numpy as np

from bad_inputs.case import (
    BASE,
    LABELS,
    SETTINGS,
    Case,
    Outcome,
    assert_same_model,
    outputs,
    set_up,
    train,
    trained,
)

TWO_LAYERS = {"hidden_layer_sizes": (5, 3)}
Tamper = Callable[[Any], None]
ArrayChange = Callable[[np.ndarray], Any]


def layer(change: ArrayChange, part: str = "coefs_", at: int = 0) -> Tamper:
    """Replace one array of the trained model."""

    def tamper(model: Any) -> None:
        arrays = getattr(model, part)
        arrays[at] = change(arrays[at])

    return tamper


def network(change: Callable[[list[Any]], Any], part: str = "coefs_") -> Tamper:
    """Replace the list of arrays of the trained model."""

    def tamper(model: Any) -> None:
        setattr(model, part, change(getattr(model, part)))

    return tamper


# The same numbers in another form: nothing changes.
SAME: dict[str, Tamper] = {
    "Fortran order": layer(np.asfortranarray),
    "strided": layer(lambda W: W.repeat(2, axis=1)[:, ::2]),
    "big-endian": layer(lambda W: W.astype(">f8")),
    "tuple of layers": network(tuple),
    "strided intercept": layer(lambda b: b.repeat(2)[::2], "intercepts_"),
}
BROKEN: dict[str, Tamper] = {
    "a row more": layer(lambda W: np.vstack([W, W])),
    "a row less": layer(lambda W: W[1:]),
    "a column more": layer(lambda W: np.hstack([W, W])),
    "a column less": layer(lambda W: W[:, 1:]),
    "transposed": layer(lambda W: W.T),
    "one dimension": layer(np.ravel),
    "no elements": layer(lambda W: W[:0]),
    "None": layer(lambda W: None),
    "last layer transposed": layer(lambda W: np.vstack([W, W]).T, at=-1),
    "a layer more": network(lambda coefs: [*coefs, coefs[-1]]),
    "a layer less": network(lambda coefs: coefs[:-1]),
    "no layers": network(lambda coefs: []),
    "no list": network(lambda coefs: None),
    "intercept too long": layer(lambda b: np.append(b, 0), "intercepts_"),
    "intercept too short": layer(lambda b: b[1:], "intercepts_"),
    "intercept of two dimensions": layer(lambda b: b[np.newaxis], "intercepts_"),
    "intercept None": layer(lambda b: None, "intercepts_"),
    "an intercept less": network(lambda b: b[:-1], "intercepts_"),
    "no intercepts": network(lambda b: [], "intercepts_"),
}
# What another type, or a lucky shape, may well mean.
EITHER: dict[str, Tamper] = {
    "float32": layer(lambda W: W.astype(np.float32)),
    "object": layer(lambda W: W.astype(object)),
    "words": layer(lambda W: W.astype(str)),
    "complex": layer(lambda W: W + 1j),
    "lists": layer(np.ndarray.tolist),
    "NaN": layer(lambda W: W * np.nan),
    "infinite": layer(lambda W: W * np.inf),
    "read-only": layer(lambda W: np.broadcast_to(W[:1], W.shape)),
    "intercept as number": layer(lambda b: b[0], "intercepts_"),
    "no activation": lambda model: setattr(model, "activation", None),
    "other activation": lambda model: setattr(model, "activation", "cosine"),
    "other output activation": lambda model: setattr(model, "out_activation_", "tanh"),
    "other number of layers": lambda model: setattr(model, "n_layers_", 9),
    "other number of outputs": lambda model: setattr(model, "n_outputs_", 7),
}


OF_NETWORK = (
    "coefs|intercepts|activation|the network has|n_in must|NoneType|"
    r"prediction of X\[0\] is NaN|non-finite parameter weights"
)


def tampered(estimator: Any, tamper: Tamper) -> Any:
    with set_up():
        model = train(estimator, **TWO_LAYERS)
        tamper(model)
    return model


def predicts(name: str, expected: Outcome, tamper: Tamper) -> Case:
    def run(estimator: Any) -> None:
        model = tampered(estimator, tamper)
        model.predict(BASE)
        if expected == "ok":
            assert_same_model(model, train(estimator, **TWO_LAYERS))

    return Case(f"weights of predict: {name}", expected, run, says=OF_NETWORK)


def trains_on(name: str, expected: Outcome, tamper: Tamper) -> Case:
    def run(estimator: Any) -> None:
        model = tampered(estimator, tamper).partial_fit(BASE, LABELS)
        if expected == "ok":
            plain = train(estimator, **TWO_LAYERS).partial_fit(BASE, LABELS)
            assert_same_model(model, plain)

    return Case(f"weights of partial_fit: {name}", expected, run, says=OF_NETWORK)


def warm_start_with_other_layers(estimator: Any) -> None:
    model = trained(estimator, warm_start=True)
    model.set_params(hidden_layer_sizes=(7, 2)).fit(BASE, LABELS)


def warm_start_with_other_rows(estimator: Any) -> None:
    trained(estimator, warm_start=True).fit(BASE[:, 1:], LABELS)


def warm_start_with_other_outputs(estimator: Any) -> None:
    trained(estimator, warm_start=True).fit(BASE, np.c_[LABELS, LABELS, LABELS])


def partial_fit_with_other_outputs(estimator: Any) -> None:
    trained(estimator).partial_fit(BASE, np.c_[LABELS, LABELS, LABELS])


def partial_fit_with_other_layers(estimator: Any) -> None:
    model = trained(estimator)
    model.set_params(hidden_layer_sizes=(7, 2)).partial_fit(BASE, LABELS)


def partial_fit_with_other_solver(estimator: Any) -> None:
    with set_up():
        model = train(estimator, solver="adam").partial_fit(BASE, LABELS)
    outputs(model.set_params(solver="sgd").partial_fit(BASE, LABELS), BASE)


def partial_fit_after_lbfgs(estimator: Any) -> None:
    model = train(estimator, solver="lbfgs")
    outputs(model.set_params(solver="adam").partial_fit(BASE, LABELS), BASE)


def partial_fit_with_other_columns(estimator: Any) -> None:
    trained(estimator).partial_fit(BASE[:, 1:], LABELS)


def partial_fit_of_empty_chunk(estimator: Any) -> None:
    trained(estimator).partial_fit(BASE[:0], LABELS[:0])


def partial_fit_of_one_row(estimator: Any) -> None:
    model = train(estimator, batch_size="auto").partial_fit(BASE[:1], LABELS[:1])
    outputs(model, BASE)


def partial_fit_in_other_dtype(estimator: Any) -> None:
    model = train(estimator).partial_fit(BASE.astype(np.float32), LABELS)
    outputs(model.set_params(dtype="float32").partial_fit(BASE, LABELS), BASE)


def untrained(method: str) -> Callable[[Any], None]:
    def run(estimator: Any) -> None:
        model = estimator(**SETTINGS)
        arguments = (BASE, LABELS) if method == "score" else (BASE,)
        getattr(model, method)(*arguments)

    return run


def half_made(estimator: Any) -> None:
    model = estimator.__new__(estimator)
    model.__setstate__({})
    model.predict(BASE)


GOES_ON = "cannot continue training: coefs_|has classes|same classes"

CASES = [
    *(predicts(name, "ok", tamper) for name, tamper in SAME.items()),
    *(predicts(name, "error", tamper) for name, tamper in BROKEN.items()),
    *(predicts(name, "either", tamper) for name, tamper in EITHER.items()),
    *(trains_on(name, "ok", tamper) for name, tamper in SAME.items()),
    *(trains_on(name, "error", tamper) for name, tamper in BROKEN.items()),
    *(trains_on(name, "either", tamper) for name, tamper in EITHER.items()),
    Case("order: predict before fit", "error", untrained("predict"), says="not fitted"),
    Case("order: score before fit", "error", untrained("score"), says="not fitted"),
    Case("order: half-made model", "error", half_made, says="not fitted"),
    *(
        Case(f"order: {name}", "error", run, says=says)
        for name, run, says in (
            ("warm start, other layers", warm_start_with_other_layers, GOES_ON),
            ("warm start, other columns", warm_start_with_other_rows, "X has 3"),
            ("warm start, other outputs", warm_start_with_other_outputs, GOES_ON),
            ("partial_fit, other layers", partial_fit_with_other_layers, GOES_ON),
            ("partial_fit, other outputs", partial_fit_with_other_outputs, GOES_ON),
            ("partial_fit, other columns", partial_fit_with_other_columns, "X has 3"),
            ("partial_fit, empty chunk", partial_fit_of_empty_chunk, "0 sample"),
        )
    ),
    Case("order: partial_fit, other solver", "ok", partial_fit_with_other_solver),
    Case("order: partial_fit after lbfgs", "ok", partial_fit_after_lbfgs),
    Case("order: partial_fit, one row", "ok", partial_fit_of_one_row),
    Case("order: partial_fit, other dtype", "ok", partial_fit_in_other_dtype),
]
