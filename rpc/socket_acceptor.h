// Listening sockets that somebody else has bound (socket activation): gRPC
// cannot take these, only the connections that come in on them.
#pragma once

#include <memory>
#include <thread>
#include <vector>

#include <grpcpp/server_builder.h>

#include "absl/status/statusor.h"

#include "rpc/listen_address.h"

namespace mlad {

struct InheritedSocket {
  int descriptor = -1;  // listening; stays open
  ListenAddress address;
};

/// Where a listening socket listens. Errors: kInvalidArgument for what is
/// neither TCP nor a unix socket with a path.
absl::StatusOr<ListenAddress> AddressOfSocket(int descriptor);

/// Accepts connections and hands them to gRPC, from Start until destruction.
/// Whoever connects before or after waits in the socket's queue, for the next
/// process if need be.
class SocketAcceptor {
 public:
  /// `sink` comes from the builder of a server that has been started.
  /// Errors: kInternal when the system has no descriptor left.
  static absl::StatusOr<std::unique_ptr<SocketAcceptor>> Create(
      std::vector<InheritedSocket> sockets,
      std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> sink);
  ~SocketAcceptor();
  SocketAcceptor(const SocketAcceptor&) = delete;
  SocketAcceptor& operator=(const SocketAcceptor&) = delete;

  /// Once.
  void Start();

 private:
  using Sink = grpc::experimental::ExternalConnectionAcceptor;
  SocketAcceptor(std::vector<InheritedSocket> sockets,
                 std::unique_ptr<Sink> sink, int stop_event);
  void Run();
  void AcceptFrom(const InheritedSocket& socket);

  const std::vector<InheritedSocket> sockets_;
  const std::unique_ptr<Sink> sink_;
  const int stop_event_;
  std::thread thread_;
};

}  // namespace mlad
