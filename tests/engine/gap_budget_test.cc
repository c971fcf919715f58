// The budget against machines whose steps take a known time.
#include "engine/gap_budget.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace mlad {
namespace {

constexpr GapBudget::Shape kShape = {.chunk_tokens = 512, .layers = 24};
constexpr absl::Duration kBound = absl::Milliseconds(200);

/// What steps take.
struct Machine {
  absl::Duration generating;
  absl::Duration layer;         // of a piece, whatever its rows
  absl::Duration expanded_row;  // in a layer
  absl::Duration absorbed_row;  // in all layers
};

struct Outcome {
  absl::Duration longest;  // generating and one piece; without the first ones
  int64_t pieces = 0;
};

/// Reads `rows` in the expanded form.
Outcome ReadExpanded(GapBudget& budget, const Machine& machine, int64_t rows) {
  Outcome outcome;
  while (rows > 0) {
    const int64_t piece = std::min(rows, budget.expanded_rows());
    for (int64_t done = 0; done < kShape.layers;) {
      budget.ObserveGenerating(machine.generating);
      const int64_t layers = std::min(budget.layers(), kShape.layers - done);
      const absl::Duration time =
          layers * (machine.layer + piece * machine.expanded_row);
      budget.ObserveExpanded(piece, layers, time);
      if (++outcome.pieces > 4) {
        outcome.longest = std::max(outcome.longest, machine.generating + time);
      }
      done += layers;
    }
    rows -= piece;
  }
  return outcome;
}

TEST(GapBudget, WithoutABoundNothingIsCut) {
  GapBudget budget(absl::InfiniteDuration(), kShape);
  budget.ObserveExpanded(512, 24, absl::Seconds(100));
  budget.ObserveAbsorbed(512, absl::Seconds(100));
  EXPECT_FALSE(budget.bounded());
  EXPECT_EQ(budget.expanded_rows(), 512);
  EXPECT_EQ(budget.layers(), 24);
  EXPECT_EQ(budget.absorbed_rows(), 512);
}

TEST(GapBudget, BeginsWithSmallPieces) {
  const GapBudget budget(kBound, kShape);
  EXPECT_LE(budget.expanded_rows(), 128);
  EXPECT_EQ(budget.layers(), 1);
  EXPECT_EQ(budget.absorbed_rows(), GapBudget::kMinRows);
}

TEST(GapBudget, CutsChunksIntoLayersFirst) {
  GapBudget budget(kBound, kShape);
  const Machine machine = {absl::Milliseconds(20),
                           absl::Milliseconds(5),
                           absl::Microseconds(50),
                           {}};
  const Outcome outcome = ReadExpanded(budget, machine, 8192);
  EXPECT_LT(outcome.longest, kBound);
  EXPECT_EQ(budget.expanded_rows(), 512) << "a layer of a chunk takes 31 ms";
  EXPECT_EQ(budget.layers(), 3);
}

TEST(GapBudget, CutsRowsWhereALayerTakesTooLong) {
  GapBudget budget(kBound, kShape);
  const Machine machine = {absl::Milliseconds(20),
                           absl::Milliseconds(5),
                           absl::Microseconds(500),
                           {}};
  const Outcome outcome = ReadExpanded(budget, machine, 8192);
  EXPECT_LT(outcome.longest, kBound);
  EXPECT_EQ(budget.layers(), 1);
  EXPECT_LT(budget.expanded_rows(), 240);
  EXPECT_GE(budget.expanded_rows(), 64);
}

TEST(GapBudget, AFastMachineReadsWholeChunks) {
  GapBudget budget(kBound, kShape);
  const Machine machine = {absl::Milliseconds(2),
                           absl::Microseconds(100),
                           absl::Microseconds(5),
                           {}};
  ReadExpanded(budget, machine, 8192);
  EXPECT_EQ(budget.expanded_rows(), 512);
  EXPECT_EQ(budget.layers(), 24);
}

TEST(GapBudget, FollowsARiseAtOnce) {
  GapBudget budget(kBound, kShape);
  Machine machine = {absl::Milliseconds(20),
                     absl::Milliseconds(2),
                     absl::Microseconds(20),
                     {}};
  ReadExpanded(budget, machine, 4096);
  EXPECT_GE(budget.layers(), 8);
  budget.ObserveGenerating(absl::Milliseconds(100));
  EXPECT_LE(budget.layers(), 4);
}

TEST(GapBudget, AlwaysReadsSomething) {
  GapBudget budget(kBound, kShape);
  budget.ObserveGenerating(absl::Seconds(3));
  budget.ObserveExpanded(16, 1, absl::Seconds(3));
  budget.ObserveAbsorbed(16, absl::Seconds(6));
  EXPECT_EQ(budget.layers(), 1);
  EXPECT_EQ(budget.expanded_rows(), GapBudget::kMinRows);
  EXPECT_GE(budget.absorbed_rows(), 1);
}

TEST(GapBudget, AbsorbedRowsFillWhatIsLeft) {
  GapBudget budget(kBound, kShape);
  const absl::Duration generating = absl::Milliseconds(20);
  budget.ObserveGenerating(generating);
  for (int step = 0; step < 20; ++step) {
    const int64_t rows = budget.absorbed_rows();
    const absl::Duration time = generating + rows * absl::Milliseconds(1);
    EXPECT_LT(time, kBound);
    budget.ObserveAbsorbed(rows, time);
  }
  EXPECT_GE(budget.absorbed_rows(), 110);
}

TEST(GapBudget, AShortChunkIsAPieceByItself) {
  const GapBudget budget(kBound, {.chunk_tokens = 8, .layers = 4});
  EXPECT_EQ(budget.expanded_rows(), 8);
}

}  // namespace
}  // namespace mlad
