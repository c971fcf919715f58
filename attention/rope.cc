#include "attention/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace mlad {
namespace {

/// The pair, as a real number, that turns `turns` times in original_context.
double PairOfTurns(const RopeConfig& config, double turns) {
  const double context = static_cast<double>(config.original_context);
  return static_cast<double>(config.dim) *
         std::log(context / (turns * 2 * std::numbers::pi)) /
         (2 * std::log(config.theta));
}

}  // namespace

double SoftmaxScale(const RopeConfig& config, int64_t qk_head_dim) {
  const double mscale =
      config.factor > 1 ? 1 + config.log_multiplier * std::log(config.factor)
                        : 1;
  return mscale * mscale / std::sqrt(static_cast<double>(qk_head_dim));
}

RopeFrequencies::RopeFrequencies(const RopeConfig& config)
    : radians_(config.dim / 2) {
  for (size_t j = 0; j < radians_.size(); ++j) {
    const double exponent =
        -2.0 * static_cast<double>(j) / static_cast<double>(config.dim);
    radians_[j] = std::pow(config.theta, exponent);
  }
  if (config.factor <= 1) return;
  const double low =
      std::max(std::floor(PairOfTurns(config, config.beta_fast)), 0.0);
  const double high = std::min(std::ceil(PairOfTurns(config, config.beta_slow)),
                               static_cast<double>(config.dim - 1));
  const double width = std::max(high - low, 0.001);
  for (size_t j = 0; j < radians_.size(); ++j) {
    const double ramp =
        std::clamp((static_cast<double>(j) - low) / width, 0.0, 1.0);
    radians_[j] *= 1 - ramp + ramp / config.factor;
  }
}

void RopeFrequencies::Rotate(int64_t position, float* rotations) const {
  for (size_t j = 0; j < radians_.size(); ++j) {
    const double angle = static_cast<double>(position) * radians_[j];
    rotations[2 * j] = static_cast<float>(std::cos(angle));
    rotations[2 * j + 1] = static_cast<float>(std::sin(angle));
  }
}

void ApplyRope(const float* rotations, int64_t dim, float* x) {
  for (int64_t i = 0; i < dim; i += 2) {
    const float cos = rotations[i], sin = rotations[i + 1];
    const float even = x[i], odd = x[i + 1];
    x[i] = even * cos - odd * sin;
    x[i + 1] = even * sin + odd * cos;
  }
}

}  // namespace mlad
