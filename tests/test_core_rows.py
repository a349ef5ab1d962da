"""Samples as they lie in memory: every dtype, every layout, and sparse matrices.

A network whose weights are the unit matrix returns its inputs in its own dtype, for
products with 1 and sums with 0 are exact. So what the core reads can be seen.
"""

import gc

import numpy as np
import pytest
from scipy import sparse

from fastbp import _core
from reference.compare import bits
from reference.compiled import ISAS, compiled
from reference.problems import DTYPES, make_problem

X_DTYPES = (
    ["float16", "float32", "float64", "bool"]
    + [f"int{n}" for n in (8, 16, 32, 64)]
    + [f"uint{n}" for n in (8, 16, 32, 64)]
)
SHAPE = (23, 7)
INDEX_DTYPES = ("int32", "int64")

LAYOUTS = {
    "C order": np.ascontiguousarray,
    "Fortran order": np.asfortranarray,
    "every other row": lambda X: np.repeat(X, 2, axis=0)[::2],
    "every third column": lambda X: np.repeat(X, 3, axis=1)[:, ::3],
    "window": lambda X: np.pad(X, 2)[2:-2, 2:-2],
    "rows backwards": lambda X: X[::-1].copy()[::-1],
    "columns backwards": lambda X: X[:, ::-1].copy()[:, ::-1],
    "both backwards": lambda X: np.asfortranarray(X[::-1, ::-1])[::-1, ::-1],
    "one row repeated": lambda X: np.broadcast_to(X[:1], X.shape),
    "one column repeated": lambda X: np.broadcast_to(X[:, :1], X.shape),
    "one number repeated": lambda X: np.broadcast_to(X[:1, :1], X.shape),
    "read-only": lambda X: read_only(X),
    "misaligned": lambda X: misaligned(X),
    "record field": lambda X: record_field(X),
}


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("X_dtype", X_DTYPES)
def test_every_dtype_is_converted_as_numpy_does(X_dtype, dtype, isa):
    X = samples(X_dtype)
    np.testing.assert_array_equal(
        read(_core.Rows.dense(X), dtype, isa), X.astype(dtype)
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("X_dtype", ["int64", "uint64", "float64"])
def test_wide_numbers_are_rounded_once(X_dtype, dtype):
    # Just above and below half a unit of the last place of float32, where rounding to
    # float64 on the way to float32 would end on the wrong side.
    near = 2**60 + 2**36 + np.arange(-3, 4)
    X = near.astype(X_dtype).reshape(1, 7)
    np.testing.assert_array_equal(read(_core.Rows.dense(X), dtype), X.astype(dtype))


def test_float16_covers_its_whole_range():
    X = np.arange(2**16, dtype=np.uint16).view(np.float16)
    X = X[np.isfinite(X)].reshape(-1, 1)
    for dtype in DTYPES:
        np.testing.assert_array_equal(read(_core.Rows.dense(X), dtype), X.astype(dtype))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("X_dtype", X_DTYPES)
def test_every_layout_gives_the_same_numbers(X_dtype, layout):
    X = LAYOUTS[layout](samples(X_dtype))
    assert X.shape == SHAPE
    rows = _core.Rows.dense(X)
    assert (rows.n_rows, rows.n_cols) == SHAPE
    for dtype in DTYPES:
        np.testing.assert_array_equal(read(rows, dtype), X.astype(dtype))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("X_dtype", ["float32", "float64", "int16"])
def test_every_layout_trains_the_same_network(X_dtype, layout):
    X = LAYOUTS[layout](samples(X_dtype))
    for dtype in DTYPES:
        expected = train(_core.Rows.dense(np.array(X, dtype, order="C")), dtype)
        assert train(_core.Rows.dense(X), dtype) == expected


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_memory_map_is_read(mode, tmp_path):
    X = samples("float64")
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode=mode)
    np.testing.assert_array_equal(read(_core.Rows.dense(mapped), "float64"), X)


@pytest.mark.parametrize("shape", [(0, 3), (1, 3), (3, 1), (1, 1), (700, 3)])
def test_any_number_of_rows_is_read(shape):
    X = samples("float64", shape)
    np.testing.assert_array_equal(read(_core.Rows.dense(X), "float64"), X)


