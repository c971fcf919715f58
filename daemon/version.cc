#include "daemon/version.h"

namespace mlad {
const char kVersion[] = MLAD_VERSION;
}  // namespace mlad
