// Absorbed attention on the codes of Q8_KV rows: kernels/coded_attention.h.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "tests/kernels/kernel_test.h"
#include "tests/kernels/tile_stand_in.h"
#include "tests/quant/random_tensor.h"

namespace mlad {
namespace {

using ::mlad::testing::Random;
using ::mlad::testing::RandomFloats;
using ::mlad::testing::Seed;
using ::mlad::testing::TileStandInKernels;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr int64_t kRun = 32;  // positions that lie together
constexpr uint8_t kCanary = 0xA5;

struct Shape {
  int64_t heads, positions, row_elements, value_elements;
};

constexpr Shape kShapes[] = {
    {1, 1, 48, 32},      {16, 128, 576, 512}, {3, 17, 80, 64},
    {128, 5, 576, 512},  {21, 97, 112, 96},   {7, 33, 64, 48},
    {33, 101, 192, 128},
};

// Stored rows, in runs that do not lie one after another.
class Rows {
 public:
  Rows(Random& random, const Shape& shape)
      : row_elements_(shape.row_elements),
        row_bytes_(*KvRowBytes(KvType::kQ8KV, shape.row_elements)) {
    const KernelTable& scalar = *SupportedKernels().back();
    for (int64_t p = 0; p < shape.positions; ++p) {
      if (p % kRun == 0) runs_.emplace_back(kRun * row_bytes_);
      // Magnitudes differ from row to row.
      const std::vector<float> x =
          RandomFloats(random, row_elements_, 0.2f + static_cast<float>(p % 7));
      scalar.encode_latent(KvType::kQ8KV, x.data(), row_elements_, Row(p));
    }
    for (const auto& run : runs_) pointers_.push_back(run.data());
  }

  std::byte* Row(int64_t p) {
    return runs_[p / kRun].data() + p % kRun * row_bytes_;
  }
  CodedRows View(int64_t positions) const {
    return {pointers_.data(), kRun, positions, row_elements_};
  }
  // What the stored row stands for.
  double Value(int64_t p, int64_t c) const {
    const std::byte* row = runs_[p / kRun].data() + p % kRun * row_bytes_;
    float scale;
    std::memcpy(&scale, row, sizeof(scale));
    return double{scale} *
           static_cast<int8_t>(row[CodedRows::kHeaderBytes + c]);
  }

 private:
  int64_t row_elements_;
  int64_t row_bytes_;
  std::vector<std::vector<std::byte>> runs_;
  std::vector<const std::byte*> pointers_;
};

// Encoded queries with something behind them that nobody may write. Columns
// from `tail` on have scales of their own.
class Queries {
 public:
  Queries(const KernelTable& kernels, const std::vector<float>& q,
          int64_t heads, int64_t row_elements, int64_t tail)
      : slots_(QueryCodeBlocks(heads) * kCodeQueries),
        row_elements_(row_elements),
        tail_(tail),
        codes_(slots_ * row_elements + 64, kCanary),
        scale_(slots_ + 16, -1.0f),
        tail_scale_(scale_) {
    kernels.coded_attention->encode_queries(q.data(), heads, row_elements,
                                            row_elements, View());
    for (size_t i = slots_ * row_elements; i < codes_.size(); ++i) {
      EXPECT_EQ(codes_[i], kCanary);
    }
    for (int64_t i = slots_; i < slots_ + 16; ++i) {
      EXPECT_EQ(scale_[i], -1.0f);
      EXPECT_EQ(tail_scale_[i], -1.0f);
    }
  }

  QueryCodes View() {
    return {codes_.data(), scale_.data(), tail_scale_.data(), tail_};
  }
  float Scale(int64_t head, int64_t column) const {
    return (column < tail_ ? scale_ : tail_scale_)[head];
  }
  // What a code stands for.
  float Value(int64_t head, int64_t c) const {
    const int64_t at =
        ((head / 16 * (row_elements_ / 4) + c / 4) * 16 + head % 16) * 4 +
        c % 4;
    return Scale(head, c) * static_cast<float>(codes_[at] - 128);
  }

 private:
  int64_t slots_, row_elements_, tail_;
  std::vector<uint8_t> codes_;
  std::vector<float> scale_, tail_scale_;
};

struct State {
  std::vector<float> peak, sum, out;

  explicit State(const Shape& s)
      : peak(s.heads, -kInfinity),
        sum(s.heads),
        out(s.heads * s.value_elements) {}

