"""The core's own functions and activations: error bounds and special values.

The error of a result is measured in units in the last place (ulp) of the exact value,
which is evaluated in a wider type: NumPy's float64 for float32, its longdouble (80 bits
on x86) for float64. Infinity counts as the next power of two after the largest number.
"""

import numpy as np
import pytest

from fastbp import _core
from reference import ACTIVATIONS
from reference.compare import bits
from reference.compiled import FMA_ISAS, ISAS

MAX_ULP = {"float32": 2.0, "float64": 4.0}

WIDE = {"float32": np.float64, "float64": np.longdouble}
PATTERNS = {"float32": np.int32, "float64": np.int64}

# Where longdouble is no wider than float64 (Windows, macOS on ARM), the oracle's own
# error of about one ulp is part of what is measured.
ORACLE_ULP = {"float32": 0.0, "float64": float(np.finfo(np.longdouble).nmant == 52)}

# Of the bit patterns of float32, every 211th: prime to 2^32, so that the low bits vary.
STRIDE, PARTS = 211, 16

EXACT = {
    "exp": np.exp,
    "log": np.log,
    "tanh": np.tanh,
    "logistic": lambda x: 1 / (1 + np.exp(-x)),
}


ACTIVATION_ULP = {"gelu": 6.0, "silu": 6.0, "mish": 6.0, "softplus": 6.0}


def lower_normal_tail(t):
    """The standard normal distribution function at -t, t >= 0, in the type of t.

    Below 3 by the series of Marsaglia (2004), "Evaluating the normal distribution",
    whose terms are all positive, above by Laplace's continued fraction. The square of t
    is taken in two parts, or its rounding error would be multiplied by the square.
    """
    high = t.astype(np.float32).astype(t.dtype)
    density = np.exp(-high * high / 2) * np.exp(-(t - high) * (t + high) / 2)
    density /= np.sqrt(8 * np.arctan(t.dtype.type(1)))  # of 2 pi
    low, up = np.minimum(t, 3), np.maximum(t, 3)
    term = series = low
    for k in range(1, 80):
        term = term * low * low / (2 * k + 1)
        series = series + term
    fraction = up
    for k in range(200, 0, -1):
        fraction = up + k / fraction
    return np.where(t < 3, 0.5 - density * series, density / fraction)


def gelu(x):
    tail = lower_normal_tail(np.minimum(np.abs(x), 100))
    return np.where(x < 0, x.clip(-100) * tail, x * (1 - tail))


def finite(x):
    """Infinity as the largest number: for the limits of products with zeros."""
    return x.clip(-np.finfo(x.dtype).max, np.finfo(x.dtype).max)


def softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def elu(x):
    return np.where(x < 0, np.expm1(x), x)


def selu(x):
    # 1.0507... and 1.6732..., each in two parts that float64 holds.
    scale = x.dtype.type(1.0507009873554805) + x.dtype.type(3.9874847667e-17)
    alpha = x.dtype.type(1.6732632423543773) - x.dtype.type(1.15472379448e-16)
    return scale * np.where(x < 0, alpha * np.expm1(x), x)


EXACT_ACTIVATIONS = {
    "identity": lambda x: x,
    "logistic": EXACT["logistic"],
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "elu": elu,
    "selu": selu,
    "hard_tanh": lambda x: x.clip(-1, 1),
    "gelu": gelu,
    "silu": lambda x: finite(x) / (1 + np.exp(-finite(x))),
    "mish": lambda x: finite(x) * np.tanh(softplus(finite(x))),
    "softplus": softplus,
}


@pytest.mark.names_isa
@pytest.mark.parametrize("dtype", WIDE)
@pytest.mark.parametrize("activation", EXACT_ACTIVATIONS)
def test_errors_of_activations_are_small(activation, dtype):
    rng = np.random.default_rng(9)
    patterns = rng.integers(0, np.iinfo(PATTERNS[dtype]).max, 50_000, PATTERNS[dtype])
    parts = [hard_numbers(dtype), patterns.view(dtype), -patterns.view(dtype)]
    x = np.concatenate([*parts, rng.normal(size=100_000).astype(dtype)])
    with np.errstate(all="ignore"):
        exact = EXACT_ACTIVATIONS[activation](x.astype(WIDE[dtype]))
    bound = ACTIVATION_ULP.get(activation, MAX_ULP[dtype]) + 2 * ORACLE_ULP[dtype]
    for isa in ISAS:
        value, _ = _core.activate(activation, x, isa=isa)
        assert value.dtype == dtype
        assert_within(bound, f"{isa} {activation}", x, value, exact)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", WIDE)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_derivatives_of_activations_are_accurate(activation, dtype, isa):
    x = np.random.default_rng(10).uniform(-60, 60, 50_000).astype(dtype)
    x = np.concatenate([x, x / 10, x / 100])
    _, derivative = _core.activate(activation, x, isa=isa)
    assert derivative.dtype == dtype
    exact = ACTIVATIONS[activation].derivative(x.astype(np.float64))
    assert np.abs(derivative - exact).max() <= 4 * np.finfo(dtype).eps


