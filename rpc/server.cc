#include "rpc/server.h"

#include <cerrno>
#include <cstring>
#include <set>
#include <utility>

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <sys/stat.h>

#include "absl/strings/str_cat.h"

#include "base/status.h"
#include "rpc/admin_service.h"
#include "rpc/health_service.h"
#include "rpc/inference_service.h"
#include "rpc/listening_check.h"
#include "rpc/server_state.h"
#include "rpc/socket_acceptor.h"
#include "rpc/work_queue.h"

namespace mlad {
namespace {

// A client that vanished without a word is noticed, and its work stopped, after
// the sum of these.
constexpr int kKeepaliveTimeMs = 30'000;
constexpr int kKeepaliveTimeoutMs = 20'000;
constexpr int kMinClientPingIntervalMs = 10'000;

// After the engine is drained: for clients to read the end of their answers,
// and then for calls that were cut off.
constexpr absl::Duration kFlushTime = absl::Seconds(2);

std::string GrpcAddress(const ListenAddress& address) {
  ListenAddress listen = address;
  if (!address.is_unix() && address.host.empty()) listen.host = "::";
  return listen.ToString();
}

void Configure(const ServerOptions& options, grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(options.max_request_bytes);
  // Without this, two daemons would share a port.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveTimeMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                             kKeepaliveTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(
      GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
      kMinClientPingIntervalMs);
  // For reflection, the one service that is not of the callback kind.
  builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 1);
}

/// gRPC would let the second one take the unix socket of the first.
absl::Status CheckNoneIsGivenTwice(
    const std::vector<ListenAddress>& addresses) {
  std::set<std::string> seen;
  for (const ListenAddress& address : addresses) {
    if (!address.is_unix() && address.port == 0) continue;
    if (seen.insert(address.ToString()).second) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "address ", address.ToString(), " is given twice; give it once"));
  }
  return absl::OkStatus();
}

absl::Status SetSocketMode(const ListenAddress& address, mode_t mode) {
  if (chmod(address.unix_path.c_str(), mode) == 0) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("cannot set the permissions of ",
                                             address.ToString(), ": ",
                                             std::strerror(errno)));
}

}  // namespace

struct Server::Impl {
  explicit Impl(const ServerOptions& options)
      : addresses(options.addresses),
        state(options.daemon_version),
        queue(options.request_threads, options.max_waiting_requests),
        inference(state, queue, options.max_unread_bytes),
        admin(state),
        health(state) {}

  absl::Status Listen(const ServerOptions& options);

  std::vector<ListenAddress> addresses;
  ServerState state;
  WorkQueue queue;
  InferenceService inference;
  AdminService admin;
  HealthService health;
  std::unique_ptr<grpc::Server> server;  // null after Shutdown
  std::unique_ptr<SocketAcceptor> acceptor;
};

absl::Status Server::Impl::Listen(const ServerOptions& options) {
  if (addresses.empty() && options.sockets.empty()) {
    return absl::InvalidArgumentError(
        "there is no address to listen on; give at least one");
  }
  MLAD_RETURN_IF_ERROR(CheckNoneIsGivenTwice(addresses));
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  Configure(options, builder);
  builder.RegisterService(&inference);
  builder.RegisterService(&admin);
  builder.RegisterService(&health);
  for (ListenAddress& address : addresses) {
    MLAD_RETURN_IF_ERROR(CheckCanListen(address));
    builder.AddListeningPort(GrpcAddress(address),
                             grpc::InsecureServerCredentials(),
                             address.is_unix() ? nullptr : &address.port);
  }
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> sink;
  if (!options.sockets.empty()) {
    sink = builder.experimental().AddExternalConnectionAcceptor(
        grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
        grpc::InsecureServerCredentials());
  }
  server = builder.BuildAndStart();
  if (server == nullptr) {
    std::string names;
    for (const ListenAddress& address : options.addresses) {
      absl::StrAppend(&names, names.empty() ? "" : " and ", address.ToString());
    }
    return absl::UnavailableError(absl::StrCat(
        "cannot listen on ", names,
        "; another program may have taken an address just now: try again"));
  }
  for (const ListenAddress& address : addresses) {
    if (!address.is_unix()) continue;
    MLAD_RETURN_IF_ERROR(SetSocketMode(address, options.unix_socket_mode));
  }
  if (sink != nullptr) {
    MLAD_ASSIGN_OR_RETURN(
        acceptor, SocketAcceptor::Create(options.sockets, std::move(sink)));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(
    const ServerOptions& options) {
  auto impl = std::make_unique<Impl>(options);
  MLAD_RETURN_IF_ERROR(impl->Listen(options));
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() { Shutdown(absl::Now()); }

const std::vector<ListenAddress>& Server::addresses() const {
  return impl_->addresses;
}

void Server::SetLoadFraction(double fraction) {
  impl_->state.SetLoadFraction(fraction);
}

void Server::SetModel(ServedModel& model) {
  impl_->state.SetModel(model);
  if (impl_->acceptor != nullptr) impl_->acceptor->Start();
}

void Server::Shutdown(absl::Time deadline) {
  if (impl_->server == nullptr) return;
  ServerState& state = impl_->state;
  state.SetDraining();
  if (ServedModel* const model = state.model_or_null()) {
    model->engine().Drain(deadline);
  }
  // All answers are complete; what is left is clients that have yet to read
  // them.
  state.WaitForCalls(absl::Now() + kFlushTime);
  state.SetStopping();
  impl_->acceptor.reset();
  impl_->server->Shutdown(absl::ToChronoTime(absl::Now() + kFlushTime));
  impl_->server.reset();
}

}  // namespace mlad
