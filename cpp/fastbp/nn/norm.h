// Norm: what layer and batch normalization share: a gain and a bias for each unit, the
// gradients of which are sums over the rows, and an activation. y = activation(gain * n
// + bias), where n is x brought to mean 0 and variance 1.
//
// There are no penalties on gains and biases: their size is their own affair.
#pragma once

#include <algorithm>

#include "fastbp/nn/layer.h"

namespace fastbp {

template <class T>
class Norm : public Layer<T> {
 public:
  // The parameters of the layer are parameters[offset ...]: gains, then biases, whole
  // panels of each.
  Norm(const Kernels<T>& kernels, Index n_units, OutputActivation<T> activation,
       T* parameters, Index offset);

  static Index n_parameters_of(Index n_units);

  Index n_in() const override { return n_units_; }
  Index n_out() const override { return n_units_; }
  OutputActivation<T> output_activation() const override { return activation_; }

  Index n_tiles(bool) const override { return ceil_div(n_panels(), kTilePanels); }
  PenaltySums update(Index tile, const Trace<T>& batch, const Update<T>& rule,
                     const FlatState<T>& state) override;
  void gradient(Index tile, const Trace<T>& batch, T* gradient,
                bool add) const override;
  Index n_panels() const override { return ceil_div(n_units_, kPanel<T>); }
  double gradient_squares(Index panel, const T* gradient,
                          const Update<T>& rule) const override;
  PenaltySums step(Index panel, const T* gradient, const Update<T>& rule,
                   const FlatState<T>& state) override;

  // Places in the flat buffer, of n_out() numbers each.
  Index gain_offset() const { return offset_; }
  Index bias_offset() const { return offset_ + n_panels() * kPanel<T>; }

  // Mean and variance of former batches (n_out() each), or null: what a prediction
  // takes and no step changes by a gradient.
  virtual T* running_mean() const { return nullptr; }
  virtual T* running_variance() const { return nullptr; }

 protected:
  // x and what is known of it by then, for the kernels.
  virtual Normalized<T> normalized(MatrixView<const T> x,
                                   const Memory<T>& memory) const = 0;
  NormForward<T> forward_block(const Normalized<T>& x, MatrixView<T> y,
                               const Memory<T>& memory) const;
  NormBackward<T> backward_block(const Trace<T>& trace, MatrixView<T> dx) const;

  // Of a panel: the sums of dz over the batch, and those of dz * n.
  virtual void sums(Index panel, const Trace<T>& batch, T* dz_sums,
                    T* dzn_sums) const = 0;

  const Kernels<T>& kernels_;
  T* parameters_;

 private:
  // A task's share: its sums take about as long as a tile of a dense layer, or less.
  static constexpr Index kTilePanels = 8;
  template <class Use>
  void for_panels(Index tile, const Use& use) const {
    const Index end = std::min(n_panels(), (tile + 1) * kTilePanels);
    for (Index panel = tile * kTilePanels; panel < end; ++panel) use(panel);
  }
  PenaltySums step_on(Index place, const T* gradient, const Update<T>& rule,
                      const FlatState<T>& state);

  Index n_units_;
  OutputActivation<T> activation_;
  Index offset_;
};

extern template class Norm<float>;
extern template class Norm<double>;

}  // namespace fastbp
