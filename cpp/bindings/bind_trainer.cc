// Trainer: epochs of mini-batch gradient descent, and the optimizer's state in and out.
#include "bindings/parameter_arrays.h"
#include "bindings/samples.h"
#include "fastbp/train/trainer.h"

namespace fastbp::bindings {
namespace {

// Parameters and state as they were at some time, in arrays that are used again.
template <class T>
struct Saved {
  Index t = -1;                            // -1: nothing whole is here
  std::vector<ParameterArrays<T>> arrays;  // parameters, moments, their average if any

  void save(Trainer<T>& trainer, int n_threads) {
    const Network<T>& network = trainer.network();
    const auto first_average =
        1 + static_cast<std::size_t>(n_moments(trainer.settings().rule));
    const auto n = first_average + (trainer.settings().ema > 0 ? 1 : 0);
    while (arrays.size() < n) arrays.emplace_back(network, arrays.empty());
    t = -1;
    unlocked_until_interrupt([&](const Poll& poll) {
      for (std::size_t i = 0; i < n; ++i) {
        const T* flat = i == 0              ? network.parameters().data()
                        : i < first_average ? trainer.state().moments[i - 1].data()
                                            : trainer.state().average.data();
        if (!arrays[i].fill(network, flat, n_threads, poll)) return false;
      }
      return true;
    });
    t = trainer.state().t;
  }

  // (t, coefs, intercepts, norms if there are any, moments); the arrays are given away.
  py::tuple take() {
    if (t < 0) throw std::runtime_error("nothing has been saved");
    py::list moments;
    for (std::size_t i = 1; i < arrays.size(); ++i) {
      moments.append(arrays[i].as_list());
    }
    py::tuple taken =
        py::make_tuple(t) + arrays[0].as_tuple() + py::make_tuple(std::move(moments));
    arrays.clear();
    t = -1;
    return taken;
  }
};

template <class T>
struct TrainerAndSaved {
  Trainer<T> trainer;
  Saved<T> saved;
  TrainerAndSaved(Network<T>& network, const RuleSettings& settings, std::uint64_t seed)
      : trainer(network, settings, seed) {}
};

struct TrainerHandle {
  std::variant<std::unique_ptr<TrainerAndSaved<float>>,
               std::unique_ptr<TrainerAndSaved<double>>>
      held;

