// Who is at the other end of each connection of a unix socket.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string_view>

#include "rpc/access_rules.h"

namespace mlad {

/// gRPC names a connection that was handed to it by its descriptor, "fd:17".
/// Descriptors are numbered anew here so that a number does not come back soon:
/// a call of a connection that has ended is never taken for one of the next.
/// Thread-safe.
class UnixPeers {
 public:
  /// At most `max_connections` at once.
  explicit UnixPeers(int64_t max_connections);

  /// Takes the connection over and asks the kernel for its peer. Returns its
  /// new descriptor, or -1, and the connection is closed, when there are too
  /// many or no descriptor is left.
  int Register(int connection);
  /// `peer` is what gRPC says of a call. Nothing for other connections.
  std::optional<Caller::UnixPeer> Find(std::string_view peer) const;

 private:
  struct Connection {
    ino_t inode = 0;  // of the socket: tells whether it is still open
    std::optional<Caller::UnixPeer> peer;
  };
  void ForgetClosed();  // needs mutex_

  const int64_t max_connections_;
  mutable std::mutex mutex_;
  int next_number_;
  std::map<int, Connection> connections_;  // by descriptor
};

}  // namespace mlad
