#include "rpc/server.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/server_posix.h>

#include "absl/strings/str_cat.h"

#include "base/status.h"
#include "rpc/admin_responses.h"
#include "rpc/admin_service.h"
#include "rpc/health_service.h"
#include "rpc/inference_service.h"
#include "rpc/listening_socket.h"
#include "rpc/server_state.h"
#include "rpc/socket_acceptor.h"
#include "rpc/tls_file_watch.h"
#include "rpc/work_queue.h"

namespace mlad {
namespace {

// A client that vanished without a word is noticed, and its work stopped, after
// the sum of these.
constexpr int kKeepaliveTimeMs = 30'000;
constexpr int kKeepaliveTimeoutMs = 20'000;
constexpr int kMinClientPingIntervalMs = 10'000;

// A call beyond the first of these ends with RESOURCE_EXHAUSTED, one beyond the
// second waits in its client; a connection that says nothing is closed.
constexpr int kMaxHeaderBytes = 16 << 10;
constexpr int kMaxCallsPerConnection = 1024;
constexpr int kHandshakeTimeoutMs = 20'000;

// After the engine is drained: for clients to read the end of their answers,
// and then for calls that were cut off.
constexpr absl::Duration kFlushTime = absl::Seconds(2);

void Configure(const ServerOptions& options, grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(options.max_request_bytes);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxHeaderBytes);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                             kMaxCallsPerConnection);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS,
                             kHandshakeTimeoutMs);
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

}  // namespace

struct Server::Impl {
  using ConnectionSink = grpc::experimental::ExternalConnectionAcceptor;

  explicit Impl(const ServerOptions& options)
      : addresses(options.addresses),
        state(options.daemon_version, options.max_connections),
        queue(options.request_threads, options.max_waiting_requests),
        inference(state, queue,
                  {options.max_unread_bytes, options.reader_timeout},
                  options.max_tokens),
        admin(state, queue),
        health(state) {
    state.access().SetRules(options.access);
  }

  absl::Status Listen(const ServerOptions& options);

  std::vector<ListenAddress> addresses;
  ServerState state;
  WorkQueue queue;
  InferenceService inference;
  AdminService admin;
  HealthService health;
  std::unique_ptr<TlsFileWatch> tls_files;  // null without TLS
  std::unique_ptr<ConnectionSink> tcp_sink;
  std::unique_ptr<grpc::Server> server;  // null after Shutdown
  std::unique_ptr<SocketAcceptor> acceptor;
  std::unique_ptr<SocketAcceptor> inherited_acceptor;  // started by SetModel
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
  if (options.on_request) {
    std::vector<
        std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>>
        interceptors;
    interceptors.push_back(MakeRequestLog(options.on_request));
    builder.experimental().SetInterceptorCreators(std::move(interceptors));
  }
  builder.RegisterService(&inference);
  builder.RegisterService(&admin);
  builder.RegisterService(&health);
  SocketAcceptor::Params accept;
  accept.max_connections = options.max_connections;
  for (ListenAddress& address : addresses) {
    MLAD_ASSIGN_OR_RETURN(
        std::vector<ListeningSocket> sockets,
        ListeningSocket::Open(address, options.unix_socket_mode));
    std::move(sockets.begin(), sockets.end(),
              std::back_inserter(accept.sockets));
  }
  if (options.tls.has_value()) {
    MLAD_ASSIGN_OR_RETURN(
        tls_files, TlsFileWatch::Create(*options.tls, options.on_tls_mistake));
  }
  tcp_sink = builder.experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
      tls_files != nullptr ? tls_files->MakeCredentials()
                           : grpc::InsecureServerCredentials());
  server = builder.BuildAndStart();
  if (server == nullptr) {
    return absl::InternalError(
        "gRPC cannot start its server; its log says why");
  }
  accept.take_tcp = [this](int listener, int connection) {
    ConnectionSink::NewConnectionParameters parameters;
    parameters.listener_fd = listener;
    parameters.fd = connection;
    tcp_sink->HandleNewConnection(&parameters);
  };
  accept.take_unix = [this](int /*listener*/, int connection) {
    const int registered = state.unix_peers().Register(connection);
    if (registered < 0) return;
    grpc::AddInsecureChannelFromFd(server.get(), registered);
  };
  SocketAcceptor::Params accept_later;
  accept_later.inherited = options.sockets;
  accept_later.max_connections = options.max_connections;
  accept_later.take_tcp = accept.take_tcp;
  accept_later.take_unix = accept.take_unix;
  MLAD_ASSIGN_OR_RETURN(acceptor, SocketAcceptor::Create(std::move(accept)));
  MLAD_ASSIGN_OR_RETURN(inherited_acceptor,
                        SocketAcceptor::Create(std::move(accept_later)));
  acceptor->Start();
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

void Server::SetAccess(std::optional<AccessRules> rules) {
  impl_->state.access().SetRules(std::move(rules));
}

void Server::SetLoadFraction(double fraction) {
  impl_->state.SetLoadFraction(fraction);
}

void Server::SetModel(ServedModel& model) {
  impl_->state.SetModel(model);
  impl_->inherited_acceptor->Start();
}

v1::Stats Server::stats() const { return MakeStats(impl_->state); }

v1::Experts Server::experts() const {
  const ServedModel* const model = impl_->state.model_or_null();
  return model == nullptr ? v1::Experts() : MakeExperts(*model);
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
  impl_->inherited_acceptor.reset();
  impl_->server->Shutdown(absl::ToChronoTime(absl::Now() + kFlushTime));
  impl_->server.reset();
}

}  // namespace mlad
