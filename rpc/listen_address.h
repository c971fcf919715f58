// Where the daemon listens and where clients connect.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace mlad {

/// MLAD on a telephone's keypad.
inline constexpr int kDefaultPort = 6523;

struct ListenAddress {
  std::string host = "127.0.0.1";  // name or number; "" is every interface
  int port = kDefaultPort;         // 0, to listen only: the system chooses one
  std::string unix_path = "";  // not empty: a unix socket, and no host or port

  bool is_unix() const { return !unix_path.empty(); }
  /// As ParseListenAddress reads it: "127.0.0.1:6523", "[::1]:6523", ":6523" or
  /// "unix:/run/mlad/mlad.sock".
  std::string ToString() const;
};

/// Reads "HOST", "HOST:PORT", ":PORT" (every interface), "[IPV6]:PORT" or
/// "unix:/PATH".
/// Errors: kInvalidArgument naming the address and the forms there are.
absl::StatusOr<ListenAddress> ParseListenAddress(std::string_view text);

}  // namespace mlad
