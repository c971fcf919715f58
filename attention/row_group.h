// Query rows whose attention is computed together.
#pragma once

#include <cstdint>

#include "attention/latent_cache.h"

namespace mlad {

/// Consecutive rows of one sequence; row i has position first_position + i and
/// sees the positions up to its own.
struct RowGroup {
  const PageTable* pages = nullptr;
  int64_t first_position = 0;
  int64_t first_row = 0;  // in the step
  int64_t rows = 0;
  int64_t first_pass_row = 0;  // in the absorbed pass
};

}  // namespace mlad
