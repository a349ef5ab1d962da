// Tape: a forward pass that is kept, and backward passes from any gradient.
#include "bindings/parameter_arrays.h"
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

// Weights of the rows, if there are any.
std::optional<py::array_t<double>> weights_of(const py::object& sample_weight,
                                              Index n_rows) {
  if (sample_weight.is_none()) return {};
  return expect_array<double>(sample_weight, "sample_weight", {n_rows});
}

const double* data_of(const std::optional<py::array_t<double>>& array) {
  return array ? array->data() : nullptr;
}

template <class T>
void forward(Tape<T>& tape, const Rows& x, const py::object& sample_weight,
             bool training, std::uint64_t seed, int n_threads) {
  const auto weights = weights_of(sample_weight, x.n_rows());
  const double* data = data_of(weights);
  unlocked_until_interrupt([&](const Poll& poll) {
    return tape.forward(x, data, {training, seed}, n_threads, poll);
  });
}

std::unique_ptr<TapeHandle> make_tape(NetworkHandle& network, const RowsHandle& x,
                                      const py::object& sample_weight, bool training,
                                      std::uint64_t seed, int n_threads) {
  check_positive(n_threads, "n_threads");
  auto handle = std::make_unique<TapeHandle>(TapeHandle{{}, network});
  network.visit([&]<class T>(Network<T>& n) {
    auto tape = std::make_unique<Tape<T>>(n, x.rows);
    forward(*tape, x.rows, sample_weight, training, seed, n_threads);
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
py::array_t<T> outputs(const Tape<T>& tape, const Network<T>& network, int n_threads) {
  py::array_t<T> p({tape.n_rows(), network.n_out()});
  T* data = p.mutable_data();
  unlocked_until_interrupt(
      [&](const Poll& poll) { return tape.outputs(data, n_threads, poll); });
  return p;
}

template <class T>
py::array_t<T> inputs(const Tape<T>& tape, const Network<T>& network) {
  py::array_t<T> x({tape.n_rows(), network.n_in()});
  tape.inputs(x.mutable_data());
  return x;
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

// Where the gradients of the parameters go, a tuple like that of a network's parameters
// or none.
template <class T>
std::optional<GivenArrays<T>> places_of(Tape<T>& tape, const Network<T>& network,
                                        const py::object& gradients) {
  if (gradients.is_none()) return {};
  const auto parts = gradients.cast<std::vector<py::sequence>>();
  if (parts.size() != 2 && parts.size() != 3) {
    throw py::value_error(
        "gradients must be (coefs, intercepts) or (coefs, intercepts, norms), got " +
        std::to_string(parts.size()) + " parts");
  }
  GivenArrays<T> places(network, parts[0], parts[1],
                        parts.size() > 2 ? parts[2] : py::sequence(py::tuple()),
                        tape.gradient().data(), false);
  places.check_writable();
  return places;
}

// (losses, dx), and the gradients of the parameters where they shall go.
template <class T>
py::tuple backward(Tape<T>& tape, const Network<T>& network, const py::object& y,
                   const LossSettings& settings, const py::object& sample_weight,
                   const py::object& gradients, bool inputs, int n_threads) {
  const LossOf<T> loss(settings, network.n_out());
  std::vector<py::array> arrays;
  const auto targets = targets_of<T>(loss, tape.n_rows(), network.n_out(), y, &arrays);
  const auto weights = weights_of(sample_weight, tape.n_rows());
  const double* weights_data = data_of(weights);
  auto places = places_of(tape, network, gradients);
  py::array_t<T> losses(tape.n_rows());
  T* losses_data = losses.mutable_data();
  py::object dx = py::none();
  T* dx_data = nullptr;
  if (inputs) {
    py::array_t<T> array({tape.n_rows(), network.n_in()});
    dx_data = array.mutable_data();
    dx = array;
  }
  unlocked_until_interrupt([&](const Poll& poll) {
    const bool finished = tape.backward(loss, targets, weights_data, losses_data,
                                        places.has_value(), dx_data, n_threads, poll);
    if (finished && places) places->copy_out(n_threads);
    return finished;
  });
  return py::make_tuple(losses, dx);
}

}  // namespace

void bind_tape(py::module_& m) {
  py::class_<TapeHandle>(m, "Tape", py::is_final())
      .def(py::init(&make_tape), py::keep_alive<1, 2>(), py::arg("network"),
           py::arg("X"), py::kw_only(), py::arg("sample_weight") = py::none(),
           py::arg("training") = false, py::arg("seed") = 0, py::arg("n_threads") = 1)
      .def(
          "forward",
          [](TapeHandle& h, const NetworkHandle& network, const RowsHandle& x,
             const py::object& sample_weight, bool training, std::uint64_t seed,
             int n_threads) {
            check_positive(n_threads, "n_threads");
            return h.visit([&](auto& tape, auto&) {
              if (&network != &h.network || !tape.has_room(x.rows)) return false;
              forward(tape, x.rows, sample_weight, training, seed, n_threads);
              return true;
            });
          },
          py::arg("network"), py::arg("X"), py::kw_only(),
          py::arg("sample_weight") = py::none(), py::arg("training") = false,
          py::arg("seed") = 0, py::arg("n_threads") = 1)
      .def_property_readonly(
          "is_current",
          [](TapeHandle& h) {
            return h.visit([](auto& tape, auto&) { return tape.is_current(); });
          })
      .def_property_readonly(
          "n_rows",
          [](TapeHandle& h) {
            return h.visit([](auto& tape, auto&) { return tape.n_rows(); });
          })
      .def("inputs",
           [](TapeHandle& h) {
             return h.visit([](auto& tape, auto& network) -> py::array {
               return inputs(tape, network);
             });
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
          "outputs",
          [](TapeHandle& h, int n_threads) {
            check_positive(n_threads, "n_threads");
            return h.visit([&](auto& tape, auto& network) -> py::array {
              return outputs(tape, network, n_threads);
            });
          },
          py::kw_only(), py::arg("n_threads") = 1)
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
          [](TapeHandle& h, const py::object& y, const LossOrName& loss,
             const py::object& sample_weight, const py::object& gradients, bool inputs,
             int n_threads) {
            check_positive(n_threads, "n_threads");
            return h.visit([&](auto& tape, auto& network) {
              return backward(tape, network, y, loss_settings(loss), sample_weight,
                              gradients, inputs, n_threads);
            });
          },
          py::arg("y"), py::arg("loss"), py::kw_only(),
          py::arg("sample_weight") = py::none(), py::arg("gradients") = py::none(),
          py::arg("inputs") = true, py::arg("n_threads") = 1);
}

}  // namespace fastbp::bindings