@pytest.mark.names_isa
@pytest.mark.parametrize("dtype", WIDE)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_have_the_same_bits_on_fused_paths(activation, dtype):
    x = hard_numbers(dtype)
    results = {
        b"".join(map(bits_of_numbers, _core.activate(activation, x, isa=isa)))
        for isa in FMA_ISAS
    }
    assert len(results) <= 1


LIMITS = {  # at -infinity and +infinity: values, derivatives
    "identity": (-np.inf, np.inf, 1, 1),
    "logistic": (0, 1, 0, 0),
    "tanh": (-1, 1, 0, 0),
    "relu": (0, np.inf, 0, 1),
    "leaky_relu": (-np.inf, np.inf, 0.01, 1),
    "elu": (-1, np.inf, 0, 1),
    "selu": (-1.7580993408473769, np.inf, 0, 1.0507009873554805),
    "hard_tanh": (-1, 1, 0, 0),
    "gelu": (0, np.inf, 0, 1),
    "silu": (0, np.inf, 0, 1),
    "mish": (0, np.inf, 0, 1),
    "softplus": (0, np.inf, 0, 1),
}


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", WIDE)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_have_their_limits(activation, dtype, isa):
    expected = np.array(LIMITS[activation], dtype)
    x = np.array([-np.inf, np.inf, np.nan], dtype)
    value, derivative = _core.activate(activation, x, isa=isa)
    np.testing.assert_array_equal(value, [*expected[:2], np.nan])
    np.testing.assert_array_equal(derivative[:2], expected[2:])
    # Of finite numbers too, but where the limit is infinite.
    x = np.array([-1e30, 1e30], dtype)
    value, derivative = _core.activate(activation, x, isa=isa)
    bounded = np.isfinite(expected[:2])
    np.testing.assert_array_equal(value[bounded], expected[:2][bounded])
    np.testing.assert_array_equal(derivative, expected[2:])


@pytest.mark.slow
@pytest.mark.names_isa
@pytest.mark.parametrize("function", EXACT)
def test_float32_errors_are_small_over_the_bit_patterns(function):
    for part in range(PARTS):
        patterns = np.arange(part * STRIDE, 2**32, PARTS * STRIDE, dtype=np.uint32)
        assert_accurate(function, patterns.view(np.float32))


@pytest.mark.names_isa
@pytest.mark.parametrize("function", EXACT)
def test_float64_errors_are_small_over_random_bit_patterns(function):
    rng = np.random.default_rng(5)
    patterns = rng.integers(0, 2**64, 200_000, np.uint64)
    assert_accurate(function, patterns.view(np.float64))


@pytest.mark.names_isa
@pytest.mark.parametrize("dtype", WIDE)
@pytest.mark.parametrize("function", EXACT)
def test_errors_are_small_where_functions_are_hard(function, dtype):
    assert_accurate(function, hard_numbers(dtype))


@pytest.mark.names_isa
@pytest.mark.parametrize("dtype", WIDE)
@pytest.mark.parametrize("function", EXACT)
def test_fused_paths_agree_in_every_bit(function, dtype):
    rng = np.random.default_rng(6)
    integer = PATTERNS[dtype]
    info = np.iinfo(integer)
    patterns = rng.integers(info.min, info.max, 500_000, integer, endpoint=True)
    x = np.concatenate([patterns.view(dtype), hard_numbers(dtype)])
    x = x[~np.isnan(x)]  # one NaN is as good as another
    results = {bits_of_numbers(_core.elementwise(function, x, isa)) for isa in FMA_ISAS}
    assert len(results) <= 1


INF, NAN = np.inf, np.nan
SPECIAL = {
    "exp": [(0, 1), (-0.0, 1), (1e30, INF), (-1e30, 0), (INF, INF), (-INF, 0)],
    "log": [(0, -INF), (-0.0, -INF), (1, 0), (-1, NAN), (INF, INF), (-INF, NAN)],
    "tanh": [(0, 0), (-0.0, -0.0), (1e30, 1), (-1e30, -1), (INF, 1), (-INF, -1)],
    "logistic": [(0, 0.5), (-0.0, 0.5), (1e30, 1), (-1e30, 0), (INF, 1), (-INF, 0)],
}


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", WIDE)
@pytest.mark.parametrize("function", SPECIAL)
def test_special_values_are_exact(function, dtype, isa):
    for x, expected in SPECIAL[function]:
        # At every place of a vector, and in the rest after the last whole vector.
        result = _core.elementwise(function, np.full(37, x, dtype), isa)
        np.testing.assert_array_equal(result, np.full(37, expected, dtype))
        if expected == 0:
            np.testing.assert_array_equal(np.signbit(result), np.signbit(expected))
    assert np.isnan(_core.elementwise(function, np.full(37, NAN, dtype), isa)).all()


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", WIDE)
@pytest.mark.parametrize("function", EXACT)
def test_result_does_not_depend_on_the_place(function, dtype, isa):
    x = np.random.default_rng(7).uniform(0.1, 9, 67).astype(dtype)
    whole = _core.elementwise(function, x, isa)
    assert whole.dtype == dtype
    for n in range(68):
        assert bits(_core.elementwise(function, x[:n], isa)) == bits(whole[:n])
        assert bits(_core.elementwise(function, x[n:], isa)) == bits(whole[n:])


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", WIDE)
@pytest.mark.parametrize("function", ["exp", "tanh", "logistic"])
def test_functions_never_leave_their_range(function, dtype, isa):
    x = np.sort(hard_numbers(dtype))
    result = _core.elementwise(function, x[~np.isnan(x)], isa)
    low, high = {"exp": (0, INF), "tanh": (-1, 1), "logistic": (0, 1)}[function]
    assert low <= result.min() and result.max() <= high


