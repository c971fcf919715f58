#include "numa/thread_binding.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include <hwloc.h>
#include <sched.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace mlad {
namespace {

/// A fact about the thread, not about the program: hence thread_local.
struct Binding {
  std::vector<int> before;  // empty while the thread is not bound by us
  std::vector<int> cpus;
};
thread_local Binding binding;

/// The kernel's answer needs a mask as long as its own; grow until it fits.
std::vector<int> CurrentAffinity() {
  for (int limit = 1024; limit <= 1 << 20; limit *= 4) {
    cpu_set_t* set = CPU_ALLOC(limit);
    if (set == nullptr) break;
    const size_t bytes = CPU_ALLOC_SIZE(limit);
    CPU_ZERO_S(bytes, set);
    const bool known = sched_getaffinity(0, bytes, set) == 0;
    const bool too_small = !known && errno == EINVAL;
    std::vector<int> cpus;
    for (int cpu = 0; known && cpu < limit; ++cpu) {
      if (CPU_ISSET_S(cpu, bytes, set)) cpus.push_back(cpu);
    }
    CPU_FREE(set);
    if (!too_small) return cpus;
  }
  return {};
}

bool SetAffinity(hwloc_topology* topology, absl::Span<const int> cpus) {
  hwloc_bitmap_t set = hwloc_bitmap_alloc();
  if (set == nullptr) return false;
  for (int cpu : cpus) hwloc_bitmap_set(set, cpu);
  const bool done =
      hwloc_set_cpubind(topology, set,
                        HWLOC_CPUBIND_THREAD | HWLOC_CPUBIND_STRICT) == 0;
  const int error = errno;
  hwloc_bitmap_free(set);
  errno = error;
  return done;
}

}  // namespace

absl::Status BindThisThread(hwloc_topology* topology,
                            absl::Span<const int> cpus) {
  if (absl::MakeConstSpan(binding.cpus) == cpus) return absl::OkStatus();
  if (binding.before.empty()) binding.before = CurrentAffinity();
  if (!SetAffinity(topology, cpus)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "cannot bind a thread to CPU ", absl::StrJoin(cpus, ","), ": ",
        std::strerror(errno),
        "; check the affinity and cgroup the process was started with"));
  }
  binding.cpus.assign(cpus.begin(), cpus.end());
  return absl::OkStatus();
}

void UnbindThisThread(hwloc_topology* topology) {
  if (binding.cpus.empty()) return;
  if (!binding.before.empty()) SetAffinity(topology, binding.before);
  binding = {};
}

ScopedThreadBinding::ScopedThreadBinding(hwloc_topology* topology,
                                         absl::Span<const int> cpus)
    : topology_(topology), before_(binding.cpus) {
  BindThisThread(topology, cpus).IgnoreError();
}

ScopedThreadBinding::~ScopedThreadBinding() {
  if (before_.empty()) {
    UnbindThisThread(topology_);
  } else {
    BindThisThread(topology_, before_).IgnoreError();
  }
}

absl::Span<const int> BoundCpus() { return binding.cpus; }

std::vector<int> AllowedCpus() {
  return binding.cpus.empty() ? CurrentAffinity() : binding.before;
}

}  // namespace mlad
