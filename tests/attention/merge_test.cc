#include "attention/merge.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <set>
#include <vector>

#include <gtest/gtest.h>

namespace mlad {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kMaxLse = 20;

/// Partials of `rows` rows: random where the position has lanes, NaN elsewhere,
/// which must not be read.
struct Partials {
  int64_t rows, heads, rank;
  std::vector<float> out, lse;
  PartialView::OfNode storage;  // all lanes in one place

  Partials(int64_t row_count, int64_t head_count, int64_t kv_lora_rank,
           int64_t position, uint32_t seed = 1)
      : rows(row_count),
        heads(head_count),
        rank(kv_lora_rank),
        out(rows * kLanes * heads * rank, kNaN),
        lse(rows * kLanes * heads, kNaN) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<float> value(-1, 1);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t i = 0; i < ActiveLanes(position) * heads; ++i) {
        const int64_t at = r * kLanes * heads + i;
        lse[at] = kMaxLse * value(random);
        for (int64_t c = 0; c < rank; ++c) out[at * rank + c] = value(random);
      }
    }
  }

  int64_t Index(int64_t row, int64_t lane, int64_t head) const {
    return (row * kLanes + lane) * heads + head;
  }
  MergeArgs Args(int64_t row, int64_t position, int first_node = 0) {
    storage = {out.data(), lse.data()};
    MergeArgs args;
    args.partials = {absl::MakeConstSpan(&storage, 1), heads, rank};
    args.row = row;
    args.first_node = first_node;
    args.position = position;
    args.head_begin = 0;
    args.head_end = heads;
    return args;
  }
};

struct Merged {
  std::vector<float> out, lse;

  bool operator==(const Merged& other) const {
    return std::memcmp(out.data(), other.out.data(),
                       out.size() * sizeof(float)) == 0 &&
           std::memcmp(lse.data(), other.lse.data(),
                       lse.size() * sizeof(float)) == 0;
  }
};

Merged Merge(const MergeArgs& args) {
  const int64_t heads = args.head_end - args.head_begin;
  Merged merged = {std::vector<float>(heads * args.partials.kv_lora_rank, kNaN),
                   std::vector<float>(heads, kNaN)};
  MergePartials(args, merged.out.data(), args.partials.kv_lora_rank,
                merged.lse.data());
  return merged;
}

/// The definition, in double, over all lanes at once.
void ExpectExact(const Partials& partials, int64_t row, int64_t lanes,
                 const Merged& merged) {
  // A level adds to lse at most one rounding of the weights' sum, of its
  // logarithm and of the sum with the peak: 4 units of 2^-24 * max(1, |lse|).
  // Its weights are off by twice what lse is and 4 roundings of their own.
  const double bound = 5 * (2 * 4 * (kMaxLse + 5) + 4) * 0x1p-24;
  for (int64_t h = 0; h < partials.heads; ++h) {
    double sum = 0;
    std::vector<double> out(partials.rank);
    for (int64_t l = 0; l < lanes; ++l) {
      const int64_t at = partials.Index(row, l, h);
      const double weight = std::exp(static_cast<double>(partials.lse[at]));
      sum += weight;
      for (int64_t c = 0; c < partials.rank; ++c) {
        out[c] += weight * partials.out[at * partials.rank + c];
      }
    }
    EXPECT_NEAR(merged.lse[h], std::log(sum), bound) << "head " << h;
    for (int64_t c = 0; c < partials.rank; ++c) {
      ASSERT_NEAR(merged.out[h * partials.rank + c], out[c] / sum, bound)
          << "head " << h << " value " << c;
    }
  }
}

TEST(Merge, ActiveLanesOfAPosition) {
  EXPECT_EQ(ActiveLanes(0), 1);
  EXPECT_EQ(ActiveLanes(31), 1);
  EXPECT_EQ(ActiveLanes(32), 2);
  EXPECT_EQ(ActiveLanes(1023), 32);
  EXPECT_EQ(ActiveLanes(1024), 32);
}