def test_rows_keep_their_arrays_alive():
    expected = samples("float64", (500, 7))
    dense = _core.Rows.dense(expected.copy())
    csr = csr_rows(expected)
    gc.collect()
    np.full((500, 7), 5.0)  # likely to be where a freed array was
    np.testing.assert_array_equal(read(dense, "float64"), expected)
    np.testing.assert_array_equal(read(csr, "float64"), expected)


@pytest.mark.parametrize(
    "X",
    [
        np.zeros(3),
        np.zeros((2, 2, 2)),
        np.float64(1.0),
        np.zeros((2, 2), complex),
        np.zeros((2, 2), object),
        np.array([["a", "b"]]),
        np.zeros((2, 2), "datetime64[s]"),
        np.zeros((2, 2), [("x", float)]),
        np.zeros((2, 2), np.dtype(np.float64).newbyteorder()),
        [[1.0, 2.0]],
        None,
    ],
    ids=repr,
)
def test_what_is_no_matrix_of_numbers_is_refused(X):
    with pytest.raises((TypeError, ValueError)):
        _core.Rows.dense(X)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("index_dtype", INDEX_DTYPES)
@pytest.mark.parametrize("X_dtype", X_DTYPES)
def test_csr_gives_the_numbers_of_its_dense_matrix(X_dtype, index_dtype, dtype):
    X = samples(X_dtype) * (samples("float64") > 0).astype(X_dtype)
    X[4] = X[-1] = 0  # empty rows
    rows = csr_rows(X, index_dtype)
    assert (rows.n_rows, rows.n_cols) == SHAPE
    np.testing.assert_array_equal(read(rows, dtype), X.astype(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("index_dtype", INDEX_DTYPES)
def test_csr_trains_the_network_of_its_dense_matrix(index_dtype, dtype):
    X = samples("float64") * (samples("float64") > 0.3)
    expected = train(_core.Rows.dense(X), dtype)
    assert train(csr_rows(X, index_dtype), dtype) == expected


@pytest.mark.parametrize("index_dtype", INDEX_DTYPES)
def test_csr_may_be_unsorted_with_zeros_and_duplicates(index_dtype):
    indptr = np.array([0, 4, 4, 9], index_dtype)
    indices = np.array([3, 0, 2, 0, 1, 1, 1, 3, 0], index_dtype)
    data = np.array([1.0, 2.0, 0.0, 4.0, 0.5, 0.25, -8.0, 0.0, 16.0])
    rows = _core.Rows.csr(indptr, indices, data, 4)
    expected = [[6, 0, 0, 1], [0, 0, 0, 0], [16, -7.25, 0, 0]]
    np.testing.assert_array_equal(read(rows, "float64"), expected)


@pytest.mark.parametrize("index_dtype", INDEX_DTYPES)
def test_csr_arrays_may_be_read_only_and_misaligned(index_dtype):
    arrays = csr_arrays(index_dtype)
    expected = read(_core.Rows.csr(*arrays, 4), "float64")
    for relaid in (read_only, misaligned):
        rows = _core.Rows.csr(*map(relaid, arrays), 4)
        np.testing.assert_array_equal(read(rows, "float64"), expected)


@pytest.mark.parametrize("i", [0, 1, 2])
def test_strided_csr_arrays_are_refused(i):
    arrays = list(csr_arrays())
    arrays[i] = np.repeat(arrays[i], 2)[::2]
    with pytest.raises(ValueError, match="contiguous"):
        _core.Rows.csr(*arrays, 4)


@pytest.mark.parametrize("shape", [(0, 3), (5, 3)])
def test_csr_may_hold_nothing(shape):
    rows = csr_rows(np.zeros(shape))
    np.testing.assert_array_equal(read(rows, "float64"), np.zeros(shape))


def test_csr_is_wide_without_being_made_dense():
    # 3 rows of 2^45 columns: 800 TB if any row were ever written out to read it.
    indptr, indices = np.array([0, 1, 1, 2]), np.array([7, 2**45 - 1])
    rows = _core.Rows.csr(indptr, indices, np.ones(2), 2**45)
    assert (rows.n_rows, rows.n_cols) == (3, 2**45)


# Each breaks one thing in csr_arrays(): three rows of four columns.
BAD_CSR = {
    "index too large": {"indices": [0, 4, 1, 2, 3]},
    "index far too large": {"indices": [0, 2**31 - 1, 1, 2, 3]},
    "last index too large": {"indices": [0, 3, 1, 2, 4]},
    "negative index": {"indices": [0, 3, -1, 2, 3]},
    "very negative index": {"indices": [0, 3, -(2**31), 2, 3]},
    "first indptr above zero": {"indptr": [1, 2, 2, 5]},
    "first indptr below zero": {"indptr": [-1, 2, 2, 5]},
    "last indptr too large": {"indptr": [0, 2, 2, 6]},
    "decreasing indptr": {"indptr": [0, 3, 2, 5]},
    "indptr beyond the end and back": {"indptr": [0, 2**31 - 1, 2, 5]},
    "negative indptr": {"indptr": [0, -1, 2, 5]},
    "fewer columns": {"n_cols": 3},
    "no columns": {"n_cols": 0},
    "negative columns": {"n_cols": -1},
}
BAD_LENGTHS = {
    "data too short": {"data": [1.0] * 4},
    "data too long": {"data": [1.0] * 6},
    "indices too short": {"indices": [0, 3, 1, 2]},
    "indices too long": {"indices": [0, 3, 1, 2, 3, 0]},
    "no data": {"data": []},
    "no indices": {"indices": []},
}


@pytest.mark.parametrize("index_dtype", INDEX_DTYPES)
@pytest.mark.parametrize("fault", BAD_CSR | BAD_LENGTHS | {"no indptr": {"indptr": []}})
def test_broken_csr_is_refused(fault, index_dtype):
    faults = BAD_CSR | BAD_LENGTHS | {"no indptr": {"indptr": []}}
    arrays, n_cols = broken_csr(faults[fault], index_dtype)
    with pytest.raises(ValueError):
        _core.Rows.csr(*arrays, n_cols)


@pytest.mark.parametrize("index_dtype", INDEX_DTYPES)
@pytest.mark.parametrize("fault", BAD_CSR | BAD_LENGTHS)
def test_broken_compressed_structure_is_refused(fault, index_dtype):
    arrays, n_cols = broken_csr((BAD_CSR | BAD_LENGTHS)[fault], index_dtype)
    indptr, indices, data = arrays
    with pytest.raises(ValueError):
        _core.check_compressed(indptr, indices, len(data), 3, n_cols)


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63), 2**32, 2**32 + 1])
@pytest.mark.parametrize("name", ["indptr", "indices"])
def test_index_of_64_bits_is_not_cut_to_32(name, value):
    indptr, indices, data = csr_arrays("int64")
    {"indptr": indptr, "indices": indices}[name][1] = value
    with pytest.raises(ValueError):
        _core.Rows.csr(indptr, indices, data, 4)