  template <class Use>
  decltype(auto) visit(Use use) {
    return std::visit([&](auto& h) -> decltype(auto) { return use(h->trainer); }, held);
  }
  template <class Use>
  decltype(auto) visit_saved(Use use) {
    return std::visit(
        [&](auto& h) -> decltype(auto) { return use(h->saved, h->trainer); }, held);
  }
};

Rule rule_of(const std::string& name) {
  return choose<Rule>(name, "rule",
                      {{"sgd", Rule::kSgd},
                       {"momentum", Rule::kMomentum},
                       {"nesterov", Rule::kNesterov},
                       {"rmsprop", Rule::kRmsprop},
                       {"adagrad", Rule::kAdagrad},
                       {"lion", Rule::kLion},
                       {"adam", Rule::kAdam},
                       {"nadam", Rule::kNadam}});
}

void check_number(bool is_allowed, const char* name, double value,
                  const char* allowed) {
  if (is_allowed) return;
  throw py::value_error(std::string(name) + " must be " + allowed + ", got " +
                        std::to_string(value));
}

std::unique_ptr<TrainerHandle> make_trainer(
    NetworkHandle& network, const std::string& rule, double momentum, double beta_1,
    double beta_2, double epsilon, double l1, double weight_decay, double max_norm,
    double clip_norm, double ema, bool measures_norm, std::uint64_t seed) {
  check_number(momentum >= 0 && momentum <= 1, "momentum", momentum, "in [0, 1]");
  check_number(beta_1 >= 0 && beta_1 < 1, "beta_1", beta_1, "in [0, 1)");
  check_number(beta_2 >= 0 && beta_2 < 1, "beta_2", beta_2, "in [0, 1)");
  check_number(epsilon > 0, "epsilon", epsilon, "positive");
  check_number(l1 >= 0, "l1", l1, "at least 0");
  check_number(weight_decay >= 0, "weight_decay", weight_decay, "at least 0");
  check_number(max_norm > 0, "max_norm", max_norm, "positive");
  check_number(clip_norm > 0, "clip_norm", clip_norm, "positive");
  check_number(ema >= 0 && ema < 1, "ema", ema, "in [0, 1)");
  const RuleSettings settings{rule_of(rule), momentum, beta_1,       beta_2,
                              epsilon,       l1,       weight_decay, max_norm,
                              clip_norm,     ema,      measures_norm};
  auto handle = std::make_unique<TrainerHandle>();
  network.visit([&]<class T>(Network<T>& n) {
    handle->held = std::make_unique<TrainerAndSaved<T>>(n, settings, seed);
  });
  return handle;
}

// A moment is a list of arrays like coefs + intercepts + gain and bias of each norm.
// The average of the parameters, of the steps after average_start, may follow them;
// without, it begins anew.
template <class T>
void set_state(Trainer<T>& trainer, Index t, const py::sequence& moments,
               Index average_start, int n_threads) {
  const auto first_average =
      static_cast<std::size_t>(n_moments(trainer.settings().rule));
  const bool averages = trainer.settings().ema > 0;
  if (t < 0) throw py::value_error("t must not be negative, got " + std::to_string(t));
  if (average_start < 0 || average_start > t) {
    throw py::value_error("average_start must be in [0, t], got " +
                          std::to_string(average_start));
  }
  const std::size_t n = moments.size();
  if (n != first_average && !(averages && n == first_average + 1)) {
    throw py::value_error("expected " + std::to_string(first_average) +
                          " moments, got " + std::to_string(n));
  }
  const auto n_dense = static_cast<std::size_t>(trainer.network().n_dense());
  std::vector<Buffer<T>> checked;  // all, before anything is written
  for (std::size_t i = 0; i < n; ++i) {
    const auto arrays = py::list(py::object(moments[i]));
    const auto part = [&](std::size_t first, std::size_t last) {
      const auto at = [](std::size_t place) { return static_cast<py::ssize_t>(place); };
      return py::list(arrays[py::slice(at(first), at(std::max(first, last)), 1)]);
    };
    // Arrays that are missing, or too many, are found by who takes the last part.
    const auto n_norms = static_cast<std::size_t>(trainer.network().n_norms());
    const std::size_t end = arrays.size();
    const std::size_t norms_at = end - std::min(end, 2 * n_norms);
    const py::list coefs = part(0, n_dense), intercepts = part(n_dense, norms_at);
    checked.emplace_back(trainer.network().parameters().size());
    py::list norms;
    for (std::size_t at = norms_at; at + 1 < end; at += 2) {
      py::dict norm;
      norm["gain"] = arrays[at];
      norm["bias"] = arrays[at + 1];
      norms.append(norm);
    }
    const GivenArrays<T> given(trainer.network(), coefs, intercepts, norms,
                               checked.back().data(), false);
    unlocked_until_interrupt([&](const Poll& poll) {
      bool finished = false;
      given.copy_in(n_threads, poll, &finished);
      return finished;
    });
  }
  const bool begins = n == first_average;
  if (averages && begins) {
    checked.emplace_back(trainer.network().parameters().size());
  }
  for (std::size_t i = 0; i < checked.size(); ++i) {
    Buffer<T>& place =
        i < first_average ? trainer.state().moments[i] : trainer.state().average;
    place = std::move(checked[i]);
  }
  trainer.state().t = t;
  trainer.state().average_start = begins ? t : average_start;
}

// A number, or an array with one for each batch, which `kept` holds.
Rates rates_of(const py::object& learning_rate, Index n_batches,
               py::array_t<double>* kept) {
  if (!py::isinstance<py::array>(learning_rate)) {
    const double rate = PyFloat_AsDouble(learning_rate.ptr());
    if (PyErr_Occurred() != nullptr) throw py::error_already_set();
    return rate;
  }
  *kept = expect_array<double>(learning_rate, "learning_rate", {n_batches});
  return Rates(kept->data());
}

template <class T>
double run_epoch(Trainer<T>& trainer, const RowsHandle& x, const py::handle& y,
                 const py::object& sample_weight, const py::object& order,
                 Index batch_size, const py::object& learning_rate, double alpha,
                 int n_threads, const py::object& outer_loss) {
  const SamplesHandle<T> handle(trainer.network(), x, y, sample_weight, order,
                                outer_loss);
  const Index n_batches = ceil_div(handle.samples.n_rows, batch_size);
  py::array_t<double> kept;
  const Rates rates = rates_of(learning_rate, n_batches, &kept);
  double loss = 0;
  unlocked_until_interrupt([&](const Poll& poll) {
    bool finished = false;
    loss = trainer.run_epoch(handle.samples, batch_size, rates, alpha, n_threads, poll,
                             &finished);
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
           py::arg("clip_norm") = kNoLimit, py::arg("ema") = 0.0,
           py::arg("measures_norm") = false, py::arg("seed") = 0)
      .def_property_readonly(
          "t",
          [](TrainerHandle& h) {
            return h.visit([](auto& trainer) { return trainer.state().t; });
          })
      .def_property_readonly("n_moments",
                             [](TrainerHandle& h) {
                               return h.visit([](auto& trainer) {
                                 return n_moments(trainer.settings().rule);
                               });
                             })
      .def(
          "set_state",
          [](TrainerHandle& h, Index t, const py::sequence& moments,
             Index average_start, int n_threads) {
            check_positive(n_threads, "n_threads");
            h.visit([&](auto& trainer) {
              set_state(trainer, t, moments, average_start, n_threads);
            });
          },
          py::arg("t"), py::arg("moments"), py::kw_only(), py::arg("average_start") = 0,
          py::arg("n_threads") = 1)
      .def(
          "get_state",
          [](TrainerHandle& h, int n_threads) {
            check_positive(n_threads, "n_threads");
            return h.visit([&]<class T>(Trainer<T>& trainer) {
              Saved<T> copy;
              copy.save(trainer, n_threads);
              const py::tuple state = copy.take();
              return py::make_tuple(state[0], state[state.size() - 1]);
            });
          },
          py::kw_only(), py::arg("n_threads") = 1)
      .def(
          "get_average",
          [](TrainerHandle& h, int n_threads) {
            check_positive(n_threads, "n_threads");
            return h.visit([&](auto& trainer) {
              if (!(trainer.settings().ema > 0)) {
                throw py::value_error("there is no average: ema is 0");
              }
              return to_arrays(trainer.network(), trainer.state().average.data(),
                               n_threads, true)
                  .as_tuple();
            });
          },
          py::kw_only(), py::arg("n_threads") = 1)
      .def_property_readonly(
          "average_start",
          [](TrainerHandle& h) {
            return h.visit([](auto& trainer) { return trainer.state().average_start; });
          })
      .def_property_readonly(
          "norm_sum",
          [](TrainerHandle& h) {
            return h.visit([](auto& trainer) { return trainer.norm_sum(); });
          })
      .def(
          "save",
          [](TrainerHandle& h, int n_threads) {
            check_positive(n_threads, "n_threads");
            h.visit_saved(
                [&](auto& saved, auto& trainer) { saved.save(trainer, n_threads); });
          },
          py::kw_only(), py::arg("n_threads") = 1)
      .def_property_readonly(
          "saved_t",
          [](TrainerHandle& h) {
            return h.visit_saved([](auto& saved, auto&) { return saved.t; });
          })
      .def("take_saved",
           [](TrainerHandle& h) {
             return h.visit_saved([](auto& saved, auto&) { return saved.take(); });
           })
      .def(
          "run_epoch",
          [](TrainerHandle& h, const RowsHandle& x, const py::object& y,
             const py::object& sample_weight, const py::object& order, Index batch_size,
             const py::object& learning_rate, double alpha, int n_threads,
             const py::object& outer_loss) {
            check_positive(batch_size, "batch_size");
            check_positive(n_threads, "n_threads");
            return h.visit([&](auto& trainer) {
              return run_epoch(trainer, x, y, sample_weight, order, batch_size,
                               learning_rate, alpha, n_threads, outer_loss);
            });
          },
          py::arg("X"), py::arg("y"), py::arg("sample_weight"), py::arg("order"),
          py::kw_only(), py::arg("batch_size"), py::arg("learning_rate"),
          py::arg("alpha") = 0.0, py::arg("n_threads") = 1,
          py::arg("outer_loss") = py::none());
}

}  // namespace fastbp::bindings
