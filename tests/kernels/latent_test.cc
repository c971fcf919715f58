// The codec of the latent cache: quant/kv_type.h.
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "tests/kernels/kernel_test.h"
#include "tests/quant/random_tensor.h"

#include "base/float16.h"
#include "quant/kv_type.h"

namespace mlad {
namespace {

using ::mlad::testing::Random;
using ::mlad::testing::RandomFloats;
using ::mlad::testing::Seed;

constexpr std::byte kCanary{0xA5};
constexpr int64_t kLengths[] = {32, 64, 96, 576, 1056};

class LatentTest : public ::mlad::testing::KernelTest {
 protected:
  static std::vector<std::byte> Encode(const KernelTable& kernels, KvType type,
                                       const std::vector<float>& row) {
    const auto n = static_cast<int64_t>(row.size());
    const int64_t bytes = *KvRowBytes(type, n);
    std::vector<std::byte> out(bytes + 64, kCanary);
    kernels.encode_latent(type, row.data(), n, out.data());
    for (int64_t i = bytes; i < bytes + 64; ++i) {
      EXPECT_EQ(out[i], kCanary) << "wrote past the row";
    }
    out.resize(bytes);
    return out;
  }

  static std::vector<float> Decode(const KernelTable& kernels, KvType type,
                                   const std::vector<std::byte>& rows,
                                   int64_t count, int64_t n) {
    std::vector<float> out(count * n + 16, -12345.678f);
    kernels.decode_latent(type, rows.data(), count, n, out.data());
    for (size_t i = count * n; i < out.size(); ++i) {
      EXPECT_EQ(out[i], -12345.678f) << "wrote past the rows";
    }
    out.resize(count * n);
    return out;
  }
};

// Half a step of the code, whose size the definition gives, and for the types
// with an f16 scale half of what f16 may be off (2^-11 of the peak) or its
// smallest step where the scale is subnormal; F16 and BF16 round to 11 and 8
// bits.
double Tolerance(KvType type, const std::vector<float>& row, size_t i) {
  size_t begin = 0;
  size_t end = row.size();
  if (type != KvType::kQ8KV) {
    begin = i / 32 * 32;
    end = begin + 32;
  }
  double peak = 0;
  for (size_t j = begin; j < end; ++j) {
    peak = std::max(peak, std::fabs(double{row[j]}));
  }
  switch (type) {
    case KvType::kF16:
      return std::fabs(row[i]) * 0x1p-11 + 0x1p-25;
    case KvType::kBF16:
      return std::fabs(row[i]) * 0x1p-8;
    case KvType::kQ8_0:
      return peak / 127 * 0.501 + peak * 0x1p-11 + 127 * 0x1p-25;
    case KvType::kQ8KV:
      return peak / 127 * 0.501;
    case KvType::kQ6_0:
      return peak / 31 * 0.501 + peak * 0x1p-11 + 31 * 0x1p-25;
  }
  return 0;
}

TEST_F(LatentTest, RowsSurviveWithinTheStepOfTheirType) {
  for (KvType type : kAllKvTypes) {
    for (int64_t n : kLengths) {
      for (float magnitude : {1.0f, 0.01f, 300.0f, 0.0f}) {
        SCOPED_TRACE(std::string(KvTypeName(type)) + " of " +
                     std::to_string(n));
        const uint64_t seed = Seed(n);
        Random random(seed);
        const auto row = RandomFloats(random, n, magnitude);
        FOR_EACH_TABLE(kernels, seed) {
          const auto stored = Encode(*kernels, type, row);
          const auto out = Decode(*kernels, type, stored, 1, n);
          for (int64_t i = 0; i < n; ++i) {
            ASSERT_NEAR(out[i], row[i], Tolerance(type, row, i)) << i;
          }
        }
      }
    }
  }
}

TEST_F(LatentTest, EveryTableStoresAndReadsTheSameBytes) {
  const auto scalar = FindKernels(Isa::kScalar);
  ASSERT_TRUE(scalar.ok());
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  for (KvType type : kAllKvTypes) {
    for (int64_t n : kLengths) {
      for (float magnitude : {1.0f, 1e-4f, 1e-7f, 1e-35f, 0.0f, 1e6f, 1e30f}) {
        const uint64_t seed = Seed(200 + n);
        Random random(seed);
        std::vector<std::vector<float>> rows = {
            RandomFloats(random, n, magnitude)};
        for (float special : {kInfinity, -kInfinity, kNan}) {
          rows.push_back(rows[0]);
          rows.back()[random() % n] = special;
        }
        for (const auto& row : rows) {
          const auto expected = Encode(**scalar, type, row);
          const auto expected_row = Decode(**scalar, type, expected, 1, n);
          FOR_EACH_TABLE(kernels, seed) {
            SCOPED_TRACE(std::string(KvTypeName(type)) + " of " +
                         std::to_string(n) + " times " +
                         std::to_string(magnitude));
            ASSERT_EQ(Encode(*kernels, type, row), expected);
            const auto out = Decode(*kernels, type, expected, 1, n);
            for (int64_t i = 0; i < n; ++i) {
              if (std::isnan(expected_row[i])) {
                ASSERT_TRUE(std::isnan(out[i])) << i;
              } else {
                ASSERT_EQ(out[i], expected_row[i]) << i;
              }
            }
          }
        }
      }
    }
  }
}

TEST_F(LatentTest, SeveralRowsDecodeLikeEachAlone) {
  constexpr int64_t kRows = 7;
  for (KvType type : kAllKvTypes) {
    for (int64_t n : kLengths) {
      const uint64_t seed = Seed(300 + n);
      Random random(seed);
      FOR_EACH_TABLE(kernels, seed) {
        std::vector<std::byte> stored;
        std::vector<float> expected;
        for (int64_t r = 0; r < kRows; ++r) {
          const auto bytes = Encode(*kernels, type, RandomFloats(random, n));
          stored.insert(stored.end(), bytes.begin(), bytes.end());
          const auto out = Decode(*kernels, type, bytes, 1, n);
          expected.insert(expected.end(), out.begin(), out.end());
        }
        EXPECT_EQ(Decode(*kernels, type, stored, kRows, n), expected);
      }
    }
  }
}

// Every bit pattern of a stored row means something: all codes, by hand.
TEST_F(LatentTest, Q6LayoutByHand) {
  FOR_EACH_TABLE(kernels, 0) {
    for (int shift = 0; shift < 2; ++shift) {
      std::vector<std::byte> stored(26);
      const uint16_t two = F32ToF16(2.0f);
      std::memcpy(stored.data(), &two, 2);
      const auto code = [shift](int i) { return 2 * i + shift; };
      for (int i = 0; i < 16; ++i) {
        stored[2 + i] =
            static_cast<std::byte>((code(i) & 15) | (code(16 + i) & 15) << 4);
      }
      for (int i = 0; i < 32; ++i) {
        stored[18 + i % 8] |=
            static_cast<std::byte>(code(i) >> 4 << (i / 8 * 2));
      }
      const auto out = Decode(*kernels, KvType::kQ6_0, stored, 1, 32);
      std::vector<float> row(32);
      for (int i = 0; i < 32; ++i) {
        row[i] = 2.0f * static_cast<float>(code(i) - 32);
        EXPECT_EQ(out[i], row[i]) << i;
      }
    }
  }
}

TEST_F(LatentTest, Q8KVStoresScaleSumAndCodes) {
  Random random(1);
  for (int64_t n : {4, 36, 576}) {
    std::vector<float> row = RandomFloats(random, n, 0.2f);
    row[n / 2] = -127.0f;  // scale 1
    FOR_EACH_TABLE(kernels, 1) {
      const auto stored = Encode(*kernels, KvType::kQ8KV, row);
      float scale;
      int32_t sum;
      std::memcpy(&scale, stored.data(), 4);
      std::memcpy(&sum, stored.data() + 4, 4);
      EXPECT_EQ(scale, 1.0f);
      int32_t expected = 0;
      for (int64_t i = 0; i < n; ++i) {
        const int code = static_cast<int8_t>(stored[8 + i]);
        EXPECT_EQ(code, static_cast<int>(std::nearbyint(row[i])));
        expected += code;
      }
      EXPECT_EQ(sum, expected);
    }
  }
}

}  // namespace
}  // namespace mlad
