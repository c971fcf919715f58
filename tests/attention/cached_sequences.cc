#include "tests/attention/cached_sequences.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>
#include <random>
#include <utility>

#include "base/check.h"

namespace mlad {

AbsorbedShape TestAbsorbedShape() { return {kHeads, kRank, kRope, kScale}; }

ExpandedShape TestExpandedShape() {
  return {kNope, kRope, kValue, kRank, kScale};
}

AlignedFloats::AlignedFloats(int64_t count) {
  const size_t bytes = (count * sizeof(float) + 63) / 64 * 64;
  data_.reset(static_cast<float*>(std::aligned_alloc(64, bytes)));
  std::fill_n(data_.get(), count, std::numeric_limits<float>::quiet_NaN());
}

void AlignedFloats::Free::operator()(float* data) const { std::free(data); }

std::vector<float> RandomFloats(int64_t count, float peak, uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> value(-peak, peak);
  std::vector<float> values(count);
  for (float& v : values) v = value(random);
  return values;
}

CachedSequences::CachedSequences(const KernelTable& kernels, KvType type,
                                 int nodes)
    : kernels_(&kernels), nodes_(nodes) {
  TopologyOptions options;
  options.nodes = nodes;
  options.threads_per_node = 1;
  auto topology = Topology::Create(options);
  MLAD_CHECK(topology.ok());
  topology_ = *std::move(topology);
  const std::vector<int64_t> pages(nodes, 160);
  auto cache = LatentCache::Create(*topology_, {type, 2, kRow}, pages);
  MLAD_CHECK(cache.ok());
  cache_ = *std::move(cache);
  allocator_ = std::make_unique<PageAllocator>(pages);
}

void CachedSequences::Add(int64_t positions, uint32_t seed) {
  PageTable& table = tables_.emplace_back(allocator_->NewTable());
  MLAD_CHECK(allocator_->Grow(table, positions).ok());
  const std::vector<float> rows = RandomFloats(positions * kRow, 1, seed);
  const std::vector<float> other = RandomFloats(kRow, 9, seed + 1);
  for (int64_t p = 0; p < positions; ++p) {
    kernels_->encode_latent(cache_->shape().type, other.data(), kRow,
                            cache_->Row(table, p, 0));
    kernels_->encode_latent(cache_->shape().type, &rows[p * kRow], kRow,
                            cache_->Row(table, p, kLayer));
  }
}

std::vector<float> CachedSequences::Latents(int sequence,
                                            int64_t positions) const {
  std::vector<float> rows(positions * kRow);
  for (int64_t p = 0; p < positions; ++p) {
    kernels_->decode_latent(cache_->shape().type,
                            cache_->Row(tables_[sequence], p, kLayer), 1, kRow,
                            &rows[p * kRow]);
  }
  return rows;
}

HeadWeights RandomHead(uint32_t seed) {
  return {RandomFloats(kRank * kNope, 0.5f, seed),
          RandomFloats(kRank * kValue, 0.5f, seed + 1000)};
}

std::vector<float> AbsorbQuery(const HeadWeights& head, const float* q) {
  std::vector<float> absorbed(kRow);
  for (int64_t c = 0; c < kRank; ++c) {
    double sum = 0;
    for (int64_t d = 0; d < kNope; ++d) {
      sum += static_cast<double>(head.w_uk[c * kNope + d]) * q[d];
    }
    absorbed[c] = static_cast<float>(sum);
  }
  std::copy_n(q + kNope, kRope, &absorbed[kRank]);
  return absorbed;
}

namespace {

constexpr int64_t kKey = kNope + kRope;

/// Errors of one form, relative to the largest value.
///
/// A score that is a sum of `terms` products (nested sums: of both lengths)
/// with magnitudes adding up to `size` is off by at most (terms + 4) * size
/// units of 2^-24. A softmax numerator is off by that, by its exponential (4
/// units and the rounding of its argument, below 2 * size) and by as much
/// again for each of the `tiles` rescalings. Numerators and denominators are
/// sums of `positions` terms. All of it counts twice, for the quotient.
double SoftmaxError(double terms, double size, double tiles, double positions) {
  const double numerator = (terms + 4) * size + (tiles + 1) * (2 * size + 6);
  return 2 * (numerator + positions + tiles) * 0x1p-24;
}

double Largest(const std::vector<double>& values, int64_t count) {
  double largest = 0;
  for (int64_t i = 0; i < count; ++i) {
    largest = std::max(largest, std::abs(values[i]));
  }
  return largest;
}

/// The sum of |a| |b|.
template <typename A, typename B>
double Magnitude(const A* a, const B* b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    sum += std::abs(static_cast<double>(a[i]) * static_cast<double>(b[i]));
  }
  return sum;
}

}  // namespace

