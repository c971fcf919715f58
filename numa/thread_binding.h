// Binding threads to CPUs through hwloc.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"

struct hwloc_topology;

namespace mlad {

/// Binds the calling thread to `cpus` (OS indices) and remembers what it was
/// bound to before the first call. Nothing happens when it is bound so already.
/// Errors: kFailedPrecondition naming the CPUs.
absl::Status BindThisThread(hwloc_topology* topology,
                            absl::Span<const int> cpus);

/// Gives the calling thread back the CPUs it had before BindThisThread.
void UnbindThisThread(hwloc_topology* topology);

/// Binds the calling thread while it lives, then to what it was bound before.
/// A thread that cannot be bound stays where it is.
class ScopedThreadBinding {
 public:
  ScopedThreadBinding(hwloc_topology* topology, absl::Span<const int> cpus);
  ~ScopedThreadBinding();
  ScopedThreadBinding(const ScopedThreadBinding&) = delete;
  ScopedThreadBinding& operator=(const ScopedThreadBinding&) = delete;

 private:
  hwloc_topology* const topology_;
  const std::vector<int> before_;  // BoundCpus() at construction
};

/// What BindThisThread bound the calling thread to; empty when it did not.
absl::Span<const int> BoundCpus();

/// CPUs that the calling thread may use, not counting what BindThisThread did:
/// ascending OS indices, empty when unknown.
std::vector<int> AllowedCpus();

}  // namespace mlad
