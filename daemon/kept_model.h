// A loaded model that outlives the process: handed to the service manager,
// taken over by the next process of the service.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

#include "daemon/service_manager.h"
#include "model/loaded_model.h"

namespace mlad {

/// What must be the same for memory to be taken over.
struct ModelIdentity {
  uint64_t program = 0;  // the bytes of this program: how it packs and plans
  uint64_t model = 0;    // GgufFile::Fingerprint
  uint64_t plan = 0;     // nodes, CPUs, sizes, placement, cache type
};

/// Errors: those of PlanModel; kInternal when this program cannot be read.
absl::StatusOr<ModelIdentity> IdentifyModel(const GgufFile& file,
                                            const Hyperparameters& shape,
                                            const Topology& topology,
                                            const LoadOptions& options);

/// What was stored by a process that served the same. If it was something else,
/// or is damaged, its memory is given back.
/// Errors: kNotFound when nothing is stored; kFailedPrecondition and kDataLoss
/// saying what differs.
absl::StatusOr<KeptRegions> TakeStored(const ServiceManager& manager,
                                       const ModelIdentity& identity);

/// Stores it for the next process, in place of what was stored before.
/// Errors: kUnavailable when the service manager does not take it.
absl::Status StoreForNext(const ServiceManager& manager,
                          const ModelIdentity& identity,
                          const KeptRegions& regions);

}  // namespace mlad