  bool operator==(const State& other) const {
    const auto same = [](const std::vector<float>& a,
                         const std::vector<float>& b) {
      return std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
    };
    return same(peak, other.peak) && same(sum, other.sum) &&
           same(out, other.out);
  }
};

struct Problem {
  Shape shape;
  Rows rows;
  std::vector<float> q;
  float scale;

  Problem(Random& random, const Shape& s)
      : shape(s),
        rows(random, s),
        q(RandomFloats(random, s.heads * s.row_elements)),
        scale(0.3f / std::sqrt(static_cast<float>(s.row_elements))) {
    // Tails of another magnitude; and what codes stand for, so that encoding
    // them again adds no error.
    for (size_t i = 0; i < q.size(); ++i) {
      if (static_cast<int64_t>(i) % s.row_elements >= s.value_elements) {
        q[i] *= 9;
      }
    }
    const Queries codes(*SupportedKernels().back(), q, s.heads, s.row_elements,
                        s.value_elements);
    for (int64_t h = 0; h < s.heads; ++h) {
      for (int64_t c = 0; c < s.row_elements; ++c) {
        q[h * s.row_elements + c] = codes.Value(h, c);
      }
    }
  }

  // Heads [head, head + heads) over the first `positions` positions.
  void Attend(const KernelTable& kernels, int64_t head, int64_t heads,
              int64_t positions, State* state,
              int64_t visible = kMaxCodedPositions,
              int64_t visible_step = 0) const {
    const CodedAttention& coded = *kernels.coded_attention;
    const std::vector<float> some(
        q.begin() + head * shape.row_elements,
        q.begin() + (head + heads) * shape.row_elements);
    Queries queries(kernels, some, heads, shape.row_elements,
                    shape.value_elements);
    std::vector<int8_t> values((shape.positions + kCodePositions) *
                               shape.value_elements);
    std::vector<float> value_scales(shape.positions);
    coded.pack_values(rows.View(shape.positions), shape.value_elements,
                      values.data(), value_scales.data());
    CodedTileArgs args;
    args.queries = heads;
    args.value_scales = value_scales.data();
    args.rows = rows.View(positions);
    args.value_elements = shape.value_elements;
    args.q = queries.View();
    args.values = values.data();
    args.scale = scale;
    args.visible = visible;
    args.visible_step = visible_step;
    args.state = {state->peak.data() + head, state->sum.data() + head,
                  state->out.data() + head * shape.value_elements};
    coded.attend(args);
  }
};

class CodedAttentionTest : public ::mlad::testing::KernelTest {};

#define FOR_EACH_CODED_TABLE(kernels, seed) \
  FOR_EACH_TABLE(kernels, seed)             \
  if (kernels->coded_attention != nullptr)

TEST_F(CodedAttentionTest, ScalarTableHasIt) {
  EXPECT_NE((*FindKernels(Isa::kScalar))->coded_attention, nullptr);
}

TEST_F(CodedAttentionTest, QueriesAreTheNearestCodes) {
  constexpr int64_t kHeads = 18;
  constexpr int64_t kElements = 80;
  constexpr int64_t kTail = 48;
  Random random(Seed(1));
  std::vector<float> q = RandomFloats(random, kHeads * kElements, 3);
  for (int64_t c = 0; c < kElements; ++c) q[2 * kElements + c] = 0;
  q[3 * kElements + 7] = kInfinity;
  q[4 * kElements + 79] = kNan;
  for (int64_t c = kTail; c < kElements; ++c) q[5 * kElements + c] *= 100;
  FOR_EACH_CODED_TABLE(kernels, Seed(1)) {
    const Queries codes(*kernels, q, kHeads, kElements, kTail);
    for (int64_t h = 0; h < 2 * kCodeQueries; ++h) {
      for (const int64_t begin : {int64_t{0}, kTail}) {
        const int64_t end = begin == 0 ? kTail : kElements;
        const float scale = codes.Scale(h, begin);
        if ((h == 3 && begin == 0) || (h == 4 && begin == kTail)) {
          EXPECT_TRUE(std::isnan(scale)) << "head " << h;
          continue;
        }
        float peak = 0;
        for (int64_t c = begin; h < kHeads && c < end; ++c) {
          peak = std::max(peak, std::fabs(q[h * kElements + c]));
        }
        EXPECT_EQ(scale, peak / 127) << "head " << h;
        for (int64_t c = begin; c < end; ++c) {
          ASSERT_NEAR(codes.Value(h, c), h < kHeads ? q[h * kElements + c] : 0,
                      0.5001 * scale)
              << "head " << h << " column " << c;
        }
      }
    }
  }
}

TEST_F(CodedAttentionTest, ValuesLieFourPositionsSideBySide) {
  for (const Shape& s : kShapes) {
    Random random(Seed(2));
    Rows rows(random, s);
    FOR_EACH_CODED_TABLE(kernels, Seed(2)) {
      const int64_t groups =
          (s.positions + kCodePositions - 1) / kCodePositions;
      const int64_t size = groups * kCodePositions * s.value_elements;
      std::vector<int8_t> values(size + 64, static_cast<int8_t>(kCanary));
      std::vector<float> scales(s.positions + 1, -1.0f);
      kernels->coded_attention->pack_values(rows.View(s.positions),
                                            s.value_elements, values.data(),
                                            scales.data());
      EXPECT_EQ(scales.back(), -1.0f);
      for (int64_t p = 0; p < groups * kCodePositions; ++p) {
        for (int64_t c = 0; c < s.value_elements; ++c) {
          const int8_t expected =
              p < s.positions ? static_cast<int8_t>(
                                    rows.Row(p)[CodedRows::kHeaderBytes + c])
                              : 0;
          ASSERT_EQ(values[(p / 4 * s.value_elements + c) * 4 + p % 4],
                    expected)
              << "position " << p << " column " << c;
        }
      }
      for (int64_t i = size; i < size + 64; ++i) {
        ASSERT_EQ(values[i], static_cast<int8_t>(kCanary)) << "past the end";
      }
    }
  }
}

TEST_F(CodedAttentionTest, VectorsMayLieApartAndHaveNoTail) {
  constexpr int64_t kVectors = 5;
  constexpr int64_t kColumns = 48;
  constexpr int64_t kStride = 51;
  Random random(Seed(3));
  std::vector<float> x = RandomFloats(random, kVectors * kStride, 3);
  x[2 * kStride] = kNan;
  FOR_EACH_CODED_TABLE(kernels, Seed(3)) {
    std::vector<uint8_t> codes(kCodeQueries * kColumns + 1, kCanary);
    std::vector<float> scale(kCodeQueries + 1, -1.0f);
    kernels->coded_attention->encode_queries(
        x.data(), kVectors, kColumns, kStride, {codes.data(), scale.data()});
    EXPECT_EQ(codes.back(), kCanary);
    EXPECT_EQ(scale.back(), -1.0f);
    EXPECT_TRUE(std::isnan(scale[2]));
    for (const int64_t i : {0, 1, 3, 4}) {
      for (int64_t c = 0; c < kColumns; ++c) {
        ASSERT_NEAR(
            double{scale[i]} * (codes[(c / 4 * 16 + i) * 4 + c % 4] - 128),
            x[i * kStride + c], 0.5001 * scale[i])
            << "vector " << i << " column " << c;
      }
    }
  }
}

// Sums of codes are exact, scales are multiplied twice: 4 units.
TEST_F(CodedAttentionTest, ProjectMultipliesRowsByAMatrix) {
  const Shape s = {1, 21, 192, 48};
  Random random(Seed(4));
  Rows rows(random, s);
  for (const auto& [outputs, columns] :
       {std::pair<int64_t, int64_t>{16, 48}, {32, 48}, {48, 48}, {48, 128}}) {
    const std::vector<float> w = RandomFloats(random, outputs * columns);
    FOR_EACH_CODED_TABLE(kernels, Seed(4)) {
      std::vector<uint8_t> codes(outputs * columns);
      std::vector<float> scale(outputs);
      const QueryCodes matrix = {codes.data(), scale.data()};
      kernels->coded_attention->encode_queries(w.data(), outputs, columns,
                                               columns, matrix);
      const int64_t stride = outputs + 3;
      std::vector<float> out(s.positions * stride, -1.0f);
      kernels->coded_attention->project({rows.View(s.positions), columns,
                                         matrix, outputs, out.data(), stride});
      for (int64_t p = 0; p < s.positions; ++p) {
        for (int64_t i = 0; i < outputs; ++i) {
          double dot = 0;
          double magnitude = 0;
          for (int64_t c = 0; c < columns; ++c) {
            const int64_t at =
                ((i / 16 * (columns / 4) + c / 4) * 16 + i % 16) * 4 + c % 4;
            const double term =
                double{scale[i]} * (codes[at] - 128) * rows.Value(p, c);
            dot += term;
            magnitude += std::fabs(term);
          }
          ASSERT_NEAR(out[p * stride + i], dot, 4 * 0x1p-24 * magnitude)
              << "position " << p << " output " << i << " of " << outputs;
        }
        EXPECT_EQ(out[p * stride + outputs], -1.0f);
      }
    }
  }
}

// Softmax attention of one head in double, and how far off its output may be.
struct ExactHead {
  double peak = -kInfinity;
  double sum = 0;
  double score_bound = 0;         // of a score
  std::vector<double> out;        // normalised
  std::vector<double> out_bound;  // by column

