// The parts of the hyperparameters that attention and router ask for.
#pragma once

#include "attention/absorbed.h"
#include "attention/expanded.h"
#include "attention/rope.h"
#include "model/hyperparameters.h"
#include "moe/router.h"

namespace mlad {

RopeConfig MakeRopeConfig(const Hyperparameters& shape);
AbsorbedShape MakeAbsorbedShape(const Hyperparameters& shape);
ExpandedShape MakeExpandedShape(const Hyperparameters& shape);
RouterShape MakeRouterShape(const Hyperparameters& shape);

}  // namespace mlad
