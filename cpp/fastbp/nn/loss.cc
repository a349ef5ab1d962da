// Which losses go with which outputs.
#include "fastbp/nn/loss.h"

#include <stdexcept>
#include <string>

namespace fastbp {
namespace {

bool is_of_classes(Loss loss) {
  return loss == Loss::kCrossEntropy || loss == Loss::kKlDivergence ||
         loss == Loss::kFocal || loss == Loss::kSymmetricCrossEntropy;
}

bool go_together(Loss loss, Output output) {
  switch (loss) {
    case Loss::kSoftmaxCrossEntropy:
    case Loss::kBinaryCrossEntropy:
      return output == natural_output(loss);
    case Loss::kPoisson:
    case Loss::kGamma:
      return output == Output::kExp || output == Output::kSoftplus;
    case Loss::kSquaredError:
    case Loss::kLinear:
      return true;
    default:
      break;
  }
  if (is_of_classes(loss))
    return output == Output::kSoftmax || output == Output::kLogistic;
  return output != Output::kSoftmax;
}

void require(bool is_allowed, const std::string& message) {
  if (!is_allowed) throw std::invalid_argument(message);
}

}  // namespace

Output natural_output(Loss loss) {
  if (loss == Loss::kSoftmaxCrossEntropy || is_of_classes(loss))
    return Output::kSoftmax;
  if (loss == Loss::kBinaryCrossEntropy) return Output::kLogistic;
  if (loss == Loss::kPoisson || loss == Loss::kGamma) return Output::kExp;
  return Output::kIdentity;
}

void check(const LossSettings& s, Index n_outputs) {
  require(go_together(s.kind, s.output),
          "the loss and the output activation do not go together");
  require(s.delta > 0, "delta must be positive, got " + std::to_string(s.delta));
  require(s.gamma >= 0, "gamma must be at least 0, got " + std::to_string(s.gamma));
  require(s.log_zero < 0,
          "log_zero must be below 0, got " + std::to_string(s.log_zero));
  require(
      s.label_smoothing >= 0 && s.label_smoothing < 1,
      "label_smoothing must be in [0, 1), got " + std::to_string(s.label_smoothing));
  require(s.label_smoothing == 0 || !s.reads_labels(),
          "label_smoothing needs the loss cross_entropy");
  const bool has_levels = s.kind == Loss::kQuantile;
  const Index n_levels = static_cast<Index>(s.levels.size());
  require(n_levels == (has_levels ? n_outputs : 0),
          "levels must be one for each output of the loss quantile, got " +
              std::to_string(n_levels));
  for (const double level : s.levels) {
    require(level > 0 && level < 1,
            "levels must be in (0, 1), got " + std::to_string(level));
  }
}

template <class T>
LossOf<T>::LossOf(const LossSettings& settings, Index n_outputs)
    : LossSettings(settings),
      level_panels(round_up(static_cast<Index>(levels.size()), kPanel<T>)) {
  check(settings, n_outputs);
  for (std::size_t i = 0; i < levels.size(); ++i) {
    level_panels[static_cast<Index>(i)] = static_cast<T>(levels[i]);
  }
}

template struct LossOf<float>;
template struct LossOf<double>;

}  // namespace fastbp