ExactHead::ExactHead(HeadWeights head, std::vector<float> latents)
    : head_(std::move(head)), latents_(std::move(latents)) {
  const int64_t positions = static_cast<int64_t>(latents_.size()) / kRow;
  keys_.resize(positions * kKey);
  key_sizes_.resize(positions * kKey);
  values_.resize(positions * kValue);
  value_sizes_.resize(positions * kValue);
  for (int64_t p = 0; p < positions; ++p) {
    const float* latent = &latents_[p * kRow];
    for (int64_t i = 0; i < kRank; ++i) {
      const double c = latent[i];
      for (int64_t d = 0; d < kNope; ++d) {
        keys_[p * kKey + d] += head_.w_uk[i * kNope + d] * c;
        key_sizes_[p * kKey + d] += std::abs(head_.w_uk[i * kNope + d] * c);
      }
      for (int64_t v = 0; v < kValue; ++v) {
        values_[p * kValue + v] += head_.w_uv[i * kValue + v] * c;
        value_sizes_[p * kValue + v] +=
            std::abs(head_.w_uv[i * kValue + v] * c);
      }
    }
    for (int64_t j = 0; j < kRope; ++j) {
      keys_[p * kKey + kNope + j] = latent[kRank + j];
      key_sizes_[p * kKey + kNope + j] = std::abs(latent[kRank + j]);
    }
  }
}

namespace {

/// The largest weight times scale among the positions of each tile, and its
/// sum over p of that / 510 times what a code of position p is worth: what
/// rounding weights to 8 bits does to an output, times the sum of the weights.
template <typename Tile, typename CodeSize>
double WeightCodeError(const std::vector<double>& weights,
                       const std::vector<double>& scales, Tile tile,
                       CodeSize size_of_codes) {
  std::map<int64_t, double> largest;
  for (size_t p = 0; p < weights.size(); ++p) {
    double& m = largest[tile(p)];
    m = std::max(m, weights[p] * scales[p]);
  }
  double error = 0;
  for (int64_t v = 0; v < kValue; ++v) {
    double of_value = 0;
    for (size_t p = 0; p < weights.size(); ++p) {
      if (scales[p] == 0) continue;
      of_value += largest[tile(p)] / 510 * size_of_codes(p, v) / scales[p];
    }
    error = std::max(error, of_value);
  }
  return 1.01 * error;
}

double Sum(const std::vector<double>& numbers) {
  double sum = 0;
  for (const double n : numbers) sum += n;
  return sum;
}

/// max over the rows of w [kRank, columns] of |w[c][column]|.
double ColumnPeak(const std::vector<float>& w, int64_t columns,
                  int64_t column) {
  double peak = 0;
  for (int64_t c = 0; c < kRank; ++c) {
    peak = std::max(peak, std::abs(double{w[c * columns + column]}));
  }
  return peak;
}

}  // namespace

/// Queries of 8 bits are off by half a code in every column, which is the peak
/// of the rotated part or of the rest / 127. Weights are rounded tile by tile:
/// four pages of a lane.
double ExactHead::CodedAbsorbedError(const std::vector<float>& absorbed,
                                     const std::vector<double>& weights,
                                     double value_size) const {
  const auto positions = static_cast<int64_t>(weights.size());
  double rest_peak = 0, rotated_peak = 0;
  for (int64_t c = 0; c < kRow; ++c) {
    double& peak = c < kRank ? rest_peak : rotated_peak;
    peak = std::max(peak, std::abs(double{absorbed[c]}));
  }
  double score_error = 0;
  std::vector<double> scales(positions);
  for (int64_t p = 0; p < positions; ++p) {
    double off = 0;
    for (int64_t c = 0; c < kRow; ++c) {
      const double x = std::abs(double{latents_[p * kRow + c]});
      off += x * 0.5001 * (c < kRank ? rest_peak : rotated_peak) / 127;
      scales[p] = std::max(scales[p], x / 127);
    }
    score_error = std::max(score_error, kScale * off);
  }
  constexpr int64_t kRound = int64_t{kLanes} * kPagePositions;
  const double weight_error = WeightCodeError(
      weights, scales,
      [](int64_t p) {
        return p / (4 * kRound) * kLanes + p / kPagePositions % kLanes;
      },
      [&](int64_t p, int64_t v) { return value_sizes_[p * kValue + v]; });
  return 2 * std::expm1(2 * score_error) * value_size +
         weight_error / Sum(weights);
}

struct ExactHead::CodedErrors {
  std::vector<double> key;    // of any number of a key
  std::vector<double> value;  // of any number of a value
  std::vector<double> value_scale;
};

