// Forward and backward pass of a block of rows: backpropagation (lecture 004, BP1 and
// BP2).
#include "fastbp/train/batch.h"

#include <algorithm>
#include <stdexcept>

namespace fastbp {
namespace {

// Looks at another matrix.
template <class T>
Matrix<T> alias(const Matrix<T>& other) {
  Matrix<T> matrix;
  matrix.view = other.view;
  return matrix;
}

}  // namespace

template <class T>
void check_labels(const Network<T>& network, const Targets<T>& targets, Index n) {
  for (Index i = 0; i < n && targets.labels != nullptr; ++i) {
    const Index label = targets.labels[i];
    if (label < 0 || label >= network.n_out()) {
      throw std::invalid_argument(
          "y[" + std::to_string(i) + "] = " + std::to_string(label) +
          " is not a class index in [0, " + std::to_string(network.n_out()) + ")");
    }
  }
}

template <class T>
Batch<T>::Batch(const Network<T>& network, Index n_rows, Index n_entries,
                BatchUse its_use)
    : is_sparse_(n_entries != kDense) {
  if (is_sparse_) {
    entries_ = Buffer<Entry<T>>(n_entries);
    first_entry_ = Buffer<Index>(n_rows);
    last_entry_ = Buffer<Index>(n_rows);
  } else {
    x_ = Matrix<T>(n_rows, network.n_in());
  }
  for (Index l = 0; l < network.n_layers(); ++l) {
    const Layer<T>& layer = network.layer(l);
    // What only training does, it does in place where it can.
    const bool in_place = layer.is_only_for_training();
    const bool is_read_below =
        in_place && !needs_only_sign(network.layer(l - 1).output_activation().kind);
    const bool has_output = !in_place || its_use == BatchUse::kTape ||
                            (its_use == BatchUse::kTraining && is_read_below);
    outputs_.push_back(has_output ? Matrix<T>(n_rows, layer.n_out())
                                  : alias(outputs_.back()));
    if (its_use == BatchUse::kPrediction) continue;
    row_memories_.emplace_back(layer.n_memory() > 0 ? n_rows : 0, layer.n_memory());
    column_memories_.emplace_back(layer.n_column_memory(), layer.n_out());
    gradients_.push_back(in_place ? alias(gradients_.back())
                                  : Matrix<T>(n_rows, layer.n_out()));
  }
  if (its_use == BatchUse::kPrediction) return;
  weights_ = Buffer<T>(n_rows);
  // A tape may have any loss.
  const bool is_tape = its_use == BatchUse::kTape;
  const bool reads_labels = network.loss().reads_labels();
  if (is_tape || reads_labels) labels_ = Buffer<Index>(n_rows);
  if (is_tape || !reads_labels) values_ = Matrix<T>(n_rows, network.n_out());
}

template <class T>
void Batch<T>::gather(const Rows& x, Index row, Index i, Index start) {
  if (is_sparse_) {
    first_entry_[i] = start;
    last_entry_[i] = start + x.count(row);
    x.gather(row, entries_.data() + start);
  } else {
    x.gather(row, x_.view.row(i));
  }
}

template <class T>
void Batch<T>::reserve_entry_weights() {
  entry_weights_ = Matrix<T>(values_.view.rows, values_.view.cols);
  mean_weights_ = Buffer<T>(values_.view.rows);
}

template <class T>
void Batch<T>::reserve_predictions() {
  predictions_ = Matrix<T>(values_.view.rows, values_.view.cols);
}

template <class T>
void Batch<T>::gather_target(const LossSettings& loss, const Targets<T>& targets,
                             Index row, Index i) {
  if (loss.reads_labels()) {
    labels_[i] = targets.labels[row];
  } else if (targets.labels == nullptr && loss.label_smoothing == 0) {
    // A loop: there are often few numbers, and a call for each row takes longer.
    const T* from = targets.values.row(row);
    T* to = values_.view.row(i);
    for (Index j = 0; j < values_.view.cols; ++j) to[j] = from[j];
  } else {
    gather_values(loss, targets, row, i);
  }
}

template <class T>
void Batch<T>::gather_weight(const Targets<T>& targets, const double* weights,
                             Index row, Index i) {
  const double weight = weights != nullptr ? weights[row] : 1;
  weights_[i] = static_cast<T>(weight);
  if (!targets.weighs_entries()) return;
  const double* from = targets.entry_weights.row(row);
  T* to = entry_weights_.view.row(i);
  for (Index j = 0; j < entry_weights_.view.cols; ++j) to[j] = static_cast<T>(from[j]);
  mean_weights_[i] = static_cast<T>(weight * targets.mean_weight(row));
}

template <class T>
void Batch<T>::gather_values(const LossSettings& loss, const Targets<T>& targets,
                             Index row, Index i) {
  const Index n = values_.view.cols;
  T* y = values_.view.row(i);
  if (targets.labels != nullptr) {
    std::fill_n(y, n, T{0});
    y[targets.labels[row]] = 1;
  } else {
    std::copy_n(targets.values.row(row), n, y);
  }
  if (loss.label_smoothing == 0) return;
  const T kept = static_cast<T>(1 - loss.label_smoothing);
  const T shared =
      static_cast<T>(loss.label_smoothing / static_cast<double>(loss.n_classes(n)));
  for (Index j = 0; j < n; ++j) y[j] = kept * y[j] + shared;
}

template <class T>
Input<T> Batch<T>::input(Index layer, Index first, Index n) const {
  if (layer > 0) return {output(layer - 1, first, n)};
  if (is_sparse_)
    return {{},
            {entries_.data(), first_entry_.data() + first, last_entry_.data() + first}};
  return {x_.view.block(first, n)};
}

template <class T>
Below<T> Batch<T>::below(const Network<T>& network, Index layer, Index first,
                         Index n) const {
  const OutputActivation<T> activation = network.layer(layer).output_activation();
  if (!activation.stores_derivative()) return {activation, output(layer, first, n)};
  const auto& stored = row_memories_[static_cast<std::size_t>(layer)].view;
  return {activation, stored.block(first, n)};
}

template <class T>
void Batch<T>::drop_inputs(const Network<T>& network, const StepFacts& step,
                           Index first, Index n) {
  const DropoutLayer<T>* layer = network.input_dropout();
  if (layer == nullptr || !step.is_training) return;
  Memory<T> memory;
  memory.step = &step;
  memory.first_row = first;
  if (is_sparse_) {
    layer->drop_entries(entries_.data(), first_entry_.data() + first,
                        last_entry_.data() + first, n, memory);
    return;
  }
  const MatrixView<T> x = x_.view.block(first, n);
  layer->forward({x}, x, memory);
}

template <class T>
void Batch<T>::forward(const Network<T>& network, const StepFacts& step, Index layer,
                       Index first, Index n) {
  network.layer(layer).forward(input(layer, first, n), output(layer, first, n),
                               memory(step, layer, first, n));
}

template <class T>
void Batch<T>::predict(const Network<T>& network, Index layer, Index n) {
  if (network.layer(layer).is_only_for_training()) return;
  network.layer(layer).forward(input(layer, 0, n), output(layer, 0, n), {});
}

template <class T>
void Batch<T>::loss(const Network<T>& network, const LossOf<T>& loss,
                    const T* row_weights, Index first, Index n, T* losses) {
  const Index last = network.n_layers() - 1;
  const auto z = output(last, first, n);
  const auto dz = gradient(last, first, n);
  const MatrixView<T>& y =
      predictions_.view.data != nullptr ? predictions_.view : values_.view;
  LossBlock<T> block{n,
                     network.n_out(),
                     z.data,
                     z.stride,
                     loss.reads_labels() ? labels_.data() + first : nullptr,
                     loss.reads_labels() ? nullptr : y.row(first),
                     y.stride,
                     row_weights,
                     dz.data,
                     dz.stride,
                     losses + first,
                     loss.level_panels.data()};
  if (entry_weights_.view.data != nullptr) {
    block.entry_weights = entry_weights_.view.row(first);
    block.entry_weights_stride = entry_weights_.view.stride;
  }
  network.kernels().loss(loss, block);
  chain(network.kernels(), below(network, last, first, n), dz);
}

template <class T>
void Batch<T>::make_predictions(const Network<T>& network, Index first, Index n) {
  const auto z = output(network.n_layers() - 1, first, n);
  const auto p = predictions_.view.block(first, n);
  for (Index i = 0; i < n; ++i) std::copy_n(z.row(i), z.cols, p.row(i));
  network.kernels().output(network.loss().output,
                           {n, z.cols, p.data, p.stride, p.data, p.stride});
}

template <class T>
void Batch<T>::backward(const Network<T>& network, const StepFacts& step, Index layer,
                        Index first, Index n) {
  network.layer(layer).backward(trace(step, layer, first, n),
                                below(network, layer - 1, first, n),
                                gradient(layer - 1, first, n));
}

template <class T>
void Batch<T>::inputs_backward(const Network<T>& network, const StepFacts& step,
                               Index first, Index n, MatrixView<T> dx) const {
  // Below the first layer is no activation: of the inputs nothing is read.
  Trace<T> batch = trace(step, 0, first, n);
  network.layer(0).backward(batch, {{}, dx}, dx);
  if (network.input_dropout() == nullptr) return;
  batch.dz = dx;
  network.input_dropout()->backward(batch, {{}, dx}, dx);
}

template void check_labels(const Network<float>&, const Targets<float>&, Index);
template void check_labels(const Network<double>&, const Targets<double>&, Index);
template class Batch<float>;
template class Batch<double>;

}  // namespace fastbp