@pytest.mark.parametrize("n_cols", [2**63, 2**64, 2**64 + 4, -(2**63) - 1])
def test_columns_beyond_64_bits_are_refused(n_cols):
    with pytest.raises((ValueError, OverflowError, TypeError)):
        _core.Rows.csr(*csr_arrays(), n_cols)


@pytest.mark.parametrize("n_major", [2, 4, 0, -1])
def test_compressed_structure_of_other_length_is_refused(n_major):
    indptr, indices, data = csr_arrays()
    with pytest.raises(ValueError):
        _core.check_compressed(indptr, indices, len(data), n_major, 4)


@pytest.mark.parametrize("index_dtype", INDEX_DTYPES)
@pytest.mark.parametrize("make", [sparse.csr_array, sparse.csc_array])
@pytest.mark.parametrize("shape", [(23, 7), (0, 3), (3, 0), (1, 1)])
def test_sound_compressed_structure_passes(shape, make, index_dtype):
    S = make(samples("float64", shape))
    n_major = len(S.indptr) - 1
    n_minor = shape[0] + shape[1] - n_major if shape[0] != shape[1] else n_major
    indptr, indices = S.indptr.astype(index_dtype), S.indices.astype(index_dtype)
    _core.check_compressed(indptr, indices, len(S.data), n_major, n_minor)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("indptr", np.array([0.0, 2.0, 2.0, 5.0])),
        ("indptr", np.array([[0, 2, 2, 5]])),
        ("indptr", np.array(5)),
        ("indptr", [0, 2, 2, 5]),
        ("indptr", None),
        ("indices", np.array([0.0, 3.0, 1.0, 2.0, 3.0])),
        ("indices", np.array([[0, 3, 1, 2, 3]])),
        ("indices", np.array([0, 3, 1, 2, 3], object)),
        ("indices", np.array([True, False, True, True, True])),
        ("data", np.ones(5, complex)),
        ("data", np.ones((1, 5))),
        ("data", np.ones(5, object)),
        ("data", np.ones(5, np.dtype(np.float64).newbyteorder())),
        ("data", None),
    ],
)
def test_csr_of_wrong_types_is_refused(name, value):
    arrays = dict(zip(("indptr", "indices", "data"), csr_arrays(), strict=True))
    with pytest.raises((TypeError, ValueError)):
        _core.Rows.csr(**arrays | {name: value}, n_cols=4)


