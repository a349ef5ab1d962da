"""Matrix products by SciPy's BLAS: the same numbers, one thread, settings, refusals."""

import ctypes
import os
import pickle
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import threadpoolctl

import fastbp
from benchmarks import data, peers
from benchmarks.cases import JOBS
from fastbp import MLPClassifier, MLPRegressor, _blas, _config, _core, cli
from reference import ACTIVATIONS, LOSSES, OPTIMIZERS
from reference.compare import assert_close, bits
from reference.compiled import compiled, dense
from reference.problems import DTYPES, Problem, make_problem

BLAS = _blas.scipy_blas()
SIZES = (1, 2, 3, 15, 16, 17, 31, 32, 33, 100)

rng = np.random.RandomState(0)
X = rng.standard_normal((600, 40))
TARGET = X @ rng.standard_normal(40)
CLASSES = np.digitize(TARGET, [-4.0, 4.0])


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run with the same settings whatever FASTBP_GEMM is outside."""
    monkeypatch.delenv("FASTBP_GEMM", raising=False)


def csr(problem: Problem) -> _core.Rows:
    """The samples of a problem, stored as sparse rows."""
    X = scipy.sparse.csr_array(problem.X)
    return _core.Rows.csr(X.indptr, X.indices, X.data, X.shape[1])


# ------------------------------------------------------------------ the same numbers


def both(problem: Problem) -> tuple[_core.Network, _core.Network]:
    """The network of a problem with the built-in kernels, and with the BLAS."""
    networks = compiled(problem), compiled(problem, blas=BLAS)
    assert [network.uses_blas for network in networks] == [False, True]
    return networks


def check_outputs(problem: Problem, rows: _core.Rows, n_terms: int) -> None:
    builtin, blas = both(problem)
    for raw in (False, True):
        expected = builtin.predict(rows, raw=raw)
        assert_close(blas.predict(rows, raw=raw), expected, problem.dtype, n_terms)
    arguments = rows, problem.y, problem.sample_weight
    loss, *gradients = blas.loss_and_gradients(*arguments, alpha=0.3)
    expected_loss, *expected_gradients = builtin.loss_and_gradients(
        *arguments, alpha=0.3
    )
    assert_close(np.array(loss, problem.dtype), expected_loss, problem.dtype, n_terms)
    for got, expected in zip(gradients, expected_gradients, strict=True):
        assert_close(got, expected, problem.dtype, n_terms)


def check_steps(
    problem: Problem, rows: _core.Rows, rule: Any, batch_size: int, n_epochs: int
) -> None:
    results = []
    for network in both(problem):
        # With Adam's own epsilon rounding errors can grow to steps of full length.
        trainer = _core.Trainer(network, rule, epsilon=1e-2)
        for _ in range(n_epochs):
            trainer.run_epoch(
                rows,
                problem.y,
                problem.sample_weight,
                None,
                batch_size=batch_size,
                learning_rate=0.01,
                alpha=0.3,
            )
        results.append((network.get_parameters(), trainer.get_state()))
    (expected, expected_state), (got, state) = results
    assert state[0] == expected_state[0]
    n_terms = len(problem.X)
    for arrays, expected_arrays in zip(
        [*got, *state[1]], [*expected, *expected_state[1]], strict=True
    ):
        assert_close(arrays, expected_arrays, problem.dtype, n_terms, factor=30)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_outputs_and_gradients_agree(loss: str, activation: str, dtype: str) -> None:
    problem = make_problem((7, 33, 17, 4), activation, loss, 150, dtype)
    for rows in (dense(problem), csr(problem)):
        check_outputs(problem, rows, n_terms=150)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", range(len(SIZES)))
def test_outputs_and_gradients_of_odd_shapes_agree(size: int, dtype: str) -> None:
    sizes = [SIZES[(size * factor + factor) % 10] for factor in (1, 3, 7, 9)]
    problem = make_problem(sizes, "logistic", "squared_error", sizes[1], dtype)
    for rows in (dense(problem), csr(problem)):
        check_outputs(problem, rows, n_terms=100)


@pytest.mark.parametrize("dtype", DTYPES)
def test_layers_of_several_tiles_agree(dtype: str) -> None:
    problem = make_problem((300, 270, 140), "relu", n_rows=40, dtype=dtype)
    check_outputs(problem, dense(problem), n_terms=300)
    check_steps(problem, dense(problem), "adam", batch_size=20, n_epochs=2)


# Every pair of a rule, a loss and an activation is among them, not every triple.
TRIPLES = [
    (rule, list(LOSSES)[(i + j) % len(LOSSES)], activation)
    for i, rule in enumerate(OPTIMIZERS)
    for j, activation in enumerate(ACTIVATIONS)
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("rule", "loss", "activation"), TRIPLES)
def test_ten_steps_agree(rule: str, loss: str, activation: str, dtype: str) -> None:
    problem = make_problem((7, 13, 9, 4), activation, loss, 35, dtype)
    for rows in (dense(problem), csr(problem)):
        check_steps(problem, rows, rule, batch_size=8, n_epochs=2)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", range(len(SIZES)))
def test_steps_of_odd_shapes_agree(size: int, dtype: str) -> None:
    sizes = [SIZES[(size * factor + factor) % 10] for factor in (1, 3, 7, 9)]
    problem = make_problem(sizes[:3], "logistic", "squared_error", 40, dtype)
    for rule in OPTIMIZERS:
        check_steps(problem, dense(problem), rule, min(sizes[3], 40), n_epochs=1)


# ----------------------------------------------------------------------- estimators


def fitted(gemm: str, model: Any, X: Any = X, y: Any = CLASSES) -> Any:
    with fastbp.config_context(gemm=gemm):
        return model.fit(X, y)


def assert_same_model(got: Any, expected: Any, tolerance: float = 1e-8) -> None:
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(got, name), getattr(expected, name), strict=True):
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_array])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"solver": "sgd"},
        {"early_stopping": True},
        {"activation": "tanh", "hidden_layer_sizes": ()},
        {"activation": "leaky_relu", "batch_size": 7},
    ],
    ids=str,
)
def test_classifier_learns_the_same(settings: dict[str, Any], form: Any) -> None:
    def model() -> MLPClassifier:
        return MLPClassifier(
            **{"hidden_layer_sizes": (33, 17), "max_iter": 3, **settings},
            random_state=0,
        )

    X_form = form(X)
    expected = fitted("builtin", model(), X_form)
    got = fitted("blas", model(), X_form)
    assert_same_model(got, expected)
    np.testing.assert_allclose(got.loss_curve_, expected.loss_curve_, rtol=1e-8)
    with fastbp.config_context(gemm="blas"):
        proba = got.predict_proba(X_form)
    np.testing.assert_allclose(proba, expected.predict_proba(X_form), atol=1e-8)


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_regressor_learns_the_same(loss: str) -> None:
    y = np.abs(TARGET) if loss == "poisson" else TARGET
    expected, got = (
        fitted(gemm, MLPRegressor(loss, (20,), max_iter=3, random_state=0), y=y)
        for gemm in ("builtin", "blas")
    )
    assert_same_model(got, expected)


def test_lbfgs_learns_the_same() -> None:
    # Few iterations: the line search lets differences grow.
    expected, got = (
        fitted(
            gemm,
            MLPClassifier((20,), solver="lbfgs", max_iter=5, alpha=1, random_state=0),
        )
        for gemm in ("builtin", "blas")
    )
    assert_same_model(got, expected, 1e-6)


def test_partial_fit_goes_on_from_the_other_provider() -> None:
    classes = np.unique(CLASSES)
    models = []
    for gemms in (["builtin"] * 4, ["builtin", "blas"] * 2):
        model = MLPClassifier((20,), random_state=0)
        for gemm in gemms:
            with fastbp.config_context(gemm=gemm):
                model.partial_fit(X, CLASSES, classes=classes)
        models.append(model)
    assert_same_model(models[1], models[0])


def test_model_does_not_remember_the_provider() -> None:
    model = fitted("blas", MLPClassifier((20,), max_iter=3, random_state=0))
    copy = pickle.loads(pickle.dumps(model))
    with fastbp.config_context(gemm="builtin"):
        expected = copy.predict_proba(X)
        assert bits(expected) == bits(model.predict_proba(X))
    with fastbp.config_context(gemm="blas"):
        np.testing.assert_allclose(copy.predict_proba(X), expected, atol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch_size", [7, 150, 400])
def test_model_does_not_depend_on_the_number_of_threads(
    batch_size: int, dtype: Any
) -> None:
    def result(n_jobs: int) -> bytes:
        model = MLPClassifier(
            (300, 60),
            batch_size=batch_size,
            max_iter=2,
            dtype=dtype,
            n_jobs=n_jobs,
            random_state=0,
        )
        with fastbp.config_context(gemm="blas"):
            model.fit(X, CLASSES)
            return bits(model.coefs_, model.intercepts_, model.predict_proba(X))

    one = result(1)
    for n_jobs in (1, 2, 3, 4):
        assert result(n_jobs) == one


# ---------------------------------------------------------------------- signatures

FLOAT = "__pyx_t_5scipy_6linalg_11cython_blas_s"
DOUBLE = "__pyx_t_5scipy_6linalg_11cython_blas_d"


def signature(number: str, integer: str) -> str:
    i, n = f"{integer} *", f"{number} *"
    types = ["char *", "char *", i, i, i, n, n, i, n, i, n, n, i]
    return f"void ({', '.join(types)})"


_names: list[bytes] = []  # a capsule only looks at its name


def capsule(name: str | None, address: int = 1) -> Any:
    new = ctypes.pythonapi.PyCapsule_New
    new.restype = ctypes.py_object
    new.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    encoded = None if name is None else name.encode()
    if encoded is not None:
        _names.append(encoded)
    return new(address, encoded, None)


@pytest.mark.parametrize(
    ("integer", "n_bits"),
    [
        ("int", 32),
        ("int32_t", 32),
        ("npy_int64", 64),
        ("int64_t", 64),
        ("long long", 64),
        ("long", 8 * ctypes.sizeof(ctypes.c_long)),
    ],
)
def test_integers_are_as_wide_as_the_signature_says(integer: str, n_bits: int) -> None:
    for single, double in ((FLOAT, DOUBLE), ("float", "double")):
        blas = _core.Blas(
            capsule(signature(single, integer)), capsule(signature(double, integer))
        )
        assert blas.integer_bits == n_bits


GOOD = signature(FLOAT, "int")


@pytest.mark.parametrize(
    "name",
    [
        None,
        "",
        "sgemm",
        "void ()",
        signature(DOUBLE, "int"),
        signature(FLOAT, "short"),
        signature(FLOAT, "blas_int"),
        GOOD.replace("void", "int"),
        GOOD.replace("void", "long"),
        GOOD.replace("char *, char *", "char *"),
        GOOD.replace("char", "int"),
        GOOD.replace("int *)", "int64_t *)"),
        GOOD.replace("int *)", "int)"),
        GOOD.replace(")", ", int *)"),
        GOOD.replace(")", f", {FLOAT} *)"),
        GOOD.removesuffix(")"),
        GOOD.replace(")", "]"),
    ],
)
def test_other_signatures_are_refused(name: str | None) -> None:
    good = capsule(signature(DOUBLE, "int"))
    with pytest.raises(ValueError, match="sgemm has an unknown signature: '"):
        _core.Blas(capsule(name), good)
    with pytest.raises(ValueError, match="dgemm has an unknown signature: 'x'"):
        _core.Blas(capsule(GOOD), capsule("x"))


def test_what_is_no_capsule_is_refused() -> None:
    with pytest.raises(TypeError):
        _core.Blas(1, 2)


@pytest.mark.parametrize("functions", [{}, {"sgemm": 1, "dgemm": 2}])
def test_scipy_without_gemm_is_an_error_that_says_so(
    functions: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import scipy.linalg.cython_blas

    monkeypatch.setattr(scipy.linalg.cython_blas, "__pyx_capi__", functions)
    monkeypatch.setattr(_config, "scipy_blas", _blas.scipy_blas.__wrapped__)
    with fastbp.config_context(gemm="blas"):
        with pytest.raises(RuntimeError, match="gemm='blas' cannot use scipy"):
            MLPClassifier().fit(X, CLASSES)


class PythonGemm:
    """dgemm in Python, called by the core through a pointer."""

    def __init__(self, integer: Any, name: str) -> None:
        int_p = ctypes.POINTER(integer)
        number_p = ctypes.POINTER(ctypes.c_double)
        char_p = ctypes.POINTER(ctypes.c_char)
        kinds = {"c": char_p, "i": int_p, "n": number_p}
        callback = ctypes.CFUNCTYPE(None, *(kinds[k] for k in "cciiinnininni"))
        self._keep = callback(self.call)
        address = ctypes.cast(self._keep, ctypes.c_void_p).value
        self.blas = _core.Blas(
            capsule(signature("float", name)),
            capsule(signature("double", name), address or 0),
        )
        self.n_threads: set[int] = set()
        self.error: BaseException | None = None

    def call(self, *arguments: Any) -> None:
        try:
            self.multiply(*arguments)
        except BaseException as error:  # ctypes would only print it
            self.error = error

    def multiply(self, op_a, op_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc):  # type: ignore[no-untyped-def]
        self.n_threads |= {lib.get_num_threads() for lib in _blas._libraries()}

        def matrix(data: Any, rows: int, cols: int, stride: int) -> np.ndarray:
            numbers = np.ctypeslib.as_array(data, ((cols - 1) * stride + rows,))
            steps = (8, 8 * stride)
            return np.lib.stride_tricks.as_strided(numbers, (rows, cols), steps)

        def factor(op: Any, data: Any, rows: int, cols: int, stride: int) -> np.ndarray:
            if op[0] == b"T":
                return matrix(data, cols, rows, stride).T
            return matrix(data, rows, cols, stride)

        product = factor(op_a, a, m[0], k[0], lda[0]) @ factor(
            op_b, b, k[0], n[0], ldb[0]
        )
        to = matrix(c, m[0], n[0], ldc[0])
        to[:] = alpha[0] * product + (beta[0] * to if beta[0] else 0)


@pytest.mark.parametrize(
    ("integer", "name"), [(ctypes.c_int, "int"), (ctypes.c_int64, "int64_t")]
)
def test_both_widths_of_integers_are_passed(integer: Any, name: str) -> None:
    gemm = PythonGemm(integer, name)
    problem = make_problem((7, 33, 17, 4), n_rows=150)
    network = compiled(problem, blas=gemm.blas)
    arguments = dense(problem), problem.y, problem.sample_weight
    loss, coefs, intercepts = network.loss_and_gradients(*arguments, n_threads=2)
    expected = compiled(problem).loss_and_gradients(*arguments)
    assert gemm.error is None
    assert loss == pytest.approx(expected[0], rel=1e-12)
    assert_close(coefs, expected[1], "float64", 150)
    assert_close(intercepts, expected[2], "float64", 150)


# ---------------------------------------------------------------------- one thread


class UsesBlas:
    uses_blas = True


class UsesNone:
    uses_blas = False


def blas_threads() -> set[int]:
    return {library.get_num_threads() for library in _blas._libraries()}


@contextmanager
def two_blas_threads() -> Any:
    with threadpoolctl.threadpool_limits(2, "blas"):
        if blas_threads() != {2}:
            pytest.skip("the number of threads of this BLAS cannot be set")
        yield
        assert blas_threads() == {2}


def test_blas_has_one_thread_only_within() -> None:
    with two_blas_threads():
        with _blas.one_blas_thread(UsesBlas()):
            assert blas_threads() == {1}
        assert blas_threads() == {2}
        with _blas.one_blas_thread(UsesNone()):
            assert blas_threads() == {2}


def test_number_of_threads_is_restored_after_an_error() -> None:
    with two_blas_threads():
        with pytest.raises(KeyboardInterrupt):
            with _blas.one_blas_thread(UsesBlas()):
                raise KeyboardInterrupt
        assert blas_threads() == {2}


def test_last_of_several_users_restores_the_number_of_threads() -> None:
    with two_blas_threads():
        first = _blas.one_blas_thread(UsesBlas())
        second = _blas.one_blas_thread(UsesBlas())
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert blas_threads() == {1}
        second.__exit__(None, None, None)
        assert blas_threads() == {2}


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_estimators_hold_the_blas_to_one_thread(
    solver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gemm = PythonGemm(ctypes.c_int, "int")
    monkeypatch.setattr(_config, "scipy_blas", lambda: gemm.blas)
    model = MLPClassifier((5,), solver=solver, max_iter=1, random_state=0)
    with two_blas_threads(), fastbp.config_context(gemm="blas"):
        model.fit(X, CLASSES)
        assert gemm.n_threads == {1}
        gemm.n_threads.clear()
        model.predict(X)
        assert gemm.n_threads == {1}
        assert blas_threads() == {2}
    assert gemm.error is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_forked_child_does_not_wait_for_threads_that_it_does_not_have() -> None:
    code = """