TEST(Merge, EqualsTheDefinitionForAnyNumberOfLanes) {
  for (const int64_t position : {0, 40, 100, 500, 991, 1023, 5000}) {
    Partials partials(3, 5, 72, position, 7);  // 72: a chunk and a tail
    for (int64_t row = 0; row < 3; ++row) {
      ExpectExact(partials, row, ActiveLanes(position),
                  Merge(partials.Args(row, position)));
    }
  }
}

TEST(Merge, OneLaneIsPassedOnExactly) {
  Partials partials(1, 4, 96, 31);
  const Merged merged = Merge(partials.Args(0, 31));
  for (int64_t h = 0; h < 4; ++h) {
    EXPECT_EQ(merged.lse[h], partials.lse[h]);
    EXPECT_EQ(0, std::memcmp(&merged.out[h * 96], &partials.out[h * 96],
                             96 * sizeof(float)));
  }
}

TEST(Merge, EmptyLanesAreExactNoOps) {
  constexpr int64_t kPosition = 10000;
  Partials partials(1, 3, 40, kPosition);
  // Head 1 keeps lanes 5 and 13 only; what empty lanes hold is not read.
  for (int lane = 0; lane < kLanes; ++lane) {
    if (lane == 5 || lane == 13) continue;
    const int64_t at = partials.Index(0, lane, 1);
    partials.lse[at] = -kInfinity;
    std::fill_n(&partials.out[at * 40], 40, kNaN);
  }
  const Merged merged = Merge(partials.Args(0, kPosition));

  Partials pair(1, 1, 40, 40);
  for (int i = 0; i < 2; ++i) {
    const int64_t at = partials.Index(0, i == 0 ? 5 : 13, 1);
    pair.lse[i] = partials.lse[at];
    std::copy_n(&partials.out[at * 40], 40, &pair.out[i * 40]);
  }
  const Merged expected = Merge(pair.Args(0, 40));
  EXPECT_EQ(merged.lse[1], expected.lse[0]);
  EXPECT_EQ(0, std::memcmp(&merged.out[40], expected.out.data(), 160));
}

TEST(Merge, AllLanesEmptyGiveZeroOutput) {
  Partials partials(1, 2, 40, 5000);
  for (int lane = 0; lane < kLanes; ++lane) {
    partials.lse[partials.Index(0, lane, 1)] = -kInfinity;
  }
  const Merged merged = Merge(partials.Args(0, 5000));
  EXPECT_EQ(merged.lse[1], -kInfinity);
  for (int c = 0; c < 40; ++c) EXPECT_EQ(merged.out[40 + c], 0);
  EXPECT_NE(merged.lse[0], -kInfinity);
}

TEST(Merge, LargeScoresDoNotOverflow) {
  Partials partials(1, 1, 8, 40);
  partials.lse = std::vector<float>(kLanes, kNaN);
  partials.lse[0] = 3e38f;
  partials.lse[1] = -3e38f;
  const Merged merged = Merge(partials.Args(0, 40));
  EXPECT_EQ(merged.lse[0], 3e38f);
  EXPECT_EQ(0, std::memcmp(merged.out.data(), partials.out.data(), 32));
}

TEST(Merge, BitsDoNotDependOnTheRangeOfHeads) {
  Partials partials(2, 7, 100, 3000);
  MergeArgs args = partials.Args(1, 3000);
  const Merged all = Merge(args);
  for (int64_t h = 0; h < 7; ++h) {
    args.head_begin = h;
    args.head_end = h + 1;
    const Merged one = Merge(args);
    EXPECT_EQ(one.lse[0], all.lse[h]);
    EXPECT_EQ(0, std::memcmp(one.out.data(), &all.out[h * 100], 400));
  }
}

