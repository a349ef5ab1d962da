// MatrixView looks at a row-major matrix that somebody else owns.
#pragma once

#include "fastbp/base/sizes.h"

namespace fastbp {

template <class T>
struct MatrixView {
  T* data = nullptr;
  Index rows = 0;
  Index cols = 0;
  Index stride = 0;  // elements from one row to the next

  T* row(Index i) const { return data + i * stride; }
  MatrixView block(Index first, Index n) const { return {row(first), n, cols, stride}; }

  operator MatrixView<const T>() const { return {data, rows, cols, stride}; }  // NOLINT
};

// Rows are padded to whole cache lines, and to an odd number of them: with a stride
// that is a large power of two, the rows of a column strip fall into the same few cache
// sets, and the weight gradient of a 1024-wide layer runs at a third of its speed.
template <class T>
constexpr Index padded_stride(Index cols) {
  constexpr Index kLine = kCacheLine / static_cast<Index>(sizeof(T));
  return (ceil_div(cols, kLine) | 1) * kLine;
}

}  // namespace fastbp
