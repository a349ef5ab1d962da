// BlasDense: the same layer as Dense, with the products of dense rows made by a BLAS.
// Its weights are row-major, as a BLAS wants them, and need no mirror. What comes after
// a product (bias and activation, derivative, optimizer step) is a second pass over the
// result by the built-in kernels, and sparse rows are theirs altogether.
#pragma once

#include "fastbp/kernels/blas.h"
#include "fastbp/nn/dense.h"

namespace fastbp {

template <class T>
class BlasDense final : public Dense<T> {
 public:
  // Throws std::length_error if a size is beyond the integers of the BLAS.
  BlasDense(const Kernels<T>& kernels, Index n_in, Index n_out,
            OutputActivation<T> activation, const Blas<T>& blas, T* parameters,
            Index offset);

  bool keep_mirror() override { return false; }
  void backward(const Trace<T>& trace, const Below<T>& below,
                MatrixView<T> dx) const override;
  Index n_tiles(bool sparse_input) const override;
  PenaltySums update(Index tile, const Trace<T>& batch, const Update<T>& rule,
                     const FlatState<T>& state) override;
  void gradient(Index tile, const Trace<T>& batch, T* gradient,
                bool add) const override;

 protected:
  void run_forward(const Forward<T>& f, const Input<T>& x) const override;

 private:
  using typename Dense<T>::Tile;

  Tile blas_tile(Index i) const;
  // out = x^T dz for one tile.
  void tile_product(const Tile& t, MatrixView<const T> x, MatrixView<const T> dz,
                    T* out, Index out_stride, bool add) const;

  Blas<T> blas_;
};

extern template class BlasDense<float>;
extern template class BlasDense<double>;

}  // namespace fastbp
