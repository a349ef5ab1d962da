// Loss: a loss with its parameters and output activation, by their names.
#include "bindings/bindings.h"

namespace fastbp::bindings {
namespace {

Loss loss_of(const std::string& name) {
  return choose<Loss>(name, "loss",
                      {{"softmax_cross_entropy", Loss::kSoftmaxCrossEntropy},
                       {"binary_cross_entropy", Loss::kBinaryCrossEntropy},
                       {"squared_error", Loss::kSquaredError},
                       {"poisson", Loss::kPoisson},
                       {"absolute_error", Loss::kAbsoluteError},
                       {"huber", Loss::kHuber},
                       {"log_cosh", Loss::kLogCosh},
                       {"quantile", Loss::kQuantile},
                       {"gamma", Loss::kGamma},
                       {"cross_entropy", Loss::kCrossEntropy},
                       {"kl_divergence", Loss::kKlDivergence},
                       {"focal", Loss::kFocal},
                       {"symmetric_cross_entropy", Loss::kSymmetricCrossEntropy},
                       {"linear", Loss::kLinear}});
}

Output output_of(const std::string& name) {
  return choose<Output>(name, "output",
                        {{"identity", Output::kIdentity},
                         {"logistic", Output::kLogistic},
                         {"tanh", Output::kTanh},
                         {"softplus", Output::kSoftplus},
                         {"exp", Output::kExp},
                         {"softmax", Output::kSoftmax}});
}

LossSettings make_loss(const std::string& name, const std::string& output, double delta,
                       double gamma, double alpha, double beta, double log_zero,
                       double label_smoothing, const std::vector<double>& levels) {
  LossSettings loss(loss_of(name));
  if (!output.empty()) loss.output = output_of(output);
  loss.delta = delta;
  loss.gamma = gamma;
  loss.alpha = alpha;
  loss.beta = beta;
  loss.log_zero = log_zero;
  loss.label_smoothing = label_smoothing;
  loss.levels = levels;
  return loss;
}

}  // namespace

LossSettings loss_settings(const LossOrName& loss) {
  if (const auto* name = std::get_if<std::string>(&loss)) return loss_of(*name);
  return std::get<LossSettings>(loss);
}

void bind_loss(py::module_& m) {
  const LossSpec defaults{Loss::kSquaredError, Output::kIdentity};
  py::class_<LossSettings>(m, "Loss", py::is_final())
      .def(py::init(&make_loss), py::arg("name"), py::arg("output"), py::kw_only(),
           py::arg("delta") = defaults.delta, py::arg("gamma") = defaults.gamma,
           py::arg("alpha") = defaults.alpha, py::arg("beta") = defaults.beta,
           py::arg("log_zero") = defaults.log_zero, py::arg("label_smoothing") = 0.0,
           py::arg("levels") = std::vector<double>());
}

}  // namespace fastbp::bindings
