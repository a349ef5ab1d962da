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

// coefs and intercepts, lists with an array for each layer.
template <class T>
struct DenseArrays {
  std::vector<py::array_t<T>> weights, biases;
};

template <class T>
DenseArrays<T> dense_arrays(const Network<T>& network, const py::sequence& coefs,
                            const py::sequence& intercepts) {
  const auto n_layers = static_cast<std::size_t>(network.n_dense());
  if (coefs.size() != n_layers || intercepts.size() != n_layers) {
    throw py::value_error("expected " + std::to_string(n_layers) +
                          " coefs and intercepts, got " + std::to_string(coefs.size()) +
                          " and " + std::to_string(intercepts.size()));
  }
  DenseArrays<T> arrays;
  for (std::size_t l = 0; l < n_layers; ++l) {
    const Dense<T>& layer = network.dense(static_cast<Index>(l));
    const std::string index = "[" + std::to_string(l) + "]";
    arrays.weights.push_back(
        expect_array<T>(coefs[l], "coefs" + index, {layer.n_in(), layer.n_out()}));
    arrays.biases.push_back(
        expect_array<T>(intercepts[l], "intercepts" + index, {layer.n_out()}));
  }
  return arrays;
}

// coefs, intercepts and norms into a flat buffer; with the running averages, also into
// these. All is checked before anything is written, and Ctrl-C waits: there is no half
// of it. Returns whether the numbers were others.
template <class T>
bool from_arrays(const Network<T>& network, const py::sequence& coefs,
                 const py::sequence& intercepts, const py::sequence& norms, T* flat,
                 bool with_running, int n_threads) {
  const auto placed = placed_norms(network, norms, flat, with_running);
  const auto [weights, biases] = dense_arrays(network, coefs, intercepts);
  std::vector<const T*> coef_data;
  for (const auto& array : weights) coef_data.push_back(array.data());
  std::atomic<bool> were_others{false};
  {
    const Unlocked unlocked;
    for_weight_rows(network, n_threads, {}, [&](Index l, Index first, Index n) {
      const T* coef = coef_data[static_cast<std::size_t>(l)];
      if (network.dense(l).pack_rows(first, n, coef, flat)) were_others = true;
    });
  }
  bool others = were_others;
  for (Index l = 0; l < network.n_dense(); ++l) {
    const auto& bias = biases[static_cast<std::size_t>(l)];
    T* to = flat + network.dense(l).bias_offset();
    others = replace(bias.data(), bias.size(), to, others);
  }
  for (const auto& [array, to] : placed) {
    others = replace(array.data(), array.size(), to, others);
  }
  return others;
}

// Arrays, coefs and intercepts and what norms have, that flat buffers can be copied to:
// new ones, with the running averages also for these, or such as are there.
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

  ParameterArrays(Network<T>& network, const py::sequence& its_coefs,
                  const py::sequence& its_intercepts, const py::sequence& its_norms)
      : coefs(its_coefs),
        intercepts(its_intercepts),
        norms(its_norms),
        with_running(false) {
    T* flat = network.parameters().data();  // not where they go; fill() asks for that
    for (auto& [array, _] : placed_norms(network, its_norms, flat, false)) {
      of_norms.push_back(array.mutable_data());
    }
    auto dense = dense_arrays(network, its_coefs, its_intercepts);
    for (auto& array : dense.weights) weights.push_back(array.mutable_data());
    for (auto& array : dense.biases) biases.push_back(array.mutable_data());
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
