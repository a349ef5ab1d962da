// Flat buffers of parameters, or of gradients and moments, from NumPy arrays and as
// such: coefs and intercepts of the dense layers, and a dict for each norm.
#pragma once

#include <atomic>

#include "bindings/unlocked.h"

namespace fastbp::bindings {

// Calls use(layer, first, n) for rows first .. first + n of each layer's weights, a
// task for each. False if poll stopped it.
template <class T, class Use>
bool for_weight_rows(const Network<T>& network, int n_threads, const Poll& poll,
                     const Use& use) {
  constexpr Index kTaskSize = 1 << 18;
  struct Task {
    Index layer, first, n;
  };
  std::vector<Task> tasks;
  for (Index l = 0; l < network.n_dense(); ++l) {
    const Index n_in = network.dense(l).n_in();
    const Index height = std::max<Index>(1, kTaskSize / network.dense(l).n_out());
    for (Index first = 0; first < n_in; first += height) {
      tasks.push_back({l, first, std::min(height, n_in - first)});
    }
  }
  if (network.parameters().size() <= kTaskSize) n_threads = 1;
  return run_tasks(static_cast<Index>(tasks.size()), n_threads, poll, [&](Index i) {
    const Task& task = tasks[static_cast<std::size_t>(i)];
    use(task.layer, task.first, task.n);
  });
}

// Calls use(name in Python, array of n_out() numbers) for what a norm has in a flat
// buffer, and then, if asked for, for what it has of former batches.
template <class T, class U, class Use>
void for_norm_arrays(const Norm<T>& norm, U* flat, bool with_running, const Use& use) {
  use("gain", flat + norm.gain_offset());
  use("bias", flat + norm.bias_offset());
  if (!with_running || norm.running_mean() == nullptr) return;
  use("mean", norm.running_mean());
  use("variance", norm.running_variance());
}

// Arrays that have been checked, each with its place in flat buffers.
template <class T>
using Placed = std::vector<std::pair<py::array_t<T>, T*>>;

// norms, a list with a dict for each, for a flat buffer and the running averages.
template <class T>
Placed<T> placed_norms(const Network<T>& network, const py::sequence& norms, T* flat,
                       bool with_running) {
  if (static_cast<Index>(norms.size()) != network.n_norms()) {
    throw py::value_error("expected " + std::to_string(network.n_norms()) +
                          " norms, got " + std::to_string(norms.size()));
  }
  Placed<T> placed;
  for (Index i = 0; i < network.n_norms(); ++i) {
    const std::string at = "norms[" + std::to_string(i) + "]";
    const py::object norm = norms[static_cast<std::size_t>(i)];
    if (!py::isinstance<py::dict>(norm)) {
      throw py::type_error(at + " must be a dict, got " + describe(norm));
    }
    for_norm_arrays(network.norm(i), flat, with_running, [&](const char* name, T* to) {
      if (!norm.contains(name)) throw py::value_error(at + " has no '" + name + "'");
      placed.emplace_back(expect_array<T>(norm[name], at + "['" + name + "']",
                                          {network.norm(i).n_out()}),
                          to);
    });
  }
  return placed;
}

// coefs, intercepts and norms that have been checked, to be copied to a flat buffer,
// with the running averages also to these, or from it.
template <class T>
class GivenArrays {
 public:
  GivenArrays(const Network<T>& network, const py::sequence& coefs,
              const py::sequence& intercepts, const py::sequence& norms, T* flat,
              bool with_running)
      : network_(network),
        flat_(flat),
        norms_(placed_norms(network, norms, flat, with_running)) {
    const auto n_layers = static_cast<std::size_t>(network.n_dense());
    if (coefs.size() != n_layers || intercepts.size() != n_layers) {
      throw py::value_error(
          "expected " + std::to_string(n_layers) + " coefs and intercepts, got " +
          std::to_string(coefs.size()) + " and " + std::to_string(intercepts.size()));
    }
    for (std::size_t l = 0; l < n_layers; ++l) {
      const Dense<T>& layer = network.dense(static_cast<Index>(l));
      const std::string index = "[" + std::to_string(l) + "]";
      weights_.push_back(
          expect_array<T>(coefs[l], "coefs" + index, {layer.n_in(), layer.n_out()}));
      biases_.emplace_back(
          expect_array<T>(intercepts[l], "intercepts" + index, {layer.n_out()}),
          flat + layer.bias_offset());
    }
  }

