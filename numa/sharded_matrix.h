// A weight matrix split by output rows over the nodes.
#pragma once

#include <cstdint>
#include <vector>

#include "quant/packed_matrix.h"

namespace mlad {

/// One node's rows: matrix row i is row row_begin + i of the whole.
struct MatrixShard {
  int64_t row_begin = 0;
  PackedMatrix matrix;
};

/// shards[n] lives in node n's memory; together they hold every row once.
struct ShardedMatrix {
  int64_t rows = 0;
  int64_t cols = 0;
  std::vector<MatrixShard> shards;

  bool empty() const { return shards.empty(); }
};

}  // namespace mlad
