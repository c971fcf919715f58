// Sockets that listen, opened by us rather than by gRPC: it only logs why it
// cannot listen, takes over the unix socket of a daemon that is still running,
// and stops accepting for ever once there is no descriptor left.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

#include "absl/status/statusor.h"

#include "rpc/listen_address.h"

namespace mlad {

/// Closes the socket and removes the path of a unix socket that it has opened.
class ListeningSocket {
 public:
  /// One for each of the host's addresses that this machine has. A port of 0
  /// becomes the one that the system has chosen. A stale unix socket is
  /// replaced; `unix_mode` is in force before anybody can connect.
  /// Errors: kInvalidArgument for a host that does not resolve; kAlreadyExists
  /// when something else listens there or the path is no socket; kNotFound for
  /// the folder of a unix socket; kPermissionDenied; kUnavailable for the rest.
  static absl::StatusOr<std::vector<ListeningSocket>> Open(
      ListenAddress& address, mode_t unix_mode);

  /// Takes the socket over.
  ListeningSocket(int descriptor, bool is_unix)
      : descriptor_(descriptor), is_unix_(is_unix) {}
  ~ListeningSocket();
  ListeningSocket(ListeningSocket&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, -1)),
        is_unix_(other.is_unix_),
        owned_path_(std::exchange(other.owned_path_, "")) {}
  ListeningSocket& operator=(ListeningSocket&&) = delete;

  int descriptor() const { return descriptor_; }
  bool is_unix() const { return is_unix_; }

 private:
  int descriptor_;
  bool is_unix_;
  std::string owned_path_;
};

}  // namespace mlad