  // Queries are what codes stand for, but for the rounding of their scales; a
  // score is off by rounding to f32 a few times: 8 units of its products.
  // Weights are off by what twice that does to exp, by 2 units of exp, and by
  // the largest of the tile / 510.
  ExactHead(const Problem& problem, int64_t head) {
    const Shape& s = problem.shape;
    const float* q = problem.q.data() + head * s.row_elements;
    std::vector<double> weights(s.positions);
    for (int64_t p = 0; p < s.positions; ++p) {
      double magnitude = 0;
      for (int64_t c = 0; c < s.row_elements; ++c) {
        const double value = problem.rows.Value(p, c) * problem.scale;
        weights[p] += q[c] * value;
        magnitude += std::fabs(q[c] * value);
      }
      peak = std::max(peak, weights[p]);
      score_bound = std::max(score_bound, 8 * 0x1p-24 * magnitude);
    }
    double heaviest = 0;  // weight times the row's largest value: 127 codes
    for (int64_t p = 0; p < s.positions; ++p) {
      sum += weights[p] = std::exp(weights[p] - peak);
      heaviest = std::max(heaviest, weights[p] * RowScale(problem, p));
    }
    out.resize(s.value_elements);
    out_bound.resize(s.value_elements);
    const double relative =
        2 * (std::expm1(2 * score_bound) + 0x1p-24 * (30.0 + s.positions));
    for (int64_t c = 0; c < s.value_elements; ++c) {
      for (int64_t p = 0; p < s.positions; ++p) {
        const double value = problem.rows.Value(p, c);
        out[c] += weights[p] / sum * value;
        out_bound[c] += relative * weights[p] / sum * std::fabs(value);
        if (const double unit = RowScale(problem, p); unit > 0) {
          out_bound[c] += 1.01 * heaviest / 510 / sum * std::fabs(value / unit);
        }
      }
    }
  }

