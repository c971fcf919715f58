#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "tests/kernels/kernel_test.h"
#include "tests/quant/random_tensor.h"

namespace mlad {
namespace {

using ::mlad::testing::Random;
using ::mlad::testing::RandomFloats;
using ::mlad::testing::Seed;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct TileCase {
  int64_t heads, positions, row_elements, value_elements;
};

constexpr TileCase kCases[] = {
    {1, 1, 48, 32},     {16, 64, 576, 512}, {3, 17, 80, 64},
    {128, 5, 576, 512}, {5, 64, 96, 80},    {7, 33, 53, 41},
};

// Queries, rows and an empty state.
struct Tile {
  TileCase shape;
  std::vector<float> q, rows;
  float scale;

  Tile(Random& random, const TileCase& s, int64_t positions)
      : shape(s),
        q(RandomFloats(random, s.heads * s.row_elements)),
        rows(RandomFloats(random, positions * s.row_elements)),
        scale(2.0f / std::sqrt(static_cast<float>(s.row_elements))) {}
};

struct State {
  std::vector<float> peak, sum, out;

  explicit State(const TileCase& s)
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

// Heads [head, head + heads) over positions [begin, begin + count).
void RunTile(const KernelTable& kernels, const Tile& tile, int64_t head,
             int64_t heads, int64_t begin, int64_t count, State* state) {
  const TileCase& s = tile.shape;
  AbsorbedTileArgs args;
  args.heads = heads;
  args.positions = count;
  args.row_elements = s.row_elements;
  args.value_elements = s.value_elements;
  args.q = tile.q.data() + head * s.row_elements;
  args.rows = tile.rows.data() + begin * s.row_elements;
  args.scale = tile.scale;
  args.state = {state->peak.data() + head, state->sum.data() + head,
                state->out.data() + head * s.value_elements};
  kernels.absorbed_tile(args);
}

class AbsorbedTileTest : public ::mlad::testing::KernelTest {};

// A score is a dot product of n = row_elements terms: off by (n + 1) half
// units of D = scale * sum |q||row|. That, for score and peak, moves exp by
// 2 (n + 1) 2^-24 D; exp is good to 2 units. The output sums positions terms
// and is compared after division by the sum, so twice all that.
TEST_F(AbsorbedTileTest, IsSoftmaxAttentionOverTheTiles) {
  uint64_t n = 0;
  for (const TileCase& s : kCases) {
    const uint64_t seed = Seed(++n);
    Random random(seed);
    const int64_t positions = 2 * s.positions;
    const Tile tile(random, s, positions);
    FOR_EACH_TABLE(kernels, seed) {
      State state(s);
      RunTile(*kernels, tile, 0, s.heads, 0, s.positions, &state);
      RunTile(*kernels, tile, 0, s.heads, s.positions, s.positions, &state);
      for (int64_t h = 0; h < s.heads; ++h) {
        std::vector<double> scores(positions);
        double peak = -kInfinity;
        double dot_magnitude = 0;
        for (int64_t p = 0; p < positions; ++p) {
          double magnitude = 0;
          for (int64_t c = 0; c < s.row_elements; ++c) {
            const double product = double{tile.q[h * s.row_elements + c]} *
                                   tile.rows[p * s.row_elements + c] *
                                   tile.scale;
            scores[p] += product;
            magnitude += std::fabs(product);
          }
          peak = std::max(peak, scores[p]);
          dot_magnitude = std::max(dot_magnitude, magnitude);
        }
        double sum = 0;
        for (double& score : scores) sum += score = std::exp(score - peak);
        const double score_error =
            0x1p-24 * static_cast<double>(s.row_elements + 2) * dot_magnitude;
        ASSERT_NEAR(state.peak[h], peak, score_error);
        const double relative =
            2 * score_error + 0x1p-24 * static_cast<double>(positions + 30);
        ASSERT_NEAR(state.sum[h] * std::exp(state.peak[h] - peak), sum,
                    1.01 * relative * sum);
        for (int64_t c = 0; c < s.value_elements; ++c) {
          double expected = 0;
          double magnitude = 0;
          for (int64_t p = 0; p < positions; ++p) {
            const double term =
                scores[p] / sum * tile.rows[p * s.row_elements + c];
            expected += term;
            magnitude += std::fabs(term);
          }
          ASSERT_NEAR(state.out[h * s.value_elements + c] / state.sum[h],
                      expected, 2.02 * relative * magnitude);
        }
      }
    }
  }
}

TEST_F(AbsorbedTileTest, BitsOfAHeadDoNotDependOnTheOthers) {
  uint64_t n = 10;
  for (const TileCase& s : kCases) {
    const uint64_t seed = Seed(++n);
    Random random(seed);
    const Tile tile(random, s, s.positions);
    FOR_EACH_TABLE(kernels, seed) {
      State all(s);
      RunTile(*kernels, tile, 0, s.heads, 0, s.positions, &all);
      for (int64_t step : {1, 2, 3, 4, 7, 8}) {
        State parts(s);
        for (int64_t h = 0; h < s.heads; h += step) {
          RunTile(*kernels, tile, h, std::min(step, s.heads - h), 0,
                  s.positions, &parts);
        }
        ASSERT_TRUE(parts == all) << step << " heads at a time";
      }
    }
  }
}

TEST_F(AbsorbedTileTest, NoPositionsChangeNothing) {
  const TileCase s = {4, 0, 64, 48};
  Random random(1);
  const Tile tile(random, s, 1);
  FOR_EACH_TABLE(kernels, 1) {
    State state(s);
    RunTile(*kernels, tile, 0, s.heads, 0, 0, &state);
    EXPECT_TRUE(state == State(s));
    RunTile(*kernels, tile, 0, s.heads, 0, 1, &state);
    const State before = state;
    RunTile(*kernels, tile, 0, s.heads, 0, 0, &state);
    EXPECT_TRUE(state == before);
  }
}

}  // namespace
}  // namespace mlad
