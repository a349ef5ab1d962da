// Dense: y = activation(x W + b), the fully connected layer (lecture 004, formulae).
#pragma once

#include "fastbp/base/buffer.h"
#include "fastbp/nn/layer.h"

namespace fastbp {

template <class T>
class Dense final : public Layer<T> {
 public:
  // The parameters of the layer are parameters[offset ...]: W in panels, then b. The
  // first layer passes no gradient down and needs no mirror of its weights.
  Dense(const Kernels<T>& kernels, Index n_in, Index n_out,
        OutputActivation<T> activation, bool is_first, T* parameters, Index offset);

  static Index n_parameters_of(Index n_in, Index n_out);

  Index n_in() const override { return n_in_; }
  Index n_out() const override { return n_out_; }
  Index n_parameters() const override { return n_parameters_of(n_in_, n_out_); }
  OutputActivation<T> output_activation() const override { return activation_; }

  void forward(const Input<T>& x, MatrixView<T> y) const override;
  void backward(MatrixView<const T> dz, MatrixView<const T> x,
                OutputActivation<T> below, MatrixView<T> dx) const override;
  Index n_tiles(bool sparse_input) const override;
  double update(Index tile, const Input<T>& x, MatrixView<const T> dz,
                const Update<T>& rule, const FlatState<T>& state) override;
  void gradient(Index tile, const Input<T>& x, MatrixView<const T> dz, T* gradient,
                bool add) const override;
  void refresh() override;

  // Between the layer's part of a flat buffer and plain row-major W (n_in, n_out) and b
  // (n_out).
  void pack(const T* coef, const T* intercept, T* flat) const;
  void unpack(const T* flat, T* coef, T* intercept) const;
  // b's place in the flat buffer.
  Index bias_offset() const { return offset_ + n_panels_ * n_in_ * kPanel<T>; }
  Index weights_offset() const { return offset_; }

 private:
  // Rows first_in .. first_in + n_in of the panels from `panel`.
  struct Tile {
    Index first_in, n_in, panel, n_panels;
    bool is_half_panel;
    Index at(Index panel_size) const {
      return panel * panel_size + first_in * kPanel<T>;
    }
  };

  Index panel_size() const { return n_in_ * kPanel<T>; }
  Index tile_height(bool sparse_input) const {
    return sparse_input ? kSparseTileRows : tile_height_;
  }
  Tile tile(Index i, bool sparse_input) const;
  GradientTile<T> gradient_tile(const Tile& t, MatrixView<const T> x,
                                MatrixView<const T> dz) const;
  SparseGradientTile<T> sparse_gradient_tile(const Tile& t, const SparseRows<T>& x,
                                             MatrixView<const T> dz) const;
  GradientTile<T> bias_tile(const Tile& t, MatrixView<const T> dz) const;
  void refresh_mirror(const Tile& t);

  const Kernels<T>& kernels_;
  Index n_in_;
  Index n_out_;
  Index n_panels_;
  Index tile_height_;
  OutputActivation<T> activation_;
  T* parameters_;
  Index offset_;
  // Transposed weights, (n_out, n_in) in panels of n_in: the operand of the backward
  // pass.
  Index mirror_rows_ = 0;
  Buffer<T> mirror_;
};

extern template class Dense<float>;
extern template class Dense<double>;

}  // namespace fastbp
