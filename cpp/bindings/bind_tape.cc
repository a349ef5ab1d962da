// Tape: a forward pass that is kept, and backward passes from any gradient.
#include "bindings/samples.h"
#include "fastbp/train/tape.h"

namespace fastbp::bindings {
namespace {

struct TapeHandle {
  std::variant<std::unique_ptr<Tape<float>>, std::unique_ptr<Tape<double>>> tape;
  NetworkHandle& network;

  // use(tape, network of its type)
  template <class Use>
  decltype(auto) visit(Use use) {
    return std::visit(
        [&]<class T>(std::unique_ptr<Tape<T>>& held) -> decltype(auto) {
          return use(*held, *std::get<std::unique_ptr<Network<T>>>(network.network));
        },
        tape);
  }
};

std::unique_ptr<TapeHandle> make_tape(NetworkHandle& network, const RowsHandle& x,
                                      int n_threads) {
  check_positive(n_threads, "n_threads");
  auto handle = std::make_unique<TapeHandle>(TapeHandle{{}, network});
  network.visit([&]<class T>(Network<T>& n) {
    auto tape = std::make_unique<Tape<T>>(n, x.rows);
    unlocked_until_interrupt(
        [&](const Poll& poll) { return tape->forward(x.rows, n_threads, poll); });
    handle->tape = std::move(tape);
  });
  return handle;
}

template <class T>
void check_layer(const Network<T>& network, Index layer) {
  if (layer >= 0 && layer < network.n_layers()) return;
  throw py::index_error("layer must be in [0, " + std::to_string(network.n_layers()) +
                        "), got " + std::to_string(layer));
}

template <class T>
py::array_t<T> output(const Tape<T>& tape, const Network<T>& network, Index layer) {
  check_layer(network, layer);
  const MatrixView<const T> y = tape.output(layer);
  py::array_t<T> out({y.rows, y.cols});
  for (Index i = 0; i < y.rows; ++i) {
    std::copy_n(y.row(i), y.cols, out.mutable_data() + i * y.cols);
  }
  return out;
}

template <class T>
py::array_t<T> pre_activations(const Tape<T>& tape, const Network<T>& network,
                               Index layer, int n_threads) {
  check_layer(network, layer);
  py::array_t<T> z({tape.n_rows(), network.layer(layer).n_out()});
  T* data = z.mutable_data();
  unlocked_until_interrupt([&](const Poll& poll) {
    return tape.pre_activations(layer, data, n_threads, poll);
  });
  return z;
}

// (coef_grads, intercept_grads, dx), the first two empty, or the last None, unless
// wanted.
template <class T>
py::tuple backward(Tape<T>& tape, const Network<T>& network, const py::array& dy,
                   bool parameters, bool inputs, int n_threads) {
  const auto gradient_at_outputs =
      expect_array<T>(dy, "dy", {tape.n_rows(), network.n_out()});
  Buffer<T> gradient(parameters ? network.parameters().size() : 0);
  py::object dx = py::none();
  T* dx_data = nullptr;
  if (inputs) {
    py::array_t<T> array({tape.n_rows(), network.n_in()});
    dx_data = array.mutable_data();
    dx = array;
  }
  const T* dy_data = gradient_at_outputs.data();
  unlocked_until_interrupt([&](const Poll& poll) {
    return tape.backward(dy_data, parameters ? gradient.data() : nullptr, dx_data,
                         n_threads, poll);
  });
  if (!parameters) return py::make_tuple(py::list(), py::list(), dx);
  const auto arrays = to_arrays(network, gradient.data(), n_threads);
  return py::make_tuple(arrays.coefs, arrays.intercepts, dx);
}

}  // namespace

void bind_tape(py::module_& m) {
  py::class_<TapeHandle>(m, "Tape", py::is_final())
      .def(py::init(&make_tape), py::keep_alive<1, 2>(), py::arg("network"),
           py::arg("X"), py::kw_only(), py::arg("n_threads") = 1)
      .def_property_readonly(
          "n_rows",
          [](TapeHandle& h) {
            return h.visit([](auto& tape, auto&) { return tape.n_rows(); });
          })
      .def(
          "output",
          [](TapeHandle& h, Index layer) {
            return h.visit([&](auto& tape, auto& network) -> py::array {
              return output(tape, network, layer);
            });
          },
          py::arg("layer"))
      .def(
          "pre_activations",
          [](TapeHandle& h, Index layer, int n_threads) {
            check_positive(n_threads, "n_threads");
            return h.visit([&](auto& tape, auto& network) -> py::array {
              return pre_activations(tape, network, layer, n_threads);
            });
          },
          py::arg("layer"), py::kw_only(), py::arg("n_threads") = 1)
      .def(
          "backward",
          [](TapeHandle& h, const py::array& dy, bool parameters, bool inputs,
             int n_threads) {
            check_positive(n_threads, "n_threads");
            return h.visit([&](auto& tape, auto& network) {
              return backward(tape, network, dy, parameters, inputs, n_threads);
            });
          },
          py::arg("dy"), py::kw_only(), py::arg("parameters") = true,
          py::arg("inputs") = true, py::arg("n_threads") = 1);
}

}  // namespace fastbp::bindings