def samples(dtype, shape=SHAPE):
    """Numbers over the whole range of an integer type, or normal ones."""
    rng = np.random.default_rng(3)
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind == "f":
        return rng.normal(size=shape).astype(dtype)
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, dtype, endpoint=True)


def read(rows, dtype, isa=""):
    """The numbers of the rows, in a network's dtype: see the head of this file."""
    n = rows.n_cols
    network = _core.Network([n, n], "identity", "squared_error", dtype, isa=isa)
    network.set_parameters([np.eye(n, dtype=dtype)], [np.zeros(n, dtype)])
    X = network.predict(rows, raw=True)
    assert X.dtype == dtype
    return X


def train(rows, dtype):
    """The bits of a network trained on rows taken in an order of their own."""
    problem = make_problem((rows.n_cols, 9, 3), n_rows=rows.n_rows, dtype=dtype)
    network = compiled(problem)
    order = np.random.default_rng(4).permutation(rows.n_rows)
    settings = {"batch_size": 6, "learning_rate": 0.01}
    trainer = _core.Trainer(network, "sgd")
    total = trainer.run_epoch(rows, problem.y, None, order, **settings)
    return bits(total, *network.get_parameters())


def csr_rows(X, index_dtype="int32"):
    row, column = X.nonzero()  # not by SciPy, which has no float16
    indptr = np.searchsorted(row, np.arange(len(X) + 1)).astype(index_dtype)
    return _core.Rows.csr(
        indptr, column.astype(index_dtype), X[row, column], X.shape[1]
    )


def csr_arrays(index_dtype="int32"):
    """indptr, indices and data of a sound 3 x 4 matrix."""
    indptr = np.array([0, 2, 2, 5], index_dtype)
    indices = np.array([0, 3, 1, 2, 3], index_dtype)
    return indptr, indices, np.arange(1.0, 6.0)


def broken_csr(fault, index_dtype):
    indptr, indices, data = csr_arrays(index_dtype)
    indptr = np.array(fault.get("indptr", indptr), index_dtype)
    indices = np.array(fault.get("indices", indices), index_dtype)
    data = np.array(fault.get("data", data), np.float64)
    return (indptr, indices, data), fault.get("n_cols", 4)


def read_only(X):
    copy = X.copy()
    copy.flags.writeable = False
    return copy


def misaligned(X):
    buffer = bytearray(1) + X.tobytes()
    return np.frombuffer(buffer, X.dtype, offset=1).reshape(X.shape)


def record_field(X):
    """A field of packed records: the strides are no multiple of the item's size."""
    records = np.zeros(X.shape, [("before", "u1"), ("x", X.dtype), ("after", "u2")])
    records["x"] = X
    return records["x"]
