// Accepts connections for gRPC, which then only serves them: it cannot take
// over sockets that somebody else has bound (socket activation), tell who is at
// the other end of a unix socket, or limit how many there are.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"

#include "rpc/listen_address.h"
#include "rpc/listening_socket.h"

namespace mlad {

struct InheritedSocket {
  int descriptor = -1;  // listening; stays open
  ListenAddress address;
};

/// Where a listening socket listens. Errors: kInvalidArgument for what is
/// neither TCP nor a unix socket with a path.
absl::StatusOr<ListenAddress> AddressOfSocket(int descriptor);

/// Accepts connections and hands them on, from Start until destruction. Whoever
/// connects before or after waits in the socket's queue, for the next process
/// if need be.
class SocketAcceptor {
 public:
  /// Called on the acceptor's thread; take over the connection.
  using Take = std::function<void(int listener, int connection)>;
  struct Params {
    std::vector<ListeningSocket> sockets;
    std::vector<InheritedSocket> inherited;
    /// Of TCP, counted by descriptors: other files that were opened meanwhile
    /// count as well. What comes over the limit is closed at once.
    int64_t max_connections = 0;
    Take take_tcp;
    Take take_unix;
  };

  /// Errors: kInternal when the system has no descriptor left.
  static absl::StatusOr<std::unique_ptr<SocketAcceptor>> Create(Params params);
  ~SocketAcceptor();
  SocketAcceptor(const SocketAcceptor&) = delete;
  SocketAcceptor& operator=(const SocketAcceptor&) = delete;

  /// Once.
  void Start();

 private:
  struct Listener {
    int descriptor = -1;
    bool is_unix = false;
  };
  SocketAcceptor(Params params, int stop_event);
  void Run();
  void AcceptFrom(const Listener& listener);

  const Params params_;
  std::vector<Listener> listeners_;
  const int stop_event_;  // the lowest number that was free at the start
  std::thread thread_;
};

}  // namespace mlad
