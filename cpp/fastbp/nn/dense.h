// Dense: y = activation(x W + b), the fully connected layer (lecture 004, formulae).
#pragma once

#include "fastbp/base/buffer.h"
#include "fastbp/nn/layer.h"

namespace fastbp {

template <class T>
class Dense : public Layer<T> {
 public:
  // The parameters of the layer are parameters[offset ...]: W in panels, then b. The
  // first layer passes no gradient down and needs no mirror of its weights.
  Dense(const Kernels<T>& kernels, Index n_in, Index n_out,
        OutputActivation<T> activation, bool is_first, T* parameters, Index offset);

  // Which parameters the optimizer steps on; gradients are computed of all.
  struct Trained {
    bool weights = true, biases = true;
  };
  void set_trained(Trained trained) { trained_ = trained; }
  // The mirror that backward() reads, also for a first layer; false if it was there, or
  // is not needed.
  virtual bool keep_mirror();

  static Index n_parameters_of(Index n_in, Index n_out);

  Index n_in() const override { return n_in_; }
  Index n_out() const override { return n_out_; }
  OutputActivation<T> output_activation() const override { return activation_; }

  void forward(const Input<T>& x, MatrixView<T> y, const Memory<T>& memory) const final;
  void pre_activations(const Input<T>& x, MatrixView<T> z,
                       const Memory<T>& memory) const final;
  void backward(const Trace<T>& trace, const Below<T>& below,
                MatrixView<T> dx) const override;
  Index n_tiles(bool sparse_input) const override;
  PenaltySums update(Index tile, const Trace<T>& batch, const Update<T>& rule,
                     const FlatState<T>& state) override;
  void gradient(Index tile, const Trace<T>& batch, T* gradient,
                bool add) const override;
  Index n_panels() const override { return n_panels_; }
  double gradient_squares(Index panel, const T* gradient,
                          const Update<T>& rule) const override;
  PenaltySums step(Index panel, const T* gradient, const Update<T>& rule,
                   const FlatState<T>& state) override;
  void limit_norms(Index panel, T max_norm) override;
  void refresh(Index tile) override;

  // Between the layer's part of a flat buffer and plain row-major W (n_in, n_out) and b
  // (n_out): some rows of W, and all. Packing returns whether the numbers were others.
  bool pack_rows(Index first, Index n, const T* coef, T* flat) const;
  void unpack_rows(Index first, Index n, const T* flat, T* coef) const;
  bool pack(const T* coef, const T* intercept, T* flat) const;
  void unpack(const T* flat, T* coef, T* intercept) const;
  // b's place in the flat buffer.
  Index bias_offset() const { return offset_ + n_panels_ * n_in_ * kPanel<T>; }
  Index weights_offset() const { return offset_; }

 protected:
  // Where W(i, j) is: at j / kPanel * panel_size + i * row_stride + j % kPanel.
  struct Layout {
    Index panel_size, row_stride;
  };

  // Rows first_in .. first_in + n_in of the panels from `panel`.
  struct Tile {
    Index first_in, n_in, panel, n_panels;
    bool is_half_panel;
  };

  // W in another layout, and no mirror of it.
  Dense(const Kernels<T>& kernels, Index n_in, Index n_out,
        OutputActivation<T> activation, const Layout& layout, T* parameters,
        Index offset);

  Forward<T> forward_block(const Input<T>& x, MatrixView<T> y,
                           const Memory<T>& memory) const;
  virtual void run_forward(const Forward<T>& f, const Input<T>& x) const;
  Backward<T> backward_block(MatrixView<const T> dz, const Below<T>& below,
                             MatrixView<T> dx) const;

  // W cut into tiles of at most height rows and n_panels panels.
  Index count_tiles(Index height, Index n_panels) const;
  Tile tile_of(Index i, Index height, Index n_panels) const;
  Index place_of(const Tile& t) const {  // from the start of W
    return t.panel * layout_.panel_size + t.first_in * layout_.row_stride;
  }
  Parameters<T> parameters_at(Index place, const FlatState<T>& state) const {
    return {parameters_ + place, state.moment_1 + place, state.moment_2 + place};
  }
  Parameters<T> parameters_of(const Tile& t, const FlatState<T>& state) const {
    return parameters_at(weights_offset() + place_of(t), state);
  }

  // The biases below a tile, if it is the first of its columns.
  void update_bias(const Tile& t, MatrixView<const T> dz, const Update<T>& rule,
                   const FlatState<T>& state) const;
  void bias_gradient(const Tile& t, MatrixView<const T> dz, T* gradient,
                     bool add) const;

  const Kernels<T>& kernels_;
  Layout layout_;
  T* parameters_;
  Trained trained_;

 private:
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

  Index n_in_;
  Index n_out_;
  Index n_panels_;
  Index tile_height_;
  OutputActivation<T> activation_;
  Index offset_;
  // Transposed weights, (n_out, n_in) in panels of n_in: the operand of the backward
  // pass.
  Index mirror_rows_ = 0;
  Buffer<T> mirror_;
};

extern template class Dense<float>;
extern template class Dense<double>;

}  // namespace fastbp