import os
from fastbp import _blas
class Network: uses_blas = True
with _blas.one_blas_thread(Network()):
    _blas._lock.acquire()
    child = os.fork()
    if child == 0:
        with _blas.one_blas_thread(Network()):
            pass
        os._exit(len(_blas._users))
    _blas._lock.release()
print(os.waitpid(child, 0)[1])
"""
    done = run_python(code)
    assert (done.stdout, done.returncode) == ("0\n", 0), done.stderr


# ------------------------------------------------------------------------ settings


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def settings_restored() -> Any:
    before = _config._config.gemm
    yield
    _config._config.gemm = before


def test_builtin_is_the_default() -> None:
    assert fastbp.get_config() == {"gemm": "builtin"}


@pytest.mark.usefixtures("settings_restored")
def test_set_config_lasts() -> None:
    fastbp.set_config(gemm="blas")
    assert fastbp.get_config() == {"gemm": "blas"}
    fastbp.set_config()
    assert fastbp.get_config() == {"gemm": "blas"}
    fastbp.set_config(gemm="builtin")
    assert fastbp.get_config() == {"gemm": "builtin"}


def test_get_config_returns_a_copy() -> None:
    fastbp.get_config()["gemm"] = "blas"
    assert fastbp.get_config() == {"gemm": "builtin"}


def test_context_ends_with_its_block() -> None:
    with fastbp.config_context(gemm="blas"):
        with fastbp.config_context(gemm="builtin"):
            assert fastbp.get_config()["gemm"] == "builtin"
        with fastbp.config_context():
            assert fastbp.get_config()["gemm"] == "blas"
        with pytest.raises(KeyError):
            with fastbp.config_context(gemm="builtin"):
                raise KeyError
        assert fastbp.get_config()["gemm"] == "blas"
    assert fastbp.get_config()["gemm"] == "builtin"


def test_settings_belong_to_a_python_thread() -> None:
    seen = []
    with fastbp.config_context(gemm="blas"):
        thread = threading.Thread(target=lambda: seen.append(fastbp.get_config()))
        thread.start()
        thread.join()
    assert seen == [{"gemm": "builtin"}]


@pytest.mark.parametrize("value", ["BLAS", "", 1, ["blas"]])
def test_unknown_setting_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="gemm must be 'builtin' or 'blas', got "):
        fastbp.set_config(gemm=value)
    with pytest.raises(ValueError, match="gemm must be 'builtin' or 'blas', got "):
        with fastbp.config_context(gemm=value):
            pass
    assert fastbp.get_config() == {"gemm": "builtin"}


def test_environment_changes_the_default() -> None:
    code = """
