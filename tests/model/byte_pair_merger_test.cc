#include "model/byte_pair_merger.h"

#include <map>
#include <random>
#include <string>
#include <tuple>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mlad {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Pair = std::pair<int32_t, int32_t>;

std::vector<int32_t> Encode(const BytePairMerger& merger,
                            std::string_view piece) {
  BytePairMerger::Workspace workspace;
  std::vector<int32_t> ids;
  merger.Encode(piece, workspace, ids);
  return ids;
}

/// The definition: merge the best pair, leftmost first, until none is left.
std::vector<int32_t> EncodeByDefinition(
    const std::map<Pair, std::pair<int, int32_t>>& merges,
    std::vector<int32_t> ids) {
  for (;;) {
    size_t best = ids.size();
    int best_rank = 1 << 30;
    int32_t merged = 0;
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      const auto found = merges.find({ids[i], ids[i + 1]});
      if (found != merges.end() && found->second.first < best_rank) {
        best = i;
        std::tie(best_rank, merged) = found->second;
      }
    }
    if (best == ids.size()) return ids;
    ids[best] = merged;
    ids.erase(ids.begin() + static_cast<ptrdiff_t>(best) + 1);
  }
}

TEST(BytePairMerger, MergesByRankNotByPlace) {
  BytePairMerger merger;
  for (char c : {'a', 'b', 'c'}) merger.SetByte(static_cast<uint8_t>(c), c);
  EXPECT_TRUE(merger.AddMerge('b', 'c', 1000));
  EXPECT_TRUE(merger.AddMerge('a', 'b', 1001));
  EXPECT_FALSE(merger.AddMerge('a', 'b', 1002));
  EXPECT_THAT(Encode(merger, "abc"), ElementsAre('a', 1000));
  EXPECT_THAT(Encode(merger, "ab"), ElementsAre(1001));
  EXPECT_THAT(Encode(merger, ""), IsEmpty());
  EXPECT_THAT(Encode(merger, "c"), ElementsAre('c'));
}

TEST(BytePairMerger, EqualPairsMergeFromTheLeft) {
  BytePairMerger merger;
  merger.SetByte('a', 'a');
  merger.AddMerge('a', 'a', 1000);
  EXPECT_THAT(Encode(merger, "aaa"), ElementsAre(1000, 'a'));
  EXPECT_THAT(Encode(merger, "aaaaa"), ElementsAre(1000, 1000, 'a'));
}

TEST(BytePairMerger, AgreesWithTheDefinition) {
  std::mt19937 random(11);
  for (int round = 0; round < 300; ++round) {
    // Random merges over 3 bytes; results may repeat, as in real vocabularies.
    BytePairMerger merger;
    for (int32_t id = 0; id < 3; ++id) {
      merger.SetByte(static_cast<uint8_t>('a' + id), id);
    }
    std::map<Pair, std::pair<int, int32_t>> merges;
    int32_t tokens = 3;
    for (int rank = 0; rank < 20;) {
      const Pair pair(random() % static_cast<uint32_t>(tokens),
                      random() % static_cast<uint32_t>(tokens));
      const int32_t merged = tokens;
      if (!merges.try_emplace(pair, rank, merged).second) continue;
      EXPECT_TRUE(merger.AddMerge(pair.first, pair.second, merged));
      ++tokens;
      ++rank;
    }
    std::string piece;
    std::vector<int32_t> bytes;
    for (size_t i = 0; i < random() % 60; ++i) {
      bytes.push_back(static_cast<int32_t>(random() % 3));
      piece.push_back(static_cast<char>('a' + bytes.back()));
    }
    EXPECT_EQ(Encode(merger, piece), EncodeByDefinition(merges, bytes))
        << piece;
  }
}

}  // namespace
}  // namespace mlad