  // Without the GIL. Returns whether the numbers were others, or may have been: if poll
  // stopped it.
  bool copy_in(int n_threads, const Poll& poll, bool* finished) const {
    std::atomic<bool> were_others{false};
    *finished =
        for_weight_rows(network_, n_threads, poll, [&](Index l, Index first, Index n) {
          const T* coef = weights_[static_cast<std::size_t>(l)].data();
          if (network_.dense(l).pack_rows(first, n, coef, flat_)) were_others = true;
        });
    bool others = were_others || !*finished;
    for (const auto* small : {&biases_, &norms_}) {
      for (const auto& [array, to] : *small) {
        others = replace(array.data(), array.size(), to, others);
      }
    }
    return others;
  }

  // Throws if one of them is read-only.
  void check_writable() const {
    const auto check = [](const py::array& array) {
      if (array.writeable()) return;
      throw py::value_error("gradients must be writable, got a read-only " +
                            describe(array));
    };
    for (const auto& array : weights_) check(array);
    for (const auto* small : {&biases_, &norms_}) {
      for (const auto& [array, _] : *small) check(array);
    }
  }

  // Without the GIL. Nothing stops it: there are no halves.
  void copy_out(int n_threads) {
    for_weight_rows(network_, n_threads, {}, [&](Index l, Index first, Index n) {
      T* coef = weights_[static_cast<std::size_t>(l)].mutable_data();
      network_.dense(l).unpack_rows(first, n, flat_, coef);
    });
    for (auto* small : {&biases_, &norms_}) {
      for (auto& [array, from] : *small) {
        std::copy_n(from, array.size(), array.mutable_data());
      }
    }
  }

 private:
  const Network<T>& network_;
  T* flat_;
  std::vector<py::array_t<T>> weights_;
  Placed<T> biases_, norms_;
};

// New arrays, coefs and intercepts and what norms have, that flat buffers can be copied
// to; with the running averages also these.
template <class T>
struct ParameterArrays {
  py::list coefs, intercepts, norms;
  std::vector<T*> weights, biases, of_norms;
  bool with_running;

  explicit ParameterArrays(const Network<T>& network, bool has_running = false)
      : with_running(has_running) {
    for (Index i = 0; i < network.n_norms(); ++i) {
      py::dict norm;
      for_norm_arrays(network.norm(i), network.parameters().data(), with_running,
                      [&](const char* name, const T*) {
                        py::array_t<T> array(network.norm(i).n_out());
                        of_norms.push_back(array.mutable_data());
                        norm[name] = array;
                      });
      norms.append(norm);
    }
    for (Index l = 0; l < network.n_dense(); ++l) {
      const Dense<T>& layer = network.dense(l);
      py::array_t<T> coef({layer.n_in(), layer.n_out()});
      py::array_t<T> intercept(layer.n_out());
      weights.push_back(coef.mutable_data());
      biases.push_back(intercept.mutable_data());
      coefs.append(coef);
      intercepts.append(intercept);
    }
  }

  // Without the GIL; false if poll stopped it.
  bool fill(const Network<T>& network, const T* flat, int n_threads, const Poll& poll) {
    for (Index l = 0; l < network.n_dense(); ++l) {
      const Dense<T>& layer = network.dense(l);
      std::copy_n(flat + layer.bias_offset(), layer.n_out(),
                  biases[static_cast<std::size_t>(l)]);
    }
    auto to = of_norms.begin();
    for (Index i = 0; i < network.n_norms(); ++i) {
      for_norm_arrays(network.norm(i), flat, with_running,
                      [&](const char*, const T* from) {
                        std::copy_n(from, network.norm(i).n_out(), *to++);
                      });
    }
    return for_weight_rows(network, n_threads, poll,
                           [&](Index l, Index first, Index n) {
                             network.dense(l).unpack_rows(
                                 first, n, flat, weights[static_cast<std::size_t>(l)]);
                           });
  }

  // (coefs, intercepts), and norms if there are any.
  py::tuple as_tuple() const {
    if (norms.empty()) return py::make_tuple(coefs, intercepts);
    return py::make_tuple(coefs, intercepts, norms);
  }

  // One list: coefs, intercepts, gain and bias of each norm.
  py::list as_list() const {
    py::list all = coefs + intercepts;
    for (const auto& norm : norms) {
      all.append(norm["gain"]);
      all.append(norm["bias"]);
    }
    return all;
  }
};

// A flat buffer as new arrays.
template <class T>
ParameterArrays<T> to_arrays(const Network<T>& network, const T* flat, int n_threads,
                             bool with_running = false) {
  ParameterArrays<T> arrays(network, with_running);
  unlocked_until_interrupt(
      [&](const Poll& poll) { return arrays.fill(network, flat, n_threads, poll); });
  return arrays;
}

}  // namespace fastbp::bindings
