// Conversion of rows from every number type.
#include "fastbp/train/rows.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <stdexcept>
#include <tuple>

#include "fastbp/base/prefetch.h"

namespace fastbp {
namespace {

// IEEE half precision, of which C++20 has no type.
struct Half {
  std::uint16_t word;

  operator float() const {  // NOLINT
    const std::uint32_t sign = static_cast<std::uint32_t>(word & 0x8000u) << 16;
    const std::uint32_t exponent = (word >> 10) & 0x1fu;
    const std::uint32_t mantissa = word & 0x3ffu;
    if (exponent == 0) {  // zero and subnormal: mantissa * 2^-24
      const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
      return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
    }
    const std::uint32_t biased = exponent == 0x1f ? 0xff : exponent + 127 - 15;
    return std::bit_cast<float>(sign | (biased << 23) | (mantissa << 13));
  }
  explicit operator double() const {
    return static_cast<double>(static_cast<float>(*this));
  }
};

// NumPy's bool: any byte but 0 is true.
struct Bool {
  std::uint8_t byte;
  explicit operator float() const { return byte != 0 ? 1.0f : 0.0f; }
  explicit operator double() const { return byte != 0 ? 1.0 : 0.0; }
};

// Calls use(Source{}) with the C++ type of an element.
template <class Use>
decltype(auto) with_element(Element element, Use use) {
  switch (element) {
    case Element::kBool:
      return use(Bool{});
    case Element::kInt8:
      return use(std::int8_t{});
    case Element::kInt16:
      return use(std::int16_t{});
    case Element::kInt32:
      return use(std::int32_t{});
    case Element::kInt64:
      return use(std::int64_t{});
    case Element::kUint8:
      return use(std::uint8_t{});
    case Element::kUint16:
      return use(std::uint16_t{});
    case Element::kUint32:
      return use(std::uint32_t{});
    case Element::kUint64:
      return use(std::uint64_t{});
    case Element::kFloat16:
      return use(Half{});
    case Element::kFloat32:
      return use(float{});
    case Element::kFloat64:
      break;
  }
  return use(double{});
}

Index size_of(Element element) {
  return with_element(element, [](auto source) { return Index{sizeof(source)}; });
}

// Arrays need not be aligned.
template <class Source>
Source read(const char* p) {
  Source value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

Index read_index(const char* array, Element element, Index i) {
  return element == Element::kInt32
             ? Index{read<std::int32_t>(array + i * Index{sizeof(std::int32_t)})}
             : read<std::int64_t>(array + i * Index{sizeof(std::int64_t)});
}

[[noreturn]] void fail(const std::string& what) {
  throw std::invalid_argument("invalid sparse matrix X: " + what);
}

}  // namespace

void check_compressed(const char* indptr, Element indptr_element, Index indptr_size,
                      const char* indices, Element index_element, Index n_indices,
                      Index n_data, Index n_major, Index n_minor) {
  const auto start = [&](Index i) { return read_index(indptr, indptr_element, i); };
  if (indptr_size != checked_add(n_major, 1)) {
    fail("indptr has " + std::to_string(indptr_size) + " elements, expected " +
         std::to_string(n_major) + " + 1");
  }
  if (n_indices != n_data) {
    fail("indices and data have different lengths, " + std::to_string(n_indices) +
         " and " + std::to_string(n_data));
  }
  if (start(0) != 0)
    fail("indptr starts with " + std::to_string(start(0)) + ", expected 0");
  for (Index i = 0; i < n_major; ++i) {
    if (start(i + 1) < start(i)) {
      fail("indptr decreases from " + std::to_string(start(i)) + " to " +
           std::to_string(start(i + 1)) + " at position " + std::to_string(i + 1));
    }
  }
  const Index n_stored = start(n_major);
  if (n_stored > n_data) {
    fail("indptr ends with " + std::to_string(n_stored) + ", but there are " +
         std::to_string(n_data) + " stored values");
  }
  for (Index k = 0; k < n_stored; ++k) {
    const Index index = read_index(indices, index_element, k);
    if (index < 0 || index >= n_minor) {
      fail("index " + std::to_string(index) + " at position " + std::to_string(k) +
           " is out of range [0, " + std::to_string(n_minor) + ")");
    }
  }
}

template <class T>
void Rows::gather(Index row, T* out) const {
  const char* from = dense_.data + row * dense_.row_stride;
  with_element(dense_.element, [&](auto source) {
    using Source = decltype(source);
    if (dense_.col_stride == Index{sizeof(Source)}) {
      if constexpr (std::is_same_v<Source, T>) {
        std::memcpy(out, from, static_cast<std::size_t>(n_cols_) * sizeof(T));
      } else {
        for (Index j = 0; j < n_cols_; ++j) {
          out[j] = static_cast<T>(read<Source>(from + j * Index{sizeof(Source)}));
        }
      }
    } else {
      for (Index j = 0; j < n_cols_; ++j) {
        out[j] = static_cast<T>(read<Source>(from + j * dense_.col_stride));
      }
    }
  });
}

Index Rows::count(Index row) const {
  return read_index(csr_.indptr, csr_.indptr_element, row + 1) -
         read_index(csr_.indptr, csr_.indptr_element, row);
}

template <class T>
void Rows::gather(Index row, Entry<T>* out) const {
  const Index first = read_index(csr_.indptr, csr_.indptr_element, row);
  const Index n = count(row);
  with_element(csr_.element, [&](auto source) {
    using Source = decltype(source);
    const char* data = csr_.data + first * Index{sizeof(Source)};
    for (Index k = 0; k < n; ++k) {
      out[k].col = read_index(csr_.indices, csr_.index_element, first + k);
      out[k].value = static_cast<T>(read<Source>(data + k * Index{sizeof(Source)}));
    }
  });
  const auto before = [](const Entry<T>& a, const Entry<T>& b) {
    return std::tie(a.col, a.value) < std::tie(b.col, b.value);
  };
  if (!std::is_sorted(out, out + n, before)) std::sort(out, out + n, before);
}

void Rows::prefetch(Index row) const {
  const Index size = size_of(is_sparse_ ? csr_.element : dense_.element);
  if (!is_sparse_) {
    // The elements of a row that lie apart are asked for all at once anyway.
    if (dense_.col_stride == size) {
      fastbp::prefetch(dense_.data + row * dense_.row_stride, n_cols_ * size);
    }
    return;
  }
  const Index first = read_index(csr_.indptr, csr_.indptr_element, row);
  const Index index_size = size_of(csr_.index_element);
  fastbp::prefetch(csr_.indices + first * index_size, count(row) * index_size);
  fastbp::prefetch(csr_.data + first * size, count(row) * size);
}

template void Rows::gather(Index, float*) const;
template void Rows::gather(Index, double*) const;
template void Rows::gather(Index, Entry<float>*) const;
template void Rows::gather(Index, Entry<double>*) const;

void check_columns(const Rows& x, Index n_in) {
  if (x.n_cols() == n_in) return;
  throw std::invalid_argument("X has " + std::to_string(x.n_cols()) +
                              " columns, the network has " + std::to_string(n_in) +
                              " inputs");
}

Index most_entries(const Rows& x, Index block_rows) {
  if (!x.is_sparse()) return 0;
  Index most = 0;
  for (Index first = 0; first < x.n_rows(); first += block_rows) {
    Index n = 0;
    const Index last = std::min(first + block_rows, x.n_rows());
    for (Index row = first; row < last; ++row) n += x.count(row);
    most = std::max(most, n);
  }
  return most;
}

}  // namespace fastbp
