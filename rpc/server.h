// The daemon's gRPC server: Inference, Admin, health and reflection.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "mlad/v1/admin.pb.h"

#include "rpc/access_rules.h"
#include "rpc/listen_address.h"
#include "rpc/request_log.h"
#include "rpc/served_model.h"
#include "rpc/socket_acceptor.h"
#include "rpc/tls_files.h"

namespace mlad {

struct ServerOptions {
  std::vector<ListenAddress> addresses = {ListenAddress{}};
  /// Served as well, from SetModel on: until then connections wait.
  std::vector<InheritedSocket> sockets;
  std::string daemon_version;
  /// Of unix sockets: read and write for owner and group.
  mode_t unix_socket_mode = 0660;
  /// Threads that parse and tokenize requests and build large responses.
  int request_threads = 2;
  /// Requests waiting for those threads; more are refused with
  /// RESOURCE_EXHAUSTED.
  int64_t max_waiting_requests = 1024;
  /// On all TCP addresses. Checked by CheckTlsFiles before.
  std::optional<ServerTlsFiles> tls;
  /// Told why certificates that were put in place while serving are not used;
  /// none: nobody. On a thread of its own.
  std::function<void(const absl::Status&)> on_tls_mistake;
  /// Without rules, whoever can connect may call everything.
  std::optional<AccessRules> access;
  /// About so many; more are closed at once. Unix sockets count apart.
  int64_t max_connections = 4096;
  /// Of an answer, whoever asks for it; 0: no limit.
  int64_t max_tokens = 0;
  /// Larger requests are refused with RESOURCE_EXHAUSTED.
  int max_request_bytes = 64 << 20;
  /// Messages of one stream that wait for a client which reads slowly, apart
  /// from what gRPC has taken over. Beyond that its request pauses until it has
  /// read half of them; nothing is lost but messages of progress, of which the
  /// latest one counts.
  int64_t max_unread_bytes = int64_t{64} << 10;
  /// A stream from which its client takes nothing for so long, though there is
  /// more than that or the end, is cancelled.
  absl::Duration reader_timeout = absl::Minutes(10);
  /// Told of every call at its end; none: nobody.
  RequestSink on_request;
};

/// States: loading (from Start), serving (from SetModel), draining (from
/// Shutdown). While loading, Inference, GetTopology and GetModelInfo answer
/// UNAVAILABLE, health is NOT_SERVING, and GetStats tells how far it is.
///
/// Block SIGTERM before Start: gRPC starts threads that inherit the mask.
class Server {
 public:
  /// Listens on all addresses. A stale unix socket is replaced.
  /// Errors: kInvalidArgument for no address or a name that does not resolve;
  /// kAlreadyExists when an address is in use or a path holds something that is
  /// not a socket; kPermissionDenied; kUnavailable for what else the system
  /// refuses. The sentence names the address and the remedy.
  static absl::StatusOr<std::unique_ptr<Server>> Start(
      const ServerOptions& options);
  /// As Shutdown(now).
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// In the order of the options, with the port chosen where it was 0; those of
  /// inherited sockets are not among them.
  const std::vector<ListenAddress>& addresses() const;

  /// From the next call on.
  void SetAccess(std::optional<AccessRules> rules);
  /// 0 to 1; reported while loading.
  void SetLoadFraction(double fraction);
  /// From now on requests are served. Once. `model` outlives the server or its
  /// Shutdown.
  void SetModel(ServedModel& model);

  /// What the Admin service answers; experts are empty while loading.
  v1::Stats stats() const;
  v1::Experts experts() const;

  /// Health turns NOT_SERVING and new requests get UNAVAILABLE; running ones go
  /// on until `deadline` and then end with UNAVAILABLE after what they have so
  /// far. Returns when no call is left and the engine is drained, at most some
  /// seconds after the deadline. Once; from one thread.
  void Shutdown(absl::Time deadline);

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mlad
