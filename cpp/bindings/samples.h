// Samples: the rows, targets, weights and order of a call from NumPy arrays, and a loss
// that Python computes.
#pragma once

#include "bindings/unlocked.h"
#include "fastbp/train/pass.h"

namespace fastbp::bindings {

// function(y, p) -> (losses, gradient), arrays of the network's type, as a loss of the
// core. It gets copies; an exception stays set and ends the pass. The core may copy
// what this returns without the GIL: it does not own the function.
template <class T>
OuterLoss<T> outer_loss_of(const py::handle& function) {
  if (function.is_none()) return {};
  return [function](MatrixView<const T> y, MatrixView<T> p, T* losses) {
    const Locked gil;
    try {
      const auto copy = [](MatrixView<const T> m) {
        py::array_t<T> array({m.rows, m.cols});
        for (Index i = 0; i < m.rows; ++i) {
          std::copy_n(m.row(i), m.cols, array.mutable_data(i, 0));
        }
        return array;
      };
      const auto its_y = copy(y), its_p = copy(p);
      PyObject* made = or_sleep_at_exit([&] {
        return PyObject_CallFunctionObjArgs(function.ptr(), its_y.ptr(), its_p.ptr(),
                                            nullptr);
      });
      if (made == nullptr) return false;
      const py::tuple result = py::reinterpret_steal<py::object>(made);
      const auto values = expect_array<T>(result[0], "losses", {p.rows});
      const auto gradient = expect_array<T>(result[1], "gradient", {p.rows, p.cols});
      std::copy_n(values.data(), p.rows, losses);
      for (Index i = 0; i < p.rows; ++i) {
        std::copy_n(gradient.data(i, 0), p.cols, p.row(i));
      }
      return true;
    } catch (py::error_already_set& error) {
      error.restore();
    } catch (const py::builtin_exception& error) {
      error.set_error();
    }
    return false;
  };
}

// y of n_rows as a loss takes it, a view of an array that `arrays` holds then: with
// softmax outputs labels, or unless the loss reads nothing else, also numbers.
template <class T>
Targets<T> targets_of(const LossSettings& loss, Index n_rows, Index n_out,
                      const py::handle& y, std::vector<py::array>* arrays) {
  Targets<T> targets;
  const bool are_labels =
      loss.output == Output::kSoftmax && py::isinstance<py::array_t<Index>>(y);
  if (loss.reads_labels() || are_labels) {
    const auto labels = expect_array<Index>(y, "y", {n_rows});
    targets.labels = labels.data();
    arrays->push_back(labels);
  } else {
    const auto values = expect_array<T>(y, "y", {n_rows, n_out});
    targets.values = {values.data(), n_rows, n_out, n_out};
    arrays->push_back(values);
  }
  return targets;
}

// Checked views of the samples of a call, and the arrays that they look at.
template <class T>
struct SamplesHandle {
  Samples<T> samples;
  std::vector<py::array> arrays;

  SamplesHandle(const Network<T>& network, const RowsHandle& x, const py::handle& y,
                const py::object& weights, const py::object& order,
                const py::object& outer_loss)
      : samples{x.rows, {}, nullptr, nullptr, x.rows.n_rows()} {
    samples.targets =
        targets_of<T>(network.loss(), x.rows.n_rows(), network.n_out(), y, &arrays);
    if (!weights.is_none()) set_weights(network, weights);
    if (!order.is_none()) {
      const auto array = expect_array<Index>(order, "order", {-1});
      samples.order = keep(array);
      samples.n_rows = array.size();
    }
    samples.outer_loss = outer_loss_of<T>(outer_loss);
    if (samples.outer_loss && network.loss().kind != Loss::kLinear) {
      throw py::value_error("outer_loss needs a network with the loss linear");
    }
    if (samples.outer_loss && samples.targets.weighs_entries()) {
      throw py::value_error("outer_loss needs a sample_weight of one for each row");
    }
  }

 private:
  // One for each row, or for each entry of y.
  void set_weights(const Network<T>& network, const py::object& weights) {
    const Index n_rows = samples.x.n_rows(), n_out = network.n_out();
    const bool are_of_entries = py::isinstance<py::array>(weights) &&
                                py::reinterpret_borrow<py::array>(weights).ndim() == 2;
    if (!are_of_entries) {
      samples.weights = keep(expect_array<double>(weights, "sample_weight", {n_rows}));
      return;
    }
    if (network.loss().output == Output::kSoftmax) {
      throw py::value_error(
          "sample_weight of each output needs outputs that do not "
          "depend on each other, not a softmax");
    }
    const double* entries =
        keep(expect_array<double>(weights, "sample_weight", {n_rows, n_out}));
    samples.targets.entry_weights = {entries, n_rows, n_out, n_out};
  }

  template <class U>
  const U* keep(const py::array_t<U>& array) {
    arrays.push_back(array);
    return array.data();
  }
};

}  // namespace fastbp::bindings