  static double RowScale(const Problem& problem, int64_t p) {
    const CodedRows rows = problem.rows.View(p + 1);
    float scale;
    std::memcpy(&scale, rows.Row(p), sizeof(scale));
    return scale;
  }
};

TEST_F(CodedAttentionTest, IsSoftmaxAttentionWithWeightsOfEightBits) {
  uint64_t n = 10;
  for (const Shape& s : kShapes) {
    const uint64_t seed = Seed(++n);
    Random random(seed);
    const Problem problem(random, s);
    FOR_EACH_CODED_TABLE(kernels, seed) {
      State state(s);
      problem.Attend(*kernels, 0, s.heads, s.positions, &state);
      for (int64_t h = 0; h < s.heads; ++h) {
        const ExactHead exact(problem, h);
        ASSERT_NEAR(state.peak[h], exact.peak, exact.score_bound);
        ASSERT_NEAR(state.sum[h] * std::exp(state.peak[h] - exact.peak),
                    exact.sum,
                    exact.sum * (std::expm1(2 * exact.score_bound) +
                                 0x1p-24 * (30.0 + s.positions)));
        for (int64_t c = 0; c < s.value_elements; ++c) {
          ASSERT_NEAR(state.out[h * s.value_elements + c] / state.sum[h],
                      exact.out[c], exact.out_bound[c])
              << "head " << h << " column " << c;
        }
      }
    }
  }
}

// The second tile's update scales what the first left behind.
TEST_F(CodedAttentionTest, TilesAddUp) {
  const Shape s = {16, 40, 96, 64};
  Random random(Seed(30));
  const Problem problem(random, s);
  FOR_EACH_CODED_TABLE(kernels, Seed(30)) {
    State once(s), twice(s);
    problem.Attend(*kernels, 0, s.heads, s.positions, &once);
    problem.Attend(*kernels, 0, s.heads, s.positions, &twice);
    problem.Attend(*kernels, 0, s.heads, s.positions, &twice);
    EXPECT_EQ(once.peak, twice.peak);
    for (int64_t h = 0; h < s.heads; ++h) {
      EXPECT_NEAR(twice.sum[h], 2 * once.sum[h], 1e-5 * once.sum[h]);
      for (int64_t c = 0; c < s.value_elements; ++c) {
        const float out = once.out[h * s.value_elements + c];
        EXPECT_NEAR(twice.out[h * s.value_elements + c], 2 * out,
                    1e-5 * std::fabs(out));
      }
    }
  }
}

TEST_F(CodedAttentionTest, BitsOfAHeadDoNotDependOnTheOthers) {
  uint64_t n = 40;
  for (const Shape& s : kShapes) {
    const uint64_t seed = Seed(++n);
    Random random(seed);
    const Problem problem(random, s);
    FOR_EACH_CODED_TABLE(kernels, seed) {
      State all(s);
      problem.Attend(*kernels, 0, s.heads, s.positions, &all);
      for (const int64_t step : {1, 3, 4, 7, 16, 17}) {
        State parts(s);
        for (int64_t h = 0; h < s.heads; h += step) {
          problem.Attend(*kernels, h, std::min(step, s.heads - h), s.positions,
                         &parts);
        }
        ASSERT_TRUE(parts == all) << step << " heads at a time";
      }
    }
  }
}

TEST_F(CodedAttentionTest, NoPositionsChangeNothing) {
  const Shape s = {4, 3, 64, 48};
  Random random(Seed(50));
  const Problem problem(random, s);
  FOR_EACH_CODED_TABLE(kernels, Seed(50)) {
    State state(s);
    problem.Attend(*kernels, 0, s.heads, 0, &state);
    EXPECT_TRUE(state == State(s));
  }
}

// Queries of a chunk see one position more each: the bits are those of each
// alone with what it sees.
TEST_F(CodedAttentionTest, HiddenPositionsDoNotCount) {
  const Shape s = {19, 40, 64, 48};
  constexpr int64_t kFirstVisible = -2;
  Random random(Seed(55));
  const Problem problem(random, s);
  FOR_EACH_CODED_TABLE(kernels, Seed(55)) {
    State chunk(s), alone(s);
    problem.Attend(*kernels, 0, s.heads, s.positions, &chunk, kFirstVisible, 1);
    for (int64_t i = 0; i < s.heads; ++i) {
      const int64_t visible = std::max<int64_t>(kFirstVisible + i, 0);
      problem.Attend(*kernels, i, 1, visible, &alone);
    }
    EXPECT_TRUE(chunk == alone);
  }
}

TEST_F(CodedAttentionTest, WhatIsNotANumberShows) {
  const Shape s = {2, 9, 64, 48};
  Random random(Seed(60));
  Problem problem(random, s);
  std::memcpy(problem.rows.Row(4), &kNan, sizeof(kNan));
  FOR_EACH_CODED_TABLE(kernels, Seed(60)) {
    State state(s);
    problem.Attend(*kernels, 0, s.heads, s.positions, &state);
    for (const float sum : state.sum) EXPECT_TRUE(std::isnan(sum));
  }
}

TEST(TileAttentionTest, HasTheBitsOfTheVnniKernel) {
  const auto tiles = TileStandInKernels();
  if (!tiles.has_value()) GTEST_SKIP() << "ISA avx512: not on this CPU";
  const KernelTable& vnni = **FindKernels(Isa::kAvx512);
  Random random(Seed(11));
  for (const Shape& shape : kShapes) {
    const Problem problem(random, shape);
    for (int64_t positions = 1; positions <= shape.positions; ++positions) {
      State expected(shape), state(shape);
      problem.Attend(vnni, 0, shape.heads, positions, &expected, positions / 2,
                     1);
      problem.Attend(*tiles, 0, shape.heads, positions, &state, positions / 2,
                     1);
      EXPECT_TRUE(state == expected)
          << shape.heads << " heads, " << positions << " positions";
    }
  }
}

}  // namespace
}  // namespace mlad