def test_unknown_function_is_refused():
    with pytest.raises(ValueError, match="sine"):
        _core.elementwise("sine", np.ones(3))


@pytest.mark.parametrize("x", [np.ones(3, np.float16), np.ones(3, int), [1.0], None])
def test_other_types_are_refused(x):
    with pytest.raises((TypeError, ValueError)):
        _core.elementwise("exp", x)


def assert_accurate(function, x):
    dtype = x.dtype.name
    with np.errstate(all="ignore"):
        exact = EXACT[function](x.astype(WIDE[dtype]))
    bound = MAX_ULP[dtype] + ORACLE_ULP[dtype]
    for isa in ISAS:
        result = _core.elementwise(function, x, isa)
        assert result.dtype == dtype
        assert_within(bound, f"{isa} {function}", x, result, exact)


def assert_within(bound, function, x, result, exact):
    undefined = np.isnan(exact)
    np.testing.assert_array_equal(np.isnan(result), undefined)
    x, result, exact = x[~undefined], result[~undefined], exact[~undefined]
    error = ulp_error(result, exact)
    worst = error.argmax()
    assert error[worst] <= bound, (
        f"{function}({x[worst]!r}) = {result[worst]!r} is off by {error[worst]:.2f} ulp"
    )


def ulp_error(result, exact):
    """|result - exact| in units in the last place of the exact value."""
    info = np.finfo(result.dtype)
    beyond = np.ldexp(exact.dtype.type(1), info.maxexp)
    exact = exact.clip(-beyond, beyond)
    result = result.astype(exact.dtype).clip(-beyond, beyond)
    exponent = np.frexp(exact)[1].clip(info.minexp + 1, info.maxexp)
    difference = np.abs(result - exact)
    return np.ldexp(difference, info.nmant + 1 - exponent)


def hard_numbers(dtype):
    """Numbers around which an implementation changes its way or loses precision."""
    rng = np.random.default_rng(8)
    info = np.finfo(dtype)
    log_max, log_min = np.log(info.max), np.log(info.smallest_subnormal)
    halves_of_ln2 = np.arange(-2200, 2200) * (np.log(2) / 2)
    regions = [
        rng.uniform(log_min - 2, log_max + 2, 20_000),  # exp between 0 and infinity
        rng.uniform(log_max - 1, log_max + 1, 5_000),  # overflow
        rng.uniform(log_min - 1, np.log(info.tiny) + 1, 20_000),  # subnormal results
        rng.uniform(-40, 40, 20_000),  # logistic and tanh up to saturation
        rng.uniform(-1, 1, 20_000),
        1 + rng.uniform(-1, 1, 20_000) * 10.0 ** rng.uniform(-8, 0, 20_000),  # log 1
        10.0 ** rng.uniform(-20, 0, 10_000) * rng.choice([-1, 1], 10_000),
    ]
    centres = [
        halves_of_ln2,  # where exp's reduction of its argument rounds up or down
        np.ldexp(1.0, np.arange(info.minexp - info.nmant, info.maxexp)),
        np.ldexp(np.sqrt(2), np.arange(info.minexp, info.maxexp - 1)),
        np.ldexp(1.5, np.arange(info.minexp, info.maxexp - 1)),
        np.array([log_max, log_min, np.log(info.tiny), info.max, info.tiny]),
        np.arange(-100.0, 100.0, 0.125),
    ]
    numbers = np.concatenate(regions + centres).astype(dtype)
    patterns = numbers.view(PATTERNS[dtype])
    neighbours = [(patterns + k).view(dtype) for k in (-3, -2, -1, 0, 1, 2, 3)]
    subnormal = np.arange(1, 2000).astype(dtype) * info.smallest_subnormal
    edges = np.array([0.0, -0.0, INF, -INF, info.max, -info.max], dtype)
    return np.concatenate([*neighbours, subnormal, -subnormal, edges])


def bits_of_numbers(x):
    """The bytes of an array in which every NaN is the same NaN."""
    return np.where(np.isnan(x), x.dtype.type(NAN), x).tobytes()
