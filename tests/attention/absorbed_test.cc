#include "attention/absorbed.h"

#include <cmath>
#include <cstring>
#include <vector>

#include <gtest/gtest.h>

#include "tests/attention/cached_sequences.h"

namespace mlad {
namespace {

constexpr int64_t kContext = 1100;  // lanes 0, 1 and 2 have two pages

/// One query row of a test.
struct Query {
  int sequence;
  int64_t position;
};

// Ends of pages, of the first round of lanes, and both sequences.
const std::vector<Query> kQueries = {
    {0, 0},    {0, 1},    {0, 2},    {0, 31},   {0, 32},
    {1, 500},  {1, 1020}, {1, 1021}, {1, 1022}, {1, 1023},
    {1, 1024}, {1, 1025}, {0, 1098}, {0, 1099}, {1, 77},
};

/// q of query i and head h, [kNope + kRope].
std::vector<float> QueryOf(size_t query, int64_t head) {
  return RandomFloats(kNope + kRope, 1,
                      static_cast<uint32_t>(100 + query * kHeads + head));
}

std::vector<HeadWeights> AllHeads() {
  std::vector<HeadWeights> heads;
  for (uint32_t h = 0; h < kHeads; ++h) heads.push_back(RandomHead(5000 + h));
  return heads;
}

CachedSequences MakeSequences(const KernelTable& kernels, KvType type,
                              int nodes) {
  CachedSequences sequences(kernels, type, nodes);
  sequences.Add(kContext, 1);
  sequences.Add(kContext, 2);
  return sequences;
}

/// A pass over some of kQueries: adjacent rows of a sequence share a group.
class Pass {
 public:
  Pass(const CachedSequences& sequences, std::vector<size_t> queries)
      : sequences_(sequences),
        queries_(std::move(queries)),
        rows_(static_cast<int64_t>(queries_.size())),
        lane_rows_(rows_ * LanesOnANode(sequences.nodes()) * kHeads),
        out_(sequences.nodes() * lane_rows_ * kRank),
        lse_(sequences.nodes() * lane_rows_) {
    for (int n = 0; n < sequences.nodes(); ++n) {
      partials_.push_back(
          {out_.data() + n * lane_rows_ * kRank, lse_.data() + n * lane_rows_});
    }
    const std::vector<HeadWeights> heads = AllHeads();
    for (const size_t query : queries_) {
      for (int64_t h = 0; h < kHeads; ++h) {
        const std::vector<float> q =
            AbsorbQuery(heads[h], QueryOf(query, h).data());
        q_.insert(q_.end(), q.begin(), q.end());
      }
    }
    for (int64_t row = 0; row < rows_; ++row) AddRow(row);
  }

  /// All workers of all nodes, one after the other.
  void Run(int workers) {
    AlignedFloats scratch(AbsorbedScratchFloats(TestAbsorbedShape()));
    AbsorbedPass pass;
    pass.kernels = &sequences_.kernels();
    pass.cache = &sequences_.cache();
    pass.layer = CachedSequences::kLayer;
    pass.shape = TestAbsorbedShape();
    pass.groups = groups_;
    pass.q = q_.data();
    pass.partials = {partials_, kHeads, kRank};
    pass.scratch = scratch.data();
    pass.traffic = &traffic;
    WorkerContext context;
    context.nodes = sequences_.nodes();
    context.workers = workers;
    for (context.node = 0; context.node < context.nodes; ++context.node) {
      for (context.worker = 0; context.worker < workers; ++context.worker) {
        RunAbsorbed(pass, context);
      }
    }
  }

  /// Merged latents of one row, [kHeads, kRank]; NaN if a partial is missing.
  std::vector<float> Merged(int64_t row) const {
    MergeArgs args;
    const Query& query = kQueries[queries_[row]];
    args.partials = {partials_, kHeads, kRank};
    args.row = row;
    args.first_node = sequences_.pages(query.sequence).first_node;
    args.position = query.position;
    args.head_end = kHeads;
    std::vector<float> out(kHeads * kRank);
    MergePartials(args, out.data(), kRank, nullptr);
    return out;
  }

  Traffic traffic;

 private:
  void AddRow(int64_t row) {
    const Query& query = kQueries[queries_[row]];
    const PageTable* pages = &sequences_.pages(query.sequence);
    if (!groups_.empty()) {
      RowGroup& last = groups_.back();
      if (last.pages == pages &&
          last.first_position + last.rows == query.position) {
        ++last.rows;
        return;
      }
    }
    groups_.push_back({pages, query.position, 0, 1, row});
  }

