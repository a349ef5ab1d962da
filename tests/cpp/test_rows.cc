// Rows: every number type, every stride, and every way in which a CSR can be wrong.
#include "fastbp/train/rows.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>

#include "testing.h"

using namespace fastbp;

namespace {

// Bytes of a (rows, cols) array of Source with the element (i, j) at offset + i *
// row_stride + j * col_stride.
struct Bytes {
  std::vector<char> bytes;
  DenseArray array;
};

template <class Source, class Value>
Bytes lay_out(Index rows, Index cols, Index row_stride, Index col_stride, Index offset,
              Element element, const Value& value) {
  const auto size = std::abs(row_stride) * rows + std::abs(col_stride) * cols + offset +
                    static_cast<Index>(sizeof(Source));
  Bytes b{std::vector<char>(static_cast<std::size_t>(2 * size), '\x55'), {}};
  char* first = b.bytes.data() + size + offset;
  for (Index i = 0; i < rows; ++i) {
    for (Index j = 0; j < cols; ++j) {
      const auto element_value = static_cast<Source>(value(i, j));
      std::memcpy(first + i * row_stride + j * col_stride, &element_value,
                  sizeof(Source));
    }
  }
  b.array = {first, row_stride, col_stride, element};
  return b;
}

// Small integers that every type but bool has; negative ones if it can.
template <class Source>
double sample(Index i, Index j) {
  const Index n = (7 * i + 3 * j) % 50;
  return static_cast<double>(std::is_signed_v<Source> ? n - 25 : n);
}

template <class T, class Source>
void check_strides(Element element) {
  constexpr Index kRows = 5, kCols = 37;
  constexpr auto kSize = static_cast<Index>(sizeof(Source));
  struct Layout {
    const char* name;
    Index row_stride, col_stride, offset;
  };
  for (const Layout layout :
       {Layout{"C", kCols * kSize, kSize, 0},
        Layout{"Fortran", kSize, kRows * kSize, 0},
        Layout{"padded rows", (kCols + 3) * kSize, kSize, 0},
        Layout{"every other column", 2 * kCols * kSize, 2 * kSize, 0},
        Layout{"backwards", -kCols * kSize, -kSize, 0},
        Layout{"unaligned", kCols * kSize + 1, kSize, 1},
        Layout{"odd bytes", 3 * kCols * kSize, 2 * kSize + 1, 1}}) {
    CAPTURE(layout.name);
    const Bytes b = lay_out<Source>(kRows, kCols, layout.row_stride, layout.col_stride,
                                    layout.offset, element, sample<Source>);
    const Rows rows(kRows, kCols, b.array);
    for (Index i = 0; i < kRows; ++i) {
      testing::Guarded<T> got(1, kCols), expected(1, kCols);
      for (Index j = 0; j < kCols; ++j)
        expected(0, j) = static_cast<T>(sample<Source>(i, j));
      rows.gather(i, got.data());
      CHECK(testing::difference(got, expected) == "");
    }
  }
}

// One number of X as T.
template <class T, class Source>
T converted(Element element, Source value) {
  DenseArray array{reinterpret_cast<const char*>(&value),
                   static_cast<Index>(sizeof value), static_cast<Index>(sizeof value),
                   element};
  T result{};
  Rows(1, 1, array).gather(0, &result);
  return result;
}

// The number that a half-precision word stands for (IEEE 754, 3.4).
double value_of_half(unsigned word) {
  const double sign = word >> 15 != 0 ? -1 : 1;
  const int exponent = static_cast<int>(word >> 10 & 31);
  const double mantissa = word & 1023;
  if (exponent == 31) {
    return mantissa == 0 ? sign * std::numeric_limits<double>::infinity()
                         : std::numeric_limits<double>::quiet_NaN();
  }
  if (exponent == 0) return sign * std::ldexp(mantissa, -24);
  return sign * std::ldexp(1024 + mantissa, exponent - 25);
}

// A CSR (or CSC) structure with indices and pointers of any width.
struct Structure {
  std::vector<Index> indptr, indices;
  Index n_data, n_major, n_minor;
};

template <class To>
std::vector<To> narrowed(const std::vector<Index>& from) {
  std::vector<To> to;
  for (const Index i : from) to.push_back(static_cast<To>(i));
  return to;
}

template <class Int>
constexpr Element kIndexElement = sizeof(Int) == 4 ? Element::kInt32 : Element::kInt64;

template <class Int>
const char* bytes_of(const std::vector<Int>& numbers) {
  return reinterpret_cast<const char*>(numbers.data());
}

// What check_compressed says; "" if it is content.
template <class Pointer, class Column>
std::string complaint(const Structure& s) {
  const auto indptr = narrowed<Pointer>(s.indptr);
  const auto indices = narrowed<Column>(s.indices);
  try {
    check_compressed(bytes_of(indptr), kIndexElement<Pointer>,
                     static_cast<Index>(indptr.size()), bytes_of(indices),
                     kIndexElement<Column>, static_cast<Index>(indices.size()),
                     s.n_data, s.n_major, s.n_minor);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

// The complaint, which does not depend on the types.
std::string complaint(const Structure& s) {
  const auto text = complaint<Index, Index>(s);
  CHECK(complaint<std::int32_t, std::int32_t>(s) == text);
  CHECK(complaint<std::int32_t, Index>(s) == text);
  CHECK(complaint<Index, std::int32_t>(s) == text);
  return text;
}

template <class T>
struct Csr {
  std::vector<Index> indptr;
  std::vector<std::int32_t> indices;
  std::vector<T> data;

  Rows rows(Index n_cols, Element element) const {
    return {static_cast<Index>(indptr.size()) - 1, n_cols,
            CsrArray{bytes_of(indptr), bytes_of(indices),
                     reinterpret_cast<const char*>(data.data()), Element::kInt32,
                     Element::kInt64, element}};
  }
};

// A row as pairs (column, value).
using Pairs = std::vector<std::pair<Index, double>>;

template <class T>
Pairs gathered(const Rows& rows, Index row) {
  std::vector<Entry<T>> entries(static_cast<std::size_t>(rows.count(row)));
  rows.gather(row, entries.data());
  Pairs pairs;
  for (const auto& e : entries) pairs.emplace_back(e.col, static_cast<double>(e.value));
  return pairs;
}

template <class Source>
void check_csr_values(Element element) {
  const Csr<Source> csr{{0, 2, 2, 3}, {1, 4, 0}, {Source(1), Source(0), Source(1)}};
  const Rows rows = csr.rows(5, element);
  CHECK(gathered<float>(rows, 0) == Pairs{{1, 1}, {4, 0}});
  CHECK(gathered<double>(rows, 1) == Pairs{});
  CHECK(gathered<double>(rows, 2) == Pairs{{0, 1}});
}

}  // namespace

// --- Dense -------------------------------------------------------------------------

TEST_CASE_TEMPLATE("dense rows are read with any type and strides", T, float, double) {
  check_strides<T, std::int8_t>(Element::kInt8);
  check_strides<T, std::int16_t>(Element::kInt16);
  check_strides<T, std::int32_t>(Element::kInt32);
  check_strides<T, std::int64_t>(Element::kInt64);
  check_strides<T, std::uint8_t>(Element::kUint8);
  check_strides<T, std::uint16_t>(Element::kUint16);
  check_strides<T, std::uint32_t>(Element::kUint32);
  check_strides<T, std::uint64_t>(Element::kUint64);
  check_strides<T, float>(Element::kFloat32);
  check_strides<T, double>(Element::kFloat64);
}

TEST_CASE_TEMPLATE("a stride of zero repeats an element", T, float, double) {
  const double value = 3;
  const Rows rows(
      4, 2, DenseArray{reinterpret_cast<const char*>(&value), 0, 0, Element::kFloat64});
  std::array<T, 2> out{};
  rows.gather(3, out.data());
  CHECK(out == std::array<T, 2>{3, 3});
}

TEST_CASE_TEMPLATE("limits of integers are converted with one rounding", T, float,
                   double) {
  using std::numeric_limits;
  CHECK(converted<T>(Element::kInt8, std::int8_t{-128}) == -128);
  CHECK(converted<T>(Element::kUint8, std::uint8_t{255}) == 255);
  CHECK(converted<T>(Element::kInt16, std::int16_t{-32768}) == -32768);
  CHECK(converted<T>(Element::kUint16, std::uint16_t{65535}) == 65535);
  CHECK(converted<T>(Element::kInt32, numeric_limits<std::int32_t>::min()) ==
        T(-0x1p31));
  CHECK(converted<T>(Element::kInt32, std::int32_t{16777217}) ==
        (sizeof(T) == 4 ? T(16777216) : T(16777217)));
  CHECK(converted<T>(Element::kUint32, numeric_limits<std::uint32_t>::max()) ==
        (sizeof(T) == 4 ? T(0x1p32) : T(4294967295.0)));
  CHECK(converted<T>(Element::kInt64, numeric_limits<std::int64_t>::min()) ==
        T(-0x1p63));
  CHECK(converted<T>(Element::kUint64, numeric_limits<std::uint64_t>::max()) ==
        T(0x1p64));
}

TEST_CASE_TEMPLATE("any byte but zero is true", T, float, double) {
  for (int byte = 0; byte < 256; ++byte) {
    CHECK(converted<T>(Element::kBool, static_cast<std::uint8_t>(byte)) ==
          (byte == 0 ? 0 : 1));
  }
}

TEST_CASE_TEMPLATE("every float16 is the number it stands for", T, float, double) {
  for (unsigned word = 0; word < 65536; ++word) {
    const T got = converted<T>(Element::kFloat16, static_cast<std::uint16_t>(word));
    const double expected = value_of_half(word);
    if (std::isnan(expected)) {
      CHECK(std::isnan(got));
    } else {
      CHECK(static_cast<double>(got) == expected);
      CHECK(std::signbit(got) == (word >> 15 != 0));
    }
  }
}

TEST_CASE("float16 has the numbers of the table") {
  CHECK(converted<float>(Element::kFloat16, std::uint16_t{0x3c00}) == 1);
  CHECK(converted<float>(Element::kFloat16, std::uint16_t{0xc000}) == -2);
  CHECK(converted<float>(Element::kFloat16, std::uint16_t{0x7bff}) == 65504);
  CHECK(converted<float>(Element::kFloat16, std::uint16_t{0x0400}) == 0x1p-14f);
  CHECK(converted<float>(Element::kFloat16, std::uint16_t{0x0001}) == 0x1p-24f);
  CHECK(converted<float>(Element::kFloat16, std::uint16_t{0x3555}) ==
        doctest::Approx(1.0 / 3).epsilon(1e-3));
}

TEST_CASE("float64 becomes the nearest float32") {
  CHECK(converted<float>(Element::kFloat64, 0.1) == 0.1f);
  CHECK(converted<float>(Element::kFloat64, 1 + 0x1p-24) == 1);
  CHECK(converted<float>(Element::kFloat64, 1 + 0x1.8p-24) == 1 + 0x1p-23f);
  CHECK(std::isnan(converted<float>(Element::kFloat64, std::nan(""))));
  CHECK(std::isinf(
      converted<float>(Element::kFloat64, std::numeric_limits<double>::infinity())));
}

// --- Sparse ------------------------------------------------------------------------

TEST_CASE("sparse rows are read with any type") {
  check_csr_values<std::uint8_t>(Element::kBool);
  check_csr_values<std::int8_t>(Element::kInt8);
  check_csr_values<std::int16_t>(Element::kInt16);
  check_csr_values<std::int32_t>(Element::kInt32);
  check_csr_values<std::int64_t>(Element::kInt64);
  check_csr_values<std::uint8_t>(Element::kUint8);
  check_csr_values<std::uint16_t>(Element::kUint16);
  check_csr_values<std::uint32_t>(Element::kUint32);
  check_csr_values<std::uint64_t>(Element::kUint64);
  check_csr_values<float>(Element::kFloat32);
  check_csr_values<double>(Element::kFloat64);
  const Csr<std::uint16_t> halves{{0, 1}, {2}, {0x3800}};
  CHECK(gathered<float>(halves.rows(3, Element::kFloat16), 0) == Pairs{{2, 0.5}});
}

TEST_CASE("unsorted rows are sorted by column") {
  const Csr<float> csr{{0, 5}, {4, 0, 3, 1, 2}, {40, 0, 30, 10, 20}};
  CHECK(gathered<float>(csr.rows(5, Element::kFloat32), 0) ==
        Pairs{{0, 0}, {1, 10}, {2, 20}, {3, 30}, {4, 40}});
}

TEST_CASE("repeated columns stay and come in an order of their own") {
  const Csr<float> a{{0, 4}, {2, 1, 2, 1}, {3, 9, -5, 8}};
  const Csr<float> b{{0, 4}, {1, 2, 1, 2}, {8, -5, 9, 3}};
  const Pairs expected{{1, 8}, {1, 9}, {2, -5}, {2, 3}};
  CHECK(gathered<double>(a.rows(3, Element::kFloat32), 0) == expected);
  CHECK(gathered<double>(b.rows(3, Element::kFloat32), 0) == expected);
}

// --- Checks of the structure -------------------------------------------------------

TEST_CASE("sound structures are accepted") {
  CHECK(complaint({{0, 2, 2, 3}, {0, 4, 1}, 3, 3, 5}) == "");
  CHECK(complaint({{0}, {}, 0, 0, 5}) == "");              // no rows
  CHECK(complaint({{0, 0, 0}, {}, 0, 2, 0}) == "");        // no columns
  CHECK(complaint({{0, 1}, {0, 99, -7}, 3, 1, 1}) == "");  // unused room at the end
  CHECK(complaint({{0, 3}, {2, 0, 2}, 3, 1, 3}) == "");    // unsorted, repeated
}

TEST_CASE("unsound structures are refused with the number at fault") {
  const auto refused = [](const Structure& s, const std::string& why) {
    CHECK(complaint(s) == "invalid sparse matrix X: " + why);
  };
  refused({{0, 1}, {0}, 1, 2, 1}, "indptr has 2 elements, expected 2 + 1");
  refused({{0, 1, 1, 1}, {0}, 1, 2, 1}, "indptr has 4 elements, expected 2 + 1");
  refused({{}, {}, 0, 0, 1}, "indptr has 0 elements, expected 0 + 1");
  refused({{0, 1}, {0, 0}, 1, 1, 1},
          "indices and data have different lengths, 2 and 1");
  refused({{0, 1}, {0}, 2, 1, 1}, "indices and data have different lengths, 1 and 2");
  refused({{1, 1}, {0}, 1, 1, 1}, "indptr starts with 1, expected 0");
  refused({{-1, 1}, {0}, 1, 1, 1}, "indptr starts with -1, expected 0");
  refused({{0, 2, 1, 3}, {0, 1, 2}, 3, 3, 3},
          "indptr decreases from 2 to 1 at position 2");
  refused({{0, -1, 3}, {0, 1, 2}, 3, 2, 3},
          "indptr decreases from 0 to -1 at position 1");
  refused({{0, 1'000'000'000, 3}, {0, 1, 2}, 3, 2, 3},
          "indptr decreases from 1000000000 to 3 at position 2");
  refused({{0, 4}, {0, 1, 2}, 3, 1, 3},
          "indptr ends with 4, but there are 3 stored values");
  refused({{0, 3}, {0, -1, 2}, 3, 1, 3},
          "index -1 at position 1 is out of range [0, 3)");
  refused({{0, 3}, {0, 1, 3}, 3, 1, 3}, "index 3 at position 2 is out of range [0, 3)");
  refused({{0, 1}, {0}, 1, 1, 0}, "index 0 at position 0 is out of range [0, 0)");
}

TEST_CASE("indices beyond 32 bits are refused and not cut off") {
  CHECK(
      complaint<Index, Index>({{0, 1}, {Index{1} << 32}, 1, 1, 1}) ==
      "invalid sparse matrix X: index 4294967296 at position 0 is out of range [0, 1)");
  CHECK(complaint<Index, Index>({{0, Index{1} << 32}, {0}, 1, 1, 1}) ==
        "invalid sparse matrix X: indptr ends with 4294967296, but there are 1 stored "
        "values");
}
