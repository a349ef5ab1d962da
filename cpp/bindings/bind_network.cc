// Network: parameters in and out, prediction, loss and gradients.
#include "bindings/parameter_arrays.h"
#include "bindings/samples.h"
#include "fastbp/kernels/dispatch.h"
#include "fastbp/train/full_batch.h"
#include "fastbp/train/predict.h"
#include "fastbp/train/predict_few.h"

namespace fastbp::bindings {
namespace {

Activation activation_of(const std::string& name) {
  return choose<Activation>(name, "activation",
                            {{"identity", Activation::kIdentity},
                             {"logistic", Activation::kLogistic},
                             {"tanh", Activation::kTanh},
                             {"relu", Activation::kRelu},
                             {"leaky_relu", Activation::kLeakyRelu},
                             {"elu", Activation::kElu},
                             {"selu", Activation::kSelu},
                             {"hard_tanh", Activation::kHardTanh},
                             {"gelu", Activation::kGelu},
                             {"silu", Activation::kSilu},
                             {"mish", Activation::kMish},
                             {"softplus", Activation::kSoftplus},
                             {"sign", Activation::kSign},
                             {"step", Activation::kStep}});
}

// An activation by its name, with a slope of its own if need be.
using Name = std::variant<std::string, std::pair<std::string, double>>;
using Names = std::variant<Name, std::vector<Name>>;

void check_slope(double negative_slope) {
  if (negative_slope >= 0 && negative_slope < 1) return;
  throw py::value_error("negative_slope must be in [0, 1), got " +
                        std::to_string(negative_slope));
}

OutputActivation<double> activation_of(const Name& name, double negative_slope) {
  if (const auto* alone = std::get_if<std::string>(&name)) {
    return {activation_of(*alone), negative_slope};
  }
  const auto& [with_slope, slope] = std::get<std::pair<std::string, double>>(name);
  check_slope(slope);
  return {activation_of(with_slope), slope};
}

// One activation stands for all hidden layers.
std::vector<OutputActivation<double>> activations_of(const Names& names,
                                                     std::size_t n_hidden,
                                                     double negative_slope) {
  check_slope(negative_slope);
  if (const auto* name = std::get_if<Name>(&names)) {
    return std::vector(n_hidden, activation_of(*name, negative_slope));
  }
  std::vector<OutputActivation<double>> activations;
  for (const Name& name : std::get<std::vector<Name>>(names)) {
    activations.push_back(activation_of(name, negative_slope));
  }
  return activations;
}

template <class T>
OutputActivation<T> as(const OutputActivation<double>& activation) {
  return {activation.kind, static_cast<T>(activation.slope)};
}

LayerSpec dense_spec(Index n_out, const std::string& activation, double negative_slope,
                     bool trains_weights, bool trains_biases) {
  check_slope(negative_slope);
  LayerSpec spec{LayerSpec::Kind::kDense, n_out, activation_of(activation),
                 negative_slope};
  spec.trains_weights = trains_weights;
  spec.trains_biases = trains_biases;
  return spec;
}

template <LayerSpec::Kind kKind>
LayerSpec norm_spec(const std::string& activation, double negative_slope) {
  check_slope(negative_slope);
  return {kKind, 0, activation_of(activation), negative_slope};
}

LayerSpec dropout_spec(double rate) {
  LayerSpec spec;
  spec.kind = LayerSpec::Kind::kDropout;
  spec.rate = rate;
  return spec;
}

std::unique_ptr<NetworkHandle> make_network(const std::vector<LayerSpec>& layers,
                                            const LossOrName& loss,
                                            const std::string& dtype, Index n_in,
                                            const std::string& isa,
                                            const BlasHandle* blas) {
  const KernelTable& table = kernel_table(isa);
  const bool is_float32 =
      choose<bool>(dtype, "dtype", {{"float32", true}, {"float64", false}});
  auto handle = std::make_unique<NetworkHandle>();
  if (is_float32) {
    handle->network = std::make_unique<Network<float>>(
        table, n_in, layers, loss_settings(loss),
        blas != nullptr ? blas->float32 : Blas<float>());
  } else {
    handle->network = std::make_unique<Network<double>>(
        table, n_in, layers, loss_settings(loss),
        blas != nullptr ? blas->float64 : Blas<double>());
  }
  return handle;
}

// Short for dense layers only: n_units are the inputs, then the units of each layer.
std::unique_ptr<NetworkHandle> make_dense_network(
    const std::vector<Index>& n_units, const Names& activation, const LossOrName& loss,
    const std::string& dtype, double negative_slope, const std::string& isa,
    const BlasHandle* blas) {
  if (n_units.size() < 2) {
    throw py::value_error("n_units needs the inputs and at least one layer, got " +
                          std::to_string(n_units.size()) + " numbers");
  }
  auto activations = activations_of(activation, n_units.size() - 2, negative_slope);
  if (activations.size() + 2 != n_units.size()) {
    throw py::value_error("expected " + std::to_string(n_units.size() - 2) +
                          " activations (one for each hidden layer), got " +
                          std::to_string(activations.size()));
  }
  activations.emplace_back();
  std::vector<LayerSpec> layers;
  for (std::size_t i = 1; i < n_units.size(); ++i) {
    layers.push_back({LayerSpec::Kind::kDense, n_units[i], activations[i - 1].kind,
                      activations[i - 1].slope});
  }
  return make_network(layers, loss, dtype, n_units[0], isa, blas);
}

// Whether they were others.
template <class T>
bool set_parameters(Network<T>& network, const py::sequence& coefs,
                    const py::sequence& intercepts, const py::sequence& norms,
                    int n_threads) {
  const GivenArrays<T> arrays(network, coefs, intercepts, norms,
                              network.parameters().data(), true);
  bool were_others = false;
  unlocked_until_interrupt([&](const Poll& poll) {
    bool finished = false;
    were_others =
        network.change([&] { return arrays.copy_in(n_threads, poll, &finished); });
    return finished;
  });
  return were_others;
}

template <class T>
py::array_t<T> predict_array(const Network<T>& network, const Rows& x, Predicted what,
                             int n_threads) {
  py::array_t<T> out({x.n_rows(), n_predicted(network, what)});
  T* data = out.mutable_data();
  unlocked_until_interrupt([&](const Poll& poll) {
    return predict(network, x, what, data, n_threads, poll);
  });
  return out;
}

template <class T>
py::array predict_few_array(const py::sequence& coefs, const py::sequence& intercepts,
                            const Rows& x,
                            const std::vector<OutputActivation<double>>& hidden,
                            Output output) {
  if (coefs.size() == 0 || coefs.size() != intercepts.size()) {
    throw py::value_error("expected as many coefs as intercepts, got " +
                          std::to_string(coefs.size()) + " and " +
                          std::to_string(intercepts.size()));
  }
  if (hidden.size() + 1 != coefs.size()) {
    throw py::value_error("expected " + std::to_string(coefs.size() - 1) +
                          " activations (one for each hidden layer), got " +
                          std::to_string(hidden.size()));
  }
  std::vector<py::array_t<T>> arrays;
  std::vector<PlainLayer<T>> layers;
  Index n_in = x.n_cols();
  for (std::size_t l = 0; l < coefs.size(); ++l) {
    const std::string index = "[" + std::to_string(l) + "]";
    const auto coef = expect_array<T>(coefs[l], "coefs" + index, {n_in, -1});
    const Index n_out = coef.shape(1);
    if (n_out == 0) throw py::value_error("coefs" + index + " has no outputs");
    const auto intercept =
        expect_array<T>(intercepts[l], "intercepts" + index, {n_out});
    OutputActivation<T> activation;
    if (l < hidden.size()) activation = as<T>(hidden[l]);
    layers.push_back({n_in, n_out, coef.data(), intercept.data(), activation});
    arrays.insert(arrays.end(), {coef, intercept});
    n_in = n_out;
  }
  py::array_t<T> out({x.n_rows(), n_in});
  predict_few(kernels<T>(kernel_table()), layers, output, x, out.mutable_data());
  return out;
}

// Value and derivative of an activation at x, by the kernels that follow a product.
template <class T>
py::tuple activate(Activation kind, T negative_slope, const py::array& array,
                   const Kernels<T>& kernels) {
  const auto x = expect_array<T>(array.attr("ravel")(), "x", {-1});
  const Index n = x.size(), n_panels = ceil_div(n, kPanel<T>);
  Matrix<T> y(1, n), stored(1, n), bias(1, n), ones(1, n);
  std::copy_n(x.data(), n, y.view.data);
  std::fill_n(bias.view.data, n, T{-0.0});  // leaves even the sign of zero as it is
  std::fill_n(ones.view.data, n, T{1});
  Forward<T> f{1,
               0,
               n_panels,
               nullptr,
               0,
               nullptr,
               bias.view.data,
               kind,
               negative_slope,
               y.view.data,
               y.view.stride};
  f.derivative = stored.view.data;
  f.derivative_stride = stored.view.stride;
  kernels.activate(f);
  const MatrixView<T> by = stores_derivative(kind) ? stored.view : y.view;
  chain<T>(kernels, {{kind, negative_slope}, by}, ones.view);
  const py::object shape = array.attr("shape");
  return py::make_tuple(py::array_t<T>(n, y.view.data).attr("reshape")(shape),
                        py::array_t<T>(n, ones.view.data).attr("reshape")(shape));
}

py::tuple activate_array(const std::string& activation, const py::array& x,
                         double negative_slope, const std::string& isa) {
  const Activation kind = activation_of(activation);
  const KernelTable& table = kernel_table(isa);
  if (py::isinstance<py::array_t<float>>(x)) {
    return activate(kind, static_cast<float>(negative_slope), x, table.float32);
  }
  return activate(kind, negative_slope, x, table.float64);
}

template <class T>
py::tuple loss_and_gradients(Network<T>& network, const RowsHandle& x,
                             const py::handle& y, const py::object& weights,
                             double alpha, std::uint64_t seed, int n_threads,
                             const py::object& outer_loss) {
  const SamplesHandle<T> handle(network, x, y, weights, py::none(), outer_loss);
  Buffer<T> gradient(network.parameters().size());
  double loss = 0;
  unlocked_until_interrupt([&](const Poll& poll) {
    bool finished = false;
    loss = loss_and_gradient(network, handle.samples, alpha, gradient.data(), n_threads,
                             poll, &finished, seed);
    return finished;
  });
  const auto arrays = to_arrays(network, gradient.data(), n_threads);
  return py::make_tuple(loss) + arrays.as_tuple();
}

}  // namespace

void bind_network(py::module_& m) {
  py::class_<LayerSpec>(m, "Layer", py::is_final())
      .def_static("dense", &dense_spec, py::arg("n_out"),
                  py::arg("activation") = "identity", py::kw_only(),
                  py::arg("negative_slope") = 0.01, py::arg("trains_weights") = true,
                  py::arg("trains_biases") = true)
      .def_static("layer_norm", &norm_spec<LayerSpec::Kind::kLayerNorm>,
                  py::arg("activation") = "identity", py::kw_only(),
                  py::arg("negative_slope") = 0.01)
      .def_static("batch_norm", &norm_spec<LayerSpec::Kind::kBatchNorm>,
                  py::arg("activation") = "identity", py::kw_only(),
                  py::arg("negative_slope") = 0.01)
      .def_static("dropout", &dropout_spec, py::arg("rate"));
  py::class_<NetworkHandle>(m, "Network", py::is_final())
      .def(py::init(&make_dense_network), py::arg("n_units"), py::arg("activation"),
           py::arg("loss"), py::arg("dtype"), py::kw_only(),
           py::arg("negative_slope") = 0.01, py::arg("isa") = "",
           py::arg("blas") = py::none())
      .def(py::init(&make_network), py::arg("layers"), py::arg("loss"),
           py::arg("dtype"), py::kw_only(), py::arg("n_in"), py::arg("isa") = "",
           py::arg("blas") = py::none())
      .def_property_readonly("dtype",
                             [](NetworkHandle& h) {
                               return h.network.index() == 0 ? "float32" : "float64";
                             })
      .def_property_readonly(
          "isa",
          [](NetworkHandle& h) {
            return h.visit([](auto& network) { return network.isa(); });
          })
      .def_property_readonly(
          "uses_blas",
          [](NetworkHandle& h) {
            return h.visit([](auto& network) { return network.uses_blas(); });
          })
      .def_property_readonly("n_units",
                             [](NetworkHandle& h) {
                               return h.visit([](auto& network) {
                                 std::vector<Index> n{network.n_in()};
                                 for (Index l = 0; l < network.n_dense(); ++l) {
                                   n.push_back(network.dense(l).n_out());
                                 }
                                 return n;
                               });
                             })
      .def(
          "set_parameters",
          [](NetworkHandle& h, const py::sequence& coefs,
             const py::sequence& intercepts, const py::sequence& norms, int n_threads) {
            check_positive(n_threads, "n_threads");
            return h.visit([&](auto& network) {
              return set_parameters(network, coefs, intercepts, norms, n_threads);
            });
          },
          py::arg("coefs"), py::arg("intercepts"), py::arg("norms") = py::tuple(),
          py::kw_only(), py::arg("n_threads") = 1)
      .def(
          "get_parameters",
          [](NetworkHandle& h, int n_threads) {
            check_positive(n_threads, "n_threads");
            return h.visit([&](auto& network) {
              return to_arrays(network, network.parameters().data(), n_threads, true)
                  .as_tuple();
            });
          },
          py::kw_only(), py::arg("n_threads") = 1)
      .def("is_finite",
           [](NetworkHandle& h) {
             const Unlocked unlocked;
             return h.visit([](auto& network) { return network.is_finite(); });
           })
      .def(
          "predict",
          [](NetworkHandle& h, const RowsHandle& x, bool raw, bool hidden,
             int n_threads) {
            check_positive(n_threads, "n_threads");
            const Predicted what = hidden ? Predicted::kHidden
                                   : raw  ? Predicted::kRaw
                                          : Predicted::kOutputs;
            return h.visit([&](auto& network) -> py::array {
              return predict_array(network, x.rows, what, n_threads);
            });
          },
          py::arg("X"), py::kw_only(), py::arg("raw") = false,
          py::arg("hidden") = false, py::arg("n_threads") = 1)
      .def(
          "loss_and_gradients",
          [](NetworkHandle& h, const RowsHandle& x, const py::object& y,
             const py::object& sample_weight, double alpha, std::uint64_t seed,
             int n_threads, const py::object& outer_loss) {
            check_positive(n_threads, "n_threads");
            return h.visit([&](auto& network) {
              return loss_and_gradients(network, x, y, sample_weight, alpha, seed,
                                        n_threads, outer_loss);
            });
          },
          py::arg("X"), py::arg("y"), py::arg("sample_weight") = py::none(),
          py::kw_only(), py::arg("alpha") = 0.0, py::arg("seed") = 0,
          py::arg("n_threads") = 1, py::arg("outer_loss") = py::none());
  m.def("activate", &activate_array, py::arg("activation"), py::arg("x").noconvert(),
        py::kw_only(), py::arg("negative_slope") = 0.01, py::arg("isa") = "");
  m.def(
      "predict_few",
      [](const py::sequence& coefs, const py::sequence& intercepts, const RowsHandle& x,
         const Names& activation, const LossOrName& loss, double negative_slope,
         bool raw) -> py::array {
        if (x.rows.is_sparse()) throw py::value_error("X must be dense");
        const auto hidden = activations_of(
            activation, coefs.size() > 0 ? coefs.size() - 1 : 0, negative_slope);
        const Output output = raw ? Output::kIdentity : loss_settings(loss).output;
        if (coefs.size() > 0 && py::isinstance<py::array_t<float>>(coefs[0])) {
          return predict_few_array<float>(coefs, intercepts, x.rows, hidden, output);
        }
        return predict_few_array<double>(coefs, intercepts, x.rows, hidden, output);
      },
      py::arg("coefs"), py::arg("intercepts"), py::arg("X"), py::arg("activation"),
      py::arg("loss"), py::kw_only(), py::arg("negative_slope") = 0.01,
      py::arg("raw") = false);
  m.def(
      "threads_for",
      [](NetworkHandle& h, Index n_rows, int n_threads, std::optional<double> n_inputs,
         bool training) {
        check_positive(n_threads, "n_threads");
        return h.visit([&](auto& network) {
          const double inputs = n_inputs.value_or(static_cast<double>(network.n_in()));
          return training ? threads_for_step(network, n_rows, inputs, n_threads)
                          : threads_for_prediction(network, n_rows, inputs, n_threads);
        });
      },
      py::arg("network"), py::arg("n_rows"), py::arg("n_threads"), py::kw_only(),
      py::arg("n_inputs") = py::none(), py::arg("training") = true);
}

}  // namespace fastbp::bindings