TEST(Merge, WritesRowsAtTheirStrideAndNothingElse) {
  Partials partials(1, 3, 10, 3000);
  std::vector<float> out(3 * 16, 77.0f);
  MergePartials(partials.Args(0, 3000), out.data(), 16, nullptr);
  const Merged expected = Merge(partials.Args(0, 3000));
  for (int64_t h = 0; h < 3; ++h) {
    EXPECT_EQ(0, std::memcmp(&out[h * 16], &expected.out[h * 10], 40));
    for (int c = 10; c < 16; ++c) EXPECT_EQ(out[h * 16 + c], 77.0f);
  }
}

TEST(Merge, NodesMergingTheirOwnLanesFirstGiveTheSameBits) {
  for (const int64_t position : {0, 64, 300, 700, 1023, 4000}) {
    const Partials original(2, 3, 72, position, 11);
    Partials copy = original;
    const Merged expected = Merge(copy.Args(1, position));
    for (const int nodes : {1, 2, 3, 4, 8, 16}) {
      for (int first_node = 0; first_node < nodes; ++first_node) {
        Partials partials = original;
        int64_t left = ActiveLanes(position);
        for (int node = 0; node < nodes; ++node) {
          MergeLocalLanes(partials.Args(1, position, first_node), node, nodes);
        }
        for (int lane = 0; lane < ActiveLanes(position); ++lane) {
          if (partials.lse[partials.Index(1, lane, 0)] == -kInfinity) --left;
        }
        if (nodes != 3) {
          EXPECT_LE(left, nodes);
        }
        EXPECT_EQ(Merge(partials.Args(1, position)), expected)
            << nodes << " nodes, first " << first_node << ", position "
            << position;
        // The other row is not touched.
        EXPECT_EQ(0, std::memcmp(partials.out.data(), original.out.data(),
                                 kLanes * 3 * 72 * sizeof(float)));
      }
    }
  }
}

TEST(Merge, ANodeTouchesOnlyItsOwnLanes) {
  const Partials original(1, 2, 16, 4000);
  Partials partials = original;
  MergeLocalLanes(partials.Args(0, 4000, 1), 0, 4);
  for (int lane = 0; lane < kLanes; ++lane) {
    if (LaneNode(lane, 1, 4) == 0) continue;
    const int64_t at = partials.Index(0, lane, 0);
    EXPECT_EQ(partials.lse[at], original.lse[at]);
    EXPECT_EQ(0, std::memcmp(&partials.out[at * 16], &original.out[at * 16],
                             2 * 16 * sizeof(float)));
  }
}

TEST(Merge, LanesLieWithTheirNode) {
  for (const int nodes : {1, 2, 3, 8, 32}) {
    constexpr int64_t kRows = 2, kHeads = 3, kRank = 8;
    const int64_t floats = kRows * LanesOnANode(nodes) * kHeads;
    std::vector<std::vector<float>> out(nodes), lse(nodes);
    std::vector<PartialView::OfNode> storage;
    for (int n = 0; n < nodes; ++n) {
      out[n].resize(floats * kRank);
      lse[n].resize(floats);
      storage.push_back({out[n].data(), lse[n].data()});
    }
    const PartialView view = {storage, kHeads, kRank};
    for (int first_node = 0; first_node < nodes; ++first_node) {
      std::set<float*> places;
      for (int64_t row = 0; row < kRows; ++row) {
        for (int lane = 0; lane < kLanes; ++lane) {
          const PartialView::Lane at = view.At(row, lane, first_node);
          const int home = LaneNode(lane, first_node, nodes);
          EXPECT_GE(at.lse, lse[home].data());
          EXPECT_LE(at.lse + kHeads, lse[home].data() + floats);
          EXPECT_EQ(at.out - out[home].data(),
                    (at.lse - lse[home].data()) * kRank);
          EXPECT_TRUE(places.insert(at.lse).second) << "two lanes, one place";
        }
      }
    }
  }
}

}  // namespace
}  // namespace mlad
