// How many files the process may have open.
#pragma once

namespace mlad {

/// Raises the soft limit to the hard one: each connection is an open file.
/// Where the service manager forbids it, the limit stays.
void RaiseFileLimit();

}  // namespace mlad
