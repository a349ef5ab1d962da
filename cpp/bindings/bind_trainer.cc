// Trainer: epochs of mini-batch gradient descent, and the optimizer's state in and out.
#include "bindings/samples.h"
#include "fastbp/train/trainer.h"

namespace fastbp::bindings {
namespace {

struct TrainerHandle {
  std::variant<std::unique_ptr<Trainer<float>>, std::unique_ptr<Trainer<double>>>
      trainer;

  template <class Use>
  decltype(auto) visit(Use use) {
    return std::visit([&](auto& held) -> decltype(auto) { return use(*held); },
                      trainer);
  }
};

Rule rule_of(const std::string& name) {
  if (name == "sgd") return Rule::kSgd;
  if (name == "momentum") return Rule::kMomentum;
  if (name == "nesterov") return Rule::kNesterov;
  if (name == "rmsprop") return Rule::kRmsprop;
  if (name == "adagrad") return Rule::kAdagrad;
  if (name == "lion") return Rule::kLion;
  if (name == "adam") return Rule::kAdam;
  if (name == "nadam") return Rule::kNadam;
  throw py::value_error(
      "rule must be one of sgd, momentum, nesterov, rmsprop, adagrad, lion, adam, "
      "nadam, got '" +
      name + "'");
}

std::unique_ptr<TrainerHandle> make_trainer(NetworkHandle& network,
                                            const std::string& rule, double momentum,
                                            double beta_1, double beta_2,
                                            double epsilon, double l1,
                                            double weight_decay, double max_norm,
                                            double clip_norm) {
  const RuleSettings settings{rule_of(rule), momentum, beta_1,   beta_2, epsilon, l1,
                              weight_decay,  max_norm, clip_norm};
  auto handle = std::make_unique<TrainerHandle>();
  network.visit([&]<class T>(Network<T>& n) {
    handle->trainer = std::make_unique<Trainer<T>>(n, settings);
  });
  return handle;
}

// A moment is a list of arrays like coefs + intercepts.
template <class T>
void set_state(Trainer<T>& trainer, Index t, const py::sequence& moments) {
  const auto n = static_cast<std::size_t>(n_moments(trainer.settings().rule));
  if (t < 0) throw py::value_error("t must not be negative, got " + std::to_string(t));
  if (moments.size() != n) {
    throw py::value_error("expected " + std::to_string(n) + " moments, got " +
                          std::to_string(moments.size()));
  }
  const Index n_layers = trainer.network().n_layers();
  std::vector<Buffer<T>> checked;  // all, before anything is written
  for (std::size_t i = 0; i < n; ++i) {
    const auto arrays = py::list(py::object(moments[i]));
    const py::list coefs = arrays[py::slice(0, n_layers, 1)];
    const py::list intercepts =
        arrays[py::slice(n_layers, static_cast<py::ssize_t>(arrays.size()), 1)];
    checked.emplace_back(trainer.network().parameters().size());
    from_arrays(trainer.network(), coefs, intercepts, checked.back().data());
  }
  for (std::size_t i = 0; i < n; ++i) {
    trainer.state().moments[i].copy_from(checked[i]);
  }
  trainer.state().t = t;
}

template <class T>
py::tuple get_state(Trainer<T>& trainer) {
  py::list moments;
  for (int i = 0; i < n_moments(trainer.settings().rule); ++i) {
    const auto [coefs, intercepts] =
        to_arrays(trainer.network(), trainer.state().moments[i].data());
    moments.append(coefs + intercepts);
  }
  return py::make_tuple(trainer.state().t, moments);
}

template <class T>
double run_epoch(Trainer<T>& trainer, const RowsHandle& x, const py::handle& y,
                 const py::object& sample_weight, const py::object& order,
                 Index batch_size, double learning_rate, double alpha, int n_threads) {
  const SamplesHandle<T> handle(trainer.network(), x, y, sample_weight, order);
  double loss = 0;
  unlocked_until_interrupt([&](const Poll& poll) {
    bool finished = false;
    loss = trainer.run_epoch(handle.samples, batch_size, learning_rate, alpha,
                             n_threads, poll, &finished);
    return finished;
  });
  return loss;
}

}  // namespace

void bind_trainer(py::module_& m) {
  py::class_<TrainerHandle>(m, "Trainer", py::is_final())
      .def(py::init(&make_trainer), py::keep_alive<1, 2>(), py::arg("network"),
           py::arg("rule"), py::kw_only(), py::arg("momentum") = 0.9,
           py::arg("beta_1") = 0.9, py::arg("beta_2") = 0.999,
           py::arg("epsilon") = 1e-8, py::arg("l1") = 0.0,
           py::arg("weight_decay") = 0.0, py::arg("max_norm") = kNoLimit,
           py::arg("clip_norm") = kNoLimit)
      .def_property_readonly(
          "t",
          [](TrainerHandle& h) {
            return h.visit([](auto& trainer) { return trainer.state().t; });
          })
      .def(
          "set_state",
          [](TrainerHandle& h, Index t, const py::sequence& moments) {
            h.visit([&](auto& trainer) { set_state(trainer, t, moments); });
          },
          py::arg("t"), py::arg("moments"))
      .def("get_state",
           [](TrainerHandle& h) {
             return h.visit([](auto& trainer) { return get_state(trainer); });
           })
      .def("undo_epoch",
           [](TrainerHandle& h) {
             h.visit([](auto& trainer) { trainer.undo_epoch(); });
           })
      .def(
          "run_epoch",
          [](TrainerHandle& h, const RowsHandle& x, const py::object& y,
             const py::object& sample_weight, const py::object& order, Index batch_size,
             double learning_rate, double alpha, int n_threads) {
            check_positive(batch_size, "batch_size");
            check_positive(n_threads, "n_threads");
            return h.visit([&](auto& trainer) {
              return run_epoch(trainer, x, y, sample_weight, order, batch_size,
                               learning_rate, alpha, n_threads);
            });
          },
          py::arg("X"), py::arg("y"), py::arg("sample_weight"), py::arg("order"),
          py::kw_only(), py::arg("batch_size"), py::arg("learning_rate"),
          py::arg("alpha") = 0.0, py::arg("n_threads") = 1);
}

}  // namespace fastbp::bindings
