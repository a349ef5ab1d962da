// Rows: the samples as they lie in the user's memory, of any number type, dense with
// any strides or CSR. They are only read row by row, and converted on the way into a
// batch; X is never copied as a whole. The memory must outlive the object.
#pragma once

#include "fastbp/base/sizes.h"
#include "fastbp/kernels/kernels.h"

namespace fastbp {

// Number types of X, by kind and bytes.
enum class Element {
  kBool,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kUint8,
  kUint16,
  kUint32,
  kUint64,
  kFloat16,
  kFloat32,
  kFloat64
};

struct DenseArray {
  const char* data;
  Index row_stride, col_stride;  // bytes
  Element element;
};

// A CSR matrix whose structure has been checked by check_compressed.
struct CsrArray {
  const char* indptr;
  const char* indices;
  const char* data;
  Element index_element, indptr_element;  // kInt32 or kInt64
  Element element;
};

// Throws std::invalid_argument unless indptr (n_major + 1 numbers) starts at 0, does
// not decrease and ends within the n_data stored values, and all those indices lie in
// [0, n_minor). A matrix with major axis rows is then a valid CSR, with columns a valid
// CSC.
void check_compressed(const char* indptr, Element indptr_element, Index indptr_size,
                      const char* indices, Element index_element, Index n_indices,
                      Index n_data, Index n_major, Index n_minor);

class Rows;

// Throws std::invalid_argument unless the rows have so many columns.
void check_columns(const Rows& x, Index n_in);

// The most non-zeros of a block of so many rows as they lie; 0 if x is dense.
Index most_entries(const Rows& x, Index block_rows);

class Rows {
 public:
  Rows(Index n_rows, Index n_cols, const DenseArray& array)
      : n_rows_(n_rows), n_cols_(n_cols), is_sparse_(false), dense_(array), csr_() {}
  Rows(Index n_rows, Index n_cols, const CsrArray& array)
      : n_rows_(n_rows), n_cols_(n_cols), is_sparse_(true), dense_(), csr_(array) {}

  Index n_rows() const { return n_rows_; }
  Index n_cols() const { return n_cols_; }
  bool is_sparse() const { return is_sparse_; }

  // Dense: row -> out[0 .. n_cols).
  template <class T>
  void gather(Index row, T* out) const;

  // Sparse: number of stored values of a row, and the row itself, sorted by column.
  Index count(Index row) const;
  template <class T>
  void gather(Index row, Entry<T>* out) const;

  // A row that will be gathered soon.
  void prefetch(Index row) const;

 private:
  Index n_rows_;
  Index n_cols_;
  bool is_sparse_;
  DenseArray dense_;
  CsrArray csr_;
};

}  // namespace fastbp