import threading, fastbp
print(fastbp.get_config(), fastbp._config.configured_blas() is not None)
thread = threading.Thread(target=lambda: print(fastbp.get_config()))
thread.start()
thread.join()
with fastbp.config_context(gemm="builtin"):
    print(fastbp._config.configured_blas())
"""
    done = run_python(code, FASTBP_GEMM="blas")
    assert done.stdout == "{'gemm': 'blas'} True\n{'gemm': 'blas'}\nNone\n", done.stderr


def test_empty_environment_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTBP_GEMM", "")
    assert fastbp.get_config() == {"gemm": "builtin"}


def test_unknown_environment_variable_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FASTBP_GEMM", "mkl")
    message = "FASTBP_GEMM must be 'builtin' or 'blas', got 'mkl'"
    with pytest.raises(ValueError, match=message):
        MLPClassifier().fit(X, CLASSES)
    assert cli.main(["info"]) == 1
    assert capsys.readouterr().err == f"fastbp: error: {message}\n"
    with fastbp.config_context(gemm="builtin"):
        MLPClassifier(max_iter=1).partial_fit(X, CLASSES, classes=np.unique(CLASSES))


# ---------------------------------------------------------------------------- info


def facts(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    fastbp.show_config()
    lines = capsys.readouterr().out.splitlines()
    return {line[:23].strip(): line[23:] for line in lines}


def test_info_names_the_provider(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert facts(capsys)["matrix products"] == "builtin (the default)"
    with fastbp.config_context(gemm="blas"):
        assert facts(capsys)["matrix products"] == "blas (set_config)"
    monkeypatch.setenv("FASTBP_GEMM", "blas")
    assert facts(capsys)["matrix products"] == "blas (FASTBP_GEMM=blas)"


def test_info_names_the_blas(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    blas = facts(capsys)["BLAS"]
    assert blas.endswith(f", {BLAS.integer_bits}-bit integers")
    for library in _blas._libraries():
        info = library.info()
        assert info["internal_api"] in blas
        assert str(info["version"]) in blas

    def missing() -> None:
        raise RuntimeError("not here")

    monkeypatch.setattr(_blas, "scipy_blas", missing)
    assert facts(capsys)["BLAS"] == "none: not here"


# ---------------------------------------------------------------------- benchmarks


@pytest.mark.parametrize(("peer", "n_fits"), [("fastbp", 0), ("fastbp-blas", 1)])
def test_benchmark_peer_uses_the_blas(
    peer: str, n_fits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FASTBP_GEMM", "blas")  # the peers do not heed it
    made = []
    monkeypatch.setattr(_config, "scipy_blas", lambda: made.append(1) or BLAS)
    job = JOBS["digits"]
    peers.make(peer, job, *data.load(job, None), n_cores=2).round(1)
    assert len(made) == n_fits
    assert peers.library(peer) == peer
