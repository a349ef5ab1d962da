// Samples and flat buffers from NumPy arrays, and long calls that Ctrl-C can end.
#pragma once

#include "bindings/bindings.h"
#include "fastbp/train/pass.h"

namespace fastbp::bindings {

// Runs work(poll) -> bool without the GIL; when it was stopped, raises what the signal
// handler raised.
template <class Work>
void unlocked_until_interrupt(const Work& work) {
  bool finished = false;
  {
    const Poll poll = keyboard_poll();
    const py::gil_scoped_release unlocked;
    finished = work(poll);
  }
  if (!finished) throw py::error_already_set();
}

// Checked views of the samples of a call, and the arrays that they look at.
template <class T>
struct SamplesHandle {
  Samples<T> samples;
  std::vector<py::array> arrays;

  SamplesHandle(const Network<T>& network, const RowsHandle& x, const py::handle& y,
                const py::object& weights, const py::object& order)
      : samples{x.rows, {}, nullptr, nullptr, x.rows.n_rows()} {
    const Index n_rows = x.rows.n_rows();
    if (network.loss() == Loss::kSoftmaxCrossEntropy) {
      samples.targets.labels = keep(expect_array<Index>(y, "y", {n_rows}));
    } else {
      const T* values = keep(expect_array<T>(y, "y", {n_rows, network.n_out()}));
      samples.targets.values = {values, n_rows, network.n_out(), network.n_out()};
    }
    if (!weights.is_none()) {
      samples.weights = keep(expect_array<double>(weights, "sample_weight", {n_rows}));
    }
    if (!order.is_none()) {
      const auto array = expect_array<Index>(order, "order", {-1});
      samples.order = keep(array);
      samples.n_rows = array.size();
    }
  }

 private:
  template <class U>
  const U* keep(const py::array_t<U>& array) {
    arrays.push_back(array);
    return array.data();
  }
};

// coefs and intercepts, lists with an array for each layer, into a flat buffer.
template <class T>
void from_arrays(const Network<T>& network, const py::sequence& coefs,
                 const py::sequence& intercepts, T* flat) {
  const auto n_layers = static_cast<std::size_t>(network.n_layers());
  if (coefs.size() != n_layers || intercepts.size() != n_layers) {
    throw py::value_error("expected " + std::to_string(n_layers) +
                          " coefs and intercepts, got " + std::to_string(coefs.size()) +
                          " and " + std::to_string(intercepts.size()));
  }
  std::vector<py::array_t<T>> checked;  // all, before anything is written
  for (std::size_t l = 0; l < n_layers; ++l) {
    const Dense<T>& layer = network.layer(static_cast<Index>(l));
    const std::string index = "[" + std::to_string(l) + "]";
    checked.push_back(
        expect_array<T>(coefs[l], "coefs" + index, {layer.n_in(), layer.n_out()}));
    checked.push_back(
        expect_array<T>(intercepts[l], "intercepts" + index, {layer.n_out()}));
  }
  for (std::size_t l = 0; l < n_layers; ++l) {
    network.layer(static_cast<Index>(l))
        .pack(checked[2 * l].data(), checked[2 * l + 1].data(), flat);
  }
}

// A flat buffer as new arrays: coefs and intercepts.
template <class T>
std::pair<py::list, py::list> to_arrays(const Network<T>& network, const T* flat) {
  py::list coefs, intercepts;
  for (Index l = 0; l < network.n_layers(); ++l) {
    const Dense<T>& layer = network.layer(l);
    py::array_t<T> coef({layer.n_in(), layer.n_out()});
    py::array_t<T> intercept(layer.n_out());
    layer.unpack(flat, coef.mutable_data(), intercept.mutable_data());
    coefs.append(coef);
    intercepts.append(intercept);
  }
  return {coefs, intercepts};
}

}  // namespace fastbp::bindings
