#include "rpc/client.h"

#include <mutex>
#include <unordered_set>
#include <utility>

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "mlad/v1/admin.grpc.pb.h"
#include "mlad/v1/inference.grpc.pb.h"

#include "base/status.h"
#include "rpc/listen_address.h"
#include "rpc/status_mapping.h"

namespace mlad {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

absl::Status NotReachable(const std::string& address, absl::string_view why) {
  return absl::UnavailableError(
      absl::StrCat("cannot reach mlad at ", address, ": ", why,
                   "; check that `mlad serve` runs and listens there"));
}

/// Returns as soon as the channel is connected or a first attempt has failed.
absl::Status WaitForConnection(grpc::Channel& channel,
                               const std::string& address,
                               absl::Duration timeout) {
  const auto deadline = absl::ToChronoTime(absl::Now() + timeout);
  while (true) {
    const grpc_connectivity_state state = channel.GetState(true);
    if (state == GRPC_CHANNEL_READY) return absl::OkStatus();
    if (state == GRPC_CHANNEL_TRANSIENT_FAILURE ||
        state == GRPC_CHANNEL_SHUTDOWN) {
      return NotReachable(address, "no connection");
    }
    if (!channel.WaitForStateChange(state, deadline)) {
      return NotReachable(address, absl::StrCat("no connection within ",
                                                absl::FormatDuration(timeout)));
    }
  }
}

Health ToHealth(const HealthCheckResponse& response) {
  return response.status() == HealthCheckResponse::SERVING
             ? Health::kServing
             : Health::kNotServing;
}

}  // namespace

struct CallCanceller::State {
  std::mutex mutex;
  std::unordered_set<grpc::ClientContext*> calls;  // in progress
  bool cancelled = false;
};

CallCanceller::CallCanceller() : state_(std::make_unique<State>()) {}
CallCanceller::~CallCanceller() = default;

void CallCanceller::Cancel() {
  const std::lock_guard lock(state_->mutex);
  state_->cancelled = true;
  for (grpc::ClientContext* const call : state_->calls) call->TryCancel();
}

std::string_view HealthName(Health health) {
  return health == Health::kServing ? "serving" : "not serving";
}

struct Client::Impl {
  Impl(std::string name, std::shared_ptr<grpc::Channel> connection,
       std::string secret)
      : address(std::move(name)),
        token(std::move(secret)),
        channel(std::move(connection)),
        inference(v1::Inference::NewStub(channel)),
        admin(v1::Admin::NewStub(channel)),
        health(grpc::health::v1::Health::NewStub(channel)) {}

  /// The context of one call: its deadline, and the canceller's hold on it.
  class Context {
   public:
    Context(const CallOptions& options, const std::string& token)
        : canceller_(options.canceller == nullptr
                         ? nullptr
                         : options.canceller->state_.get()) {
      if (options.timeout != absl::InfiniteDuration()) {
        context_.set_deadline(
            absl::ToChronoTime(absl::Now() + options.timeout));
      }
      if (!token.empty()) {
        context_.AddMetadata("authorization", absl::StrCat("Bearer ", token));
      }
      if (canceller_ == nullptr) return;
      const std::lock_guard lock(canceller_->mutex);
      canceller_->calls.insert(&context_);
      if (canceller_->cancelled) context_.TryCancel();
    }
    ~Context() {
      if (canceller_ == nullptr) return;
      const std::lock_guard lock(canceller_->mutex);
      canceller_->calls.erase(&context_);
    }
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;
    grpc::ClientContext* get() { return &context_; }

   private:
    CallCanceller::State* const canceller_;
    grpc::ClientContext context_;
  };

  template <typename Stub, typename Request, typename Response>
  absl::StatusOr<Response> Unary(
      Stub& stub,
      grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                   Response*),
      const Request& request, const CallOptions& options) {
    Context context(options, token);
    Response response;
    const grpc::Status status =
        (stub.*method)(context.get(), request, &response);
    if (!status.ok()) return ToAbslStatus(status);
    return response;
  }

  template <typename Stub, typename Request, typename Response,
            typename Callback>
  absl::Status Stream(Stub& stub,
                      std::unique_ptr<grpc::ClientReader<Response>> (
                          Stub::*method)(grpc::ClientContext*, const Request&),
                      const Request& request, const Callback& on_message,
                      const CallOptions& options) {
    Context context(options, token);
    const auto reader = (stub.*method)(context.get(), request);
    Response response;
    bool stopped = false;
    while (!stopped && reader->Read(&response)) stopped = !on_message(response);
    if (stopped) context.get()->TryCancel();
    const grpc::Status status = reader->Finish();
    return stopped ? absl::OkStatus() : ToAbslStatus(status);
  }

  /// gRPC keeps to itself why there is no connection, but tells a call.
  absl::Status ExplainTls(const absl::Status& error) {
    grpc::ClientContext context;
    HealthCheckResponse response;
    const grpc::Status status =
        health->Check(&context, HealthCheckRequest(), &response);
    if (status.ok()) return error;  // it has come up meanwhile
    return NotReachable(address, absl::StrCat("no TLS connection (",
                                              status.error_message(), ")"));
  }

  const std::string address;
  const std::string token;
  const std::shared_ptr<grpc::Channel> channel;
  const std::unique_ptr<v1::Inference::Stub> inference;
  const std::unique_ptr<v1::Admin::Stub> admin;
  const std::unique_ptr<grpc::health::v1::Health::Stub> health;
};

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::~Client() = default;

