// Rotary position embedding with YaRN, as DeepSeek models use it.
#pragma once

#include <cstdint>
#include <vector>

namespace mlad {

struct RopeConfig {
  int64_t dim = 0;  // qk_rope_head_dim, even
  double theta = 10000;
  // YaRN; factor 1 means plain rotations. A factor above 1 needs
  // original_context > 0.
  double factor = 1;
  int64_t original_context = 0;  // trained positions before the extension
  double beta_fast = 32;
  double beta_slow = 1;
  double log_multiplier = 0;  // 0.1 * mscale_all_dim
};

/// What attention scores are multiplied by.
///
/// Math    mscale^2 / sqrt(qk_head_dim); mscale = 1 + log_multiplier *
///         ln(factor), or 1 when factor <= 1
/// Source  arXiv:2309.00071 section 3.4; these models put YaRN's temperature
///         into the scale and leave cos and sin as they are
double SoftmaxScale(const RopeConfig& config, int64_t qk_head_dim);

/// The angular speed of every pair of a head.
class RopeFrequencies {
 public:
  explicit RopeFrequencies(const RopeConfig& config);

  int64_t dim() const { return 2 * static_cast<int64_t>(radians_.size()); }
  /// [dim / 2] radians per position.
  const std::vector<double>& radians() const { return radians_; }

  /// The rotations of one position.
  ///
  /// Out     rotations [dim] f32: (cos, sin) of pair 0, of pair 1, ...
  /// Math    angle_j = position * radians_j in double precision, radians_j =
  ///         theta^(-2j/dim) * (1 - r_j + r_j / factor); r_j rises from 0 at
  ///         the pair that turns beta_fast times within original_context to 1
  ///         at the one that turns beta_slow times
  /// Source  arXiv:2309.00071 section 3.2
  void Rotate(int64_t position, float* rotations) const;

 private:
  std::vector<double> radians_;
};

/// Rotates one vector in place.
///
/// In      rotations [dim] f32 of RopeFrequencies::Rotate
/// In/out  x [dim] f32; pair j is (x[2j], x[2j + 1]), the order of GGUF files
/// Math    x[2j], x[2j+1] = x[2j] cos - x[2j+1] sin, x[2j] sin + x[2j+1] cos
void ApplyRope(const float* rotations, int64_t dim, float* x);

}  // namespace mlad
