// What the placement plan needs to know of a model.
#pragma once

#include "absl/status/statusor.h"

#include "model/hyperparameters.h"
#include "model/step_plan.h"
#include "model/weights.h"
#include "numa/placement_plan.h"
#include "numa/topology.h"
#include "quant/kv_type.h"

namespace mlad {

/// In      layout of the weights for the topology's nodes (measured or real)
/// Errors  kInvalidArgument when the cache type does not allow the model's row
///         length
absl::StatusOr<ModelFootprint> MeasureFootprint(const Hyperparameters& shape,
                                                const WeightLayout& layout,
                                                const StepLimits& limits,
                                                KvType kv_type,
                                                const ExpertPlan& experts,
                                                const Topology& topology);

}  // namespace mlad
