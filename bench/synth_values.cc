#include "bench/synth_values.h"

#include <cmath>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "base/float16.h"
#include "quant/block_format.h"
#include "quant/tensor_block.h"

namespace mlad {
namespace {

/// splitmix64 (public domain, Sebastiano Vigna).
class Random {
 public:
  explicit Random(uint64_t state) : state_(state) {}
  uint64_t Next() {
    uint64_t z = state_ += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  /// About normal, deviation 1: the sum of four uniform 16-bit numbers.
  float NextNormal() {
    const uint64_t bits = Next();
    const int32_t sum =
        static_cast<int32_t>((bits & 0xFFFF) + ((bits >> 16) & 0xFFFF) +
                             ((bits >> 32) & 0xFFFF) + (bits >> 48));
    // A uniform 16-bit number has variance 2^32 / 12; four have 2^32 / 3.
    return static_cast<float>(sum - 2 * 65535) * (1.7320508f * 0x1p-16f);
  }

 private:
  uint64_t state_;
};

bool IsQuantised(TensorType type) {
  return IsBlockFormat(PackedFormatFor(type));
}

double Mean(const std::vector<float>& values) {
  double sum = 0;
  for (const float value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

double Rms(const std::vector<float>& values) {
  double sum = 0;
  for (const float value : values) sum += static_cast<double>(value) * value;
  return std::sqrt(sum / static_cast<double>(values.size()));
}

}  // namespace

uint64_t SynthStream(uint64_t seed, std::string_view name, int64_t piece) {
  uint64_t hash = 0xCBF29CE484222325u ^ seed;  // FNV-1a
  for (const char c : name) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  }
  return Random(hash + static_cast<uint64_t>(piece) * 0xD1342543DE82EF95u)
      .Next();
}

SynthValues::SynthValues(TensorType type, const SynthDistribution& distribution)
    : type_(type), distribution_(distribution) {
  if (IsQuantised(type)) Calibrate();
}

void SynthValues::Calibrate() {
  const TensorTypeInfo& info = GetTensorType(type_);
  std::vector<std::byte> blocks(256 * static_cast<size_t>(info.block_bytes));
  std::vector<float> values(256 * static_cast<size_t>(info.block_elements));
  const auto decode = [&](float scale, float minimum) {
    FillBlocks(1, absl::MakeSpan(blocks));
    SetScales(absl::MakeSpan(blocks), scale, minimum);
    DequantizeRow(type_, blocks.data(), static_cast<int64_t>(values.size()),
                  values.data());
  };
  float minimum_per_scale = 0;
  if (GetBlockFormat(PackedFormatFor(type_)).has_minimum) {
    decode(1, 0);
    const double scaled = Mean(values);
    decode(0, 1);
    minimum_per_scale = static_cast<float>(-scaled / Mean(values));
  }
  decode(1, minimum_per_scale);
  scale_ = static_cast<float>(distribution_.deviation / Rms(values));
  minimum_ = scale_ * minimum_per_scale;
}

void SynthValues::SetScales(absl::Span<std::byte> out, float scale,
                            float minimum) const {
  const uint16_t d = BlockScaleBits(type_, scale);
  const uint16_t n = F32ToF16(minimum);
  const size_t block_bytes = GetTensorType(type_).block_bytes;
  for (size_t at = 0; at < out.size(); at += block_bytes) {
    PutBlockScales(type_, d, n, &out[at]);
  }
}

void SynthValues::FillBlocks(uint64_t stream, absl::Span<std::byte> out) const {
  Random random(stream);
  size_t at = 0;
  for (; at + 8 <= out.size(); at += 8) {
    const uint64_t bits = random.Next();
    std::memcpy(&out[at], &bits, sizeof bits);
  }
  const uint64_t bits = random.Next();
  std::memcpy(out.data() + at, &bits, out.size() - at);
}

void SynthValues::FillFloats(uint64_t stream, absl::Span<std::byte> out) const {
  Random random(stream);
  const size_t bytes = GetTensorType(type_).block_bytes;
  for (size_t at = 0; at < out.size(); at += bytes) {
    const float value =
        distribution_.mean + distribution_.deviation * random.NextNormal();
    const uint16_t half =
        type_ == TensorType::kF16 ? F32ToF16(value) : F32ToBF16(value);
    if (type_ == TensorType::kF32) {
      std::memcpy(&out[at], &value, sizeof value);
    } else {
      std::memcpy(&out[at], &half, sizeof half);
    }
  }
}

void SynthValues::Fill(uint64_t stream, absl::Span<std::byte> out) const {
  if (!IsQuantised(type_)) {
    FillFloats(stream, out);
    return;
  }
  MLAD_DCHECK(out.size() % GetTensorType(type_).block_bytes == 0);
  FillBlocks(stream, out);
  SetScales(out, scale_, minimum_);
}

}  // namespace mlad
