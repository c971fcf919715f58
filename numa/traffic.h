// Bytes that kernels read, by where they live.
#pragma once

#include <cstdint>

namespace mlad {

/// Counted by one worker; read by others when no step runs.
struct alignas(64) Traffic {
  int64_t local_bytes = 0;   // homed on the worker's node
  int64_t remote_bytes = 0;  // homed on another node

  void Add(bool local, int64_t bytes) {
    (local ? local_bytes : remote_bytes) += bytes;
  }
};

}  // namespace mlad