  const CachedSequences& sequences_;
  std::vector<size_t> queries_;
  int64_t rows_;
  std::vector<RowGroup> groups_;
  std::vector<float> q_;  // [rows, kHeads, kRow]
  int64_t lane_rows_;     // (row, lane, head) triples of a node
  AlignedFloats out_, lse_;
  std::vector<PartialView::OfNode> partials_;  // [nodes]
};

std::vector<size_t> AllQueries() {
  std::vector<size_t> all(kQueries.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = i;
  return all;
}

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() &&
         std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

class Absorbed : public ::testing::TestWithParam<const KernelTable*> {};

TEST_P(Absorbed, EqualsTheDefinitionForEveryCacheType) {
  const std::vector<HeadWeights> heads = AllHeads();
  for (const KvType type : kAllKvTypes) {
    SCOPED_TRACE(KvTypeName(type));
    const bool coded =
        type == KvType::kQ8KV && GetParam()->coded_attention != nullptr;
    const CachedSequences sequences = MakeSequences(*GetParam(), type, 2);
    std::vector<ExactHead> exact_heads[2];
    for (int s = 0; s < 2; ++s) {
      for (const HeadWeights& head : heads) {
        exact_heads[s].emplace_back(head, sequences.Latents(s, kContext));
      }
    }
    Pass pass(sequences, AllQueries());
    pass.Run(2);
    for (size_t i = 0; i < kQueries.size(); ++i) {
      const std::vector<float> merged = pass.Merged(static_cast<int64_t>(i));
      for (int64_t h = 0; h < kHeads; ++h) {
        const ExactAttention exact =
            exact_heads[kQueries[i].sequence][h].Attend(
                QueryOf(i, h).data(), kQueries[i].position + 1);
        for (int64_t v = 0; v < kValue; ++v) {
          double out = 0;
          for (int64_t c = 0; c < kRank; ++c) {
            out += static_cast<double>(heads[h].w_uv[c * kValue + v]) *
                   merged[h * kRank + c];
          }
          ASSERT_NEAR(out, exact.out[v],
                      coded ? exact.coded_absorbed_bound : exact.absorbed_bound)
              << "query " << i << " head " << h << " value " << v;
        }
      }
    }
  }
}

TEST_P(Absorbed, BitsDoNotDependOnNodesWorkersOrNeighbours) {
  const CachedSequences one_node = MakeSequences(*GetParam(), KvType::kQ8KV, 1);
  std::vector<std::vector<float>> alone;
  for (size_t i = 0; i < kQueries.size(); ++i) {
    Pass pass(one_node, {i});
    pass.Run(1);
    alone.push_back(pass.Merged(0));
  }
  for (const int nodes : {1, 2, 4, 8}) {
    const CachedSequences sequences =
        MakeSequences(*GetParam(), KvType::kQ8KV, nodes);
    for (const int workers : {1, 2, 3, 50}) {
      Pass pass(sequences, AllQueries());
      pass.Run(workers);
      for (size_t i = 0; i < kQueries.size(); ++i) {
        EXPECT_TRUE(SameBits(pass.Merged(static_cast<int64_t>(i)), alone[i]))
            << "query " << i << ", " << nodes << " nodes of " << workers;
      }
    }
  }
}

// More rows than one round of softmax states holds.
TEST_P(Absorbed, LongGroupsEqualTheirRowsAlone) {
  CachedSequences sequences(*GetParam(), KvType::kF16, 2);
  sequences.Add(70, 3);
  std::vector<float> q;
  for (uint32_t i = 0; i < 64; ++i) {
    const std::vector<float> row = RandomFloats(kHeads * kRow, 0.5f, 900 + i);
    q.insert(q.end(), row.begin(), row.end());
  }
  const auto run = [&](std::vector<RowGroup> groups, AlignedFloats& out) {
    AlignedFloats scratch(AbsorbedScratchFloats(TestAbsorbedShape()));
    AlignedFloats lse(64 * kLanes * kHeads);
    Traffic traffic;
    AbsorbedPass pass;
    pass.kernels = GetParam();
    pass.cache = &sequences.cache();
    pass.layer = CachedSequences::kLayer;
    pass.shape = TestAbsorbedShape();
    pass.groups = groups;
    pass.q = q.data();
    // The lanes of both nodes in one place.
    const PartialView::OfNode partials = {out.data(), lse.data()};
    pass.partials = {absl::MakeConstSpan(&partials, 1), kHeads, kRank};
    pass.scratch = scratch.data();
    pass.traffic = &traffic;
    WorkerContext context;
    context.nodes = 2;
    for (context.node = 0; context.node < 2; ++context.node) {
      RunAbsorbed(pass, context);
    }
  };
  constexpr int64_t kFloats = 64 * kLanes * kHeads * kRank;
  AlignedFloats together(kFloats), apart(kFloats);
  run({{&sequences.pages(0), 6, 0, 64, 0}}, together);
  std::vector<RowGroup> groups;
  for (int64_t i = 0; i < 64; ++i) {
    groups.push_back({&sequences.pages(0), 6 + i, 0, 1, i});
  }
  run(groups, apart);
  // Lanes that were not written are NaN in both.
  EXPECT_EQ(
      0, std::memcmp(together.data(), apart.data(), kFloats * sizeof(float)));
  EXPECT_FALSE(std::isnan(together.data()[0]));
}

TEST_P(Absorbed, CountsLatentsAsLocalAndQueriesOnce) {
  const CachedSequences sequences =
      MakeSequences(*GetParam(), KvType::kQ8KV, 2);
  Pass pass(sequences, {13});  // position 1099
  pass.Run(1);
  const int64_t queries = kHeads * kRow * static_cast<int64_t>(sizeof(float));
  EXPECT_EQ(pass.traffic.local_bytes,
            1100 * sequences.cache().row_bytes() + queries);
  EXPECT_EQ(pass.traffic.remote_bytes, queries);
}

INSTANTIATE_TEST_SUITE_P(Kernels, Absorbed,
                         ::testing::ValuesIn(SupportedKernels()),
                         [](const auto& table) {
                           return std::string(IsaName(table.param->isa));
                         });

}  // namespace
}  // namespace mlad