/// A column of W_uk or W_uv is off by half a code, peak / 127; so are then the
/// keys (with k_pe) and values, which are rows of 8-bit codes in their turn.
ExactHead::CodedErrors ExactHead::ErrorsOfCodes(int64_t positions) const {
  double w_uk = 0;
  double w_uv = 0;
  for (int64_t d = 0; d < kNope; ++d) {
    w_uk = std::max(w_uk, ColumnPeak(head_.w_uk, kNope, d));
  }
  for (int64_t v = 0; v < kValue; ++v) {
    w_uv = std::max(w_uv, ColumnPeak(head_.w_uv, kValue, v));
  }
  CodedErrors errors;
  for (int64_t p = 0; p < positions; ++p) {
    double latent = 0;
    for (int64_t c = 0; c < kRank; ++c) {
      latent += std::abs(double{latents_[p * kRow + c]});
    }
    const auto peak = [](const double* numbers, int64_t n) {
      double largest = 0;
      for (int64_t i = 0; i < n; ++i) {
        largest = std::max(largest, std::abs(numbers[i]));
      }
      return largest;
    };
    const double from_w_uk = 0.5001 * w_uk / 127 * latent;
    const double from_w_uv = 0.5001 * w_uv / 127 * latent;
    const double key_scale = (peak(&keys_[p * kKey], kKey) + from_w_uk) / 127;
    const double value_scale =
        (peak(&values_[p * kValue], kValue) + from_w_uv) / 127;
    errors.key.push_back(from_w_uk + 0.5001 * key_scale);
    errors.value.push_back(from_w_uv + 0.5001 * value_scale);
    errors.value_scale.push_back(value_scale);
  }
  return errors;
}

/// Queries of 8 bits; tiles of kExpandedTile positions.
double ExactHead::CodedExpandedError(const float* q,
                                     const std::vector<double>& weights) const {
  const auto positions = static_cast<int64_t>(weights.size());
  const CodedErrors errors = ErrorsOfCodes(positions);
  double q_size = 0;
  double q_peak = 0;
  for (int64_t d = 0; d < kKey; ++d) {
    q_size += std::abs(double{q[d]});
    q_peak = std::max(q_peak, std::abs(double{q[d]}));
  }
  double score_error = 0;
  double value_error = 0;
  for (int64_t p = 0; p < positions; ++p) {
    double key = 0;
    for (int64_t d = 0; d < kKey; ++d) {
      key += std::abs(keys_[p * kKey + d]) + errors.key[p];
    }
    score_error = std::max(score_error, kScale * (q_size * errors.key[p] +
                                                  key * 0.5001 * q_peak / 127));
    value_error = std::max(value_error, errors.value[p]);
  }
  const double weight_error = WeightCodeError(
      weights, errors.value_scale, [](int64_t p) { return p / kExpandedTile; },
      [&](int64_t p, int64_t v) {
        return std::abs(values_[p * kValue + v]) + errors.value[p];
      });
  const double value = Largest(values_, positions * kValue);
  // What is off by a factor in each weight is so in their sum.
  return 2 * std::expm1(2 * score_error) * (value + value_error) + value_error +
         std::exp(2 * score_error) * weight_error / Sum(weights);
}

ExactAttention ExactHead::Attend(const float* q, int64_t positions) const {
  const std::vector<float> absorbed = AbsorbQuery(head_, q);
  std::vector<double> scores(positions);
  double absorbed_size = 0, expanded_size = 0;
  for (int64_t p = 0; p < positions; ++p) {
    for (int64_t d = 0; d < kKey; ++d) scores[p] += q[d] * keys_[p * kKey + d];
    scores[p] *= kScale;
    absorbed_size = std::max(
        absorbed_size,
        kScale * Magnitude(absorbed.data(), &latents_[p * kRow], kRow));
    expanded_size = std::max(
        expanded_size, kScale * Magnitude(q, &key_sizes_[p * kKey], kKey));
  }
  const double peak = *std::max_element(scores.begin(), scores.end());
  std::vector<double> weights(positions);
  ExactAttention result;
  result.out.assign(kValue, 0);
  double sum = 0;
  for (int64_t p = 0; p < positions; ++p) {
    const double weight = weights[p] = std::exp(scores[p] - peak);
    sum += weight;
    for (int64_t v = 0; v < kValue; ++v) {
      result.out[v] += weight * values_[p * kValue + v];
    }
  }
  for (double& v : result.out) v /= sum;

  const double n = static_cast<double>(positions);
  const double value = Largest(values_, positions * kValue);
  const double value_size = Largest(value_sizes_, positions * kValue);
  // Absorbed: a lane's pages are its tiles; then five levels of merging, each
  // off by 8 units of the lse and 4 of its own (see merge_test). What W_uv
  // makes of errors in the latents is bounded by the sum of magnitudes.
  const double lse = std::max(1.0, absorbed_size + std::log(n));
  result.absorbed_bound =
      value_size *
      (SoftmaxError(kRow, absorbed_size, n / (kLanes * kPagePositions) + 1, n) +
       5 * (8 * lse + 4) * 0x1p-24);
  result.coded_absorbed_bound =
      result.absorbed_bound + CodedAbsorbedError(absorbed, weights, value_size);
  // Expanded: values have errors of their own.
  result.expanded_bound = value * SoftmaxError(kRank + kKey, expanded_size,
                                               n / kExpandedTile + 1, n) +
                          value_size * (kRank + 2) * 0x1p-24;
  result.coded_expanded_bound =
      result.expanded_bound + CodedExpandedError(q, weights);
  return result;
}

}  // namespace mlad
