// How much of a prompt is read between two tokens of the running generations.
#pragma once

#include <cstdint>

#include "absl/time/time.h"

namespace mlad {

/// Learns from the time that steps take. Chunks are computed some layers at a
/// time, since a piece with fewer rows expands all positions before it again;
/// only where one layer takes too long, they are cut into rows as well.
class GapBudget {
 public:
  struct Shape {
    int64_t chunk_tokens = 0;
    int64_t layers = 0;
  };
  /// Fewest rows of a piece: matmuls of fewer cost as much.
  static constexpr int64_t kMinRows = 16;

  /// `bound` may be infinite: nothing is cut.
  GapBudget(absl::Duration bound, const Shape& shape);

  bool bounded() const { return bound_ != absl::InfiniteDuration(); }
  /// Rows of the next expanded piece, at least kMinRows (or the chunk, if it is
  /// smaller), and layers to compute at once, at least 1.
  int64_t expanded_rows() const { return expanded_rows_; }
  int64_t layers() const;
  /// Rows of an absorbed piece.
  int64_t absorbed_rows() const;

  /// What a step of the generating sequences takes.
  absl::Duration generating_time() const {
    return absl::Seconds(generating_s_);
  }

  /// A step of generating sequences only.
  void ObserveGenerating(absl::Duration time);
  /// A step with `rows` more, absorbed.
  void ObserveAbsorbed(int64_t rows, absl::Duration time);
  /// `layers` of `rows` expanded rows by themselves.
  void ObserveExpanded(int64_t rows, int64_t layers, absl::Duration time);

 private:
  /// What the generating sequences leave; aims below the bound, since no two
  /// steps take the same time.
  double FreeSeconds() const;

  absl::Duration bound_;
  Shape shape_;
  int64_t min_rows_;
  int64_t expanded_rows_;
  double generating_s_ = 0;    // a step
  double absorbed_row_s_ = 0;  // a row; 0: not known
  double layer_s_ = 0;         // a layer of expanded_rows_; 0: not known
};

}  // namespace mlad