absl::StatusOr<std::unique_ptr<Client>> Client::Connect(
    std::string_view address, const ConnectOptions& options) {
  MLAD_ASSIGN_OR_RETURN(ListenAddress parsed, ParseListenAddress(address));
  if (!parsed.is_unix() && parsed.host.empty()) parsed.host = "127.0.0.1";
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);  // a long Score has a long answer
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // own connection
  if (!options.server_name.empty()) {
    arguments.SetSslTargetNameOverride(options.server_name);
  }
  std::shared_ptr<grpc::ChannelCredentials> credentials =
      grpc::InsecureChannelCredentials();
  if (options.tls.has_value()) {
    MLAD_ASSIGN_OR_RETURN(credentials, MakeChannelCredentials(*options.tls));
  }
  const std::shared_ptr<grpc::Channel> channel =
      grpc::CreateCustomChannel(parsed.ToString(), credentials, arguments);
  auto impl = std::make_unique<Impl>(parsed.ToString(), channel, options.token);
  const absl::Status connected =
      WaitForConnection(*channel, parsed.ToString(), options.timeout);
  if (!connected.ok()) {
    return options.tls.has_value() ? impl->ExplainTls(connected) : connected;
  }
  return std::unique_ptr<Client>(new Client(std::move(impl)));
}

const std::string& Client::address() const { return impl_->address; }

absl::Status Client::Generate(const v1::GenerateRequest& request,
                              const GenerateCallback& on_message,
                              const CallOptions& options) {
  return impl_->Stream(*impl_->inference, &v1::Inference::Stub::Generate,
                       request, on_message, options);
}

absl::Status Client::Chat(const v1::ChatRequest& request,
                          const GenerateCallback& on_message,
                          const CallOptions& options) {
  return impl_->Stream(*impl_->inference, &v1::Inference::Stub::Chat, request,
                       on_message, options);
}

absl::StatusOr<v1::ScoreResponse> Client::Score(const v1::ScoreRequest& request,
                                                const CallOptions& options) {
  return impl_->Unary(*impl_->inference, &v1::Inference::Stub::Score, request,
                      options);
}

absl::StatusOr<v1::TokenizeResponse> Client::Tokenize(
    const v1::TokenizeRequest& request, const CallOptions& options) {
  return impl_->Unary(*impl_->inference, &v1::Inference::Stub::Tokenize,
                      request, options);
}

absl::StatusOr<v1::DetokenizeResponse> Client::Detokenize(
    const v1::DetokenizeRequest& request, const CallOptions& options) {
  return impl_->Unary(*impl_->inference, &v1::Inference::Stub::Detokenize,
                      request, options);
}

absl::StatusOr<v1::Stats> Client::GetStats(const CallOptions& options) {
  return impl_->Unary(*impl_->admin, &v1::Admin::Stub::GetStats,
                      v1::GetStatsRequest(), options);
}

absl::Status Client::WatchStats(const v1::WatchStatsRequest& request,
                                const StatsCallback& on_message,
                                const CallOptions& options) {
  return impl_->Stream(*impl_->admin, &v1::Admin::Stub::WatchStats, request,
                       on_message, options);
}

absl::StatusOr<v1::Experts> Client::GetExperts(const CallOptions& options) {
  return impl_->Unary(*impl_->admin, &v1::Admin::Stub::GetExperts,
                      v1::GetExpertsRequest(), options);
}

absl::StatusOr<v1::Topology> Client::GetTopology(const CallOptions& options) {
  return impl_->Unary(*impl_->admin, &v1::Admin::Stub::GetTopology,
                      v1::GetTopologyRequest(), options);
}

absl::StatusOr<v1::Session> Client::SaveSession(
    const v1::SaveSessionRequest& request, const CallOptions& options) {
  return impl_->Unary(*impl_->admin, &v1::Admin::Stub::SaveSession, request,
                      options);
}

absl::StatusOr<v1::ListSessionsResponse> Client::ListSessions(
    const CallOptions& options) {
  return impl_->Unary(*impl_->admin, &v1::Admin::Stub::ListSessions,
                      v1::ListSessionsRequest(), options);
}

absl::StatusOr<v1::Session> Client::RestoreSession(const std::string& name,
                                                   const CallOptions& options) {
  v1::RestoreSessionRequest request;
  request.set_name(name);
  return impl_->Unary(*impl_->admin, &v1::Admin::Stub::RestoreSession, request,
                      options);
}

absl::Status Client::DropSession(const std::string& name,
                                 const CallOptions& options) {
  v1::DropSessionRequest request;
  request.set_name(name);
  return impl_
      ->Unary(*impl_->admin, &v1::Admin::Stub::DropSession, request, options)
      .status();
}

absl::StatusOr<v1::ModelInfo> Client::GetModelInfo(const CallOptions& options) {
  return impl_->Unary(*impl_->admin, &v1::Admin::Stub::GetModelInfo,
                      v1::GetModelInfoRequest(), options);
}

absl::StatusOr<Health> Client::CheckHealth(std::string_view service,
                                           const CallOptions& options) {
  HealthCheckRequest request;
  request.set_service(std::string(service));
  MLAD_ASSIGN_OR_RETURN(
      const HealthCheckResponse response,
      impl_->Unary(*impl_->health, &grpc::health::v1::Health::Stub::Check,
                   request, options));
  return ToHealth(response);
}

absl::Status Client::WatchHealth(std::string_view service,
                                 const std::function<bool(Health)>& on_change,
                                 const CallOptions& options) {
  HealthCheckRequest request;
  request.set_service(std::string(service));
  return impl_->Stream(
      *impl_->health, &grpc::health::v1::Health::Stub::Watch, request,
      [&](const HealthCheckResponse& response) {
        return on_change(ToHealth(response));
      },
      options);
}

}  // namespace mlad
