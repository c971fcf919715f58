// The client library: mla-ctl and the tests talk to the daemon through it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "mlad/v1/admin.pb.h"
#include "mlad/v1/inference.pb.h"

#include "rpc/tls_files.h"

namespace mlad {

/// Lets another thread stop calls, which then return kCancelled. Any number at
/// a time. Thread-safe.
class CallCanceller {
 public:
  CallCanceller();
  ~CallCanceller();
  CallCanceller(const CallCanceller&) = delete;
  CallCanceller& operator=(const CallCanceller&) = delete;

  /// Stops the calls that use this, and every later one at once.
  void Cancel();

 private:
  friend class Client;
  struct State;
  std::unique_ptr<State> state_;
};

struct CallOptions {
  /// The call ends with kDeadlineExceeded after this.
  absl::Duration timeout = absl::InfiniteDuration();
  CallCanceller* canceller = nullptr;  // outlives the call
};

/// Receives the messages of a stream, in order, on the calling thread. Returns
/// false to cancel the call, which then returns OK.
using GenerateCallback = std::function<bool(const v1::GenerateResponse&)>;
using StatsCallback = std::function<bool(const v1::Stats&)>;

enum class Health : uint8_t { kServing, kNotServing };
std::string_view HealthName(Health health);

struct ConnectOptions {
  absl::Duration timeout = absl::Seconds(5);
  /// TLS, or none.
  std::optional<ClientTlsFiles> tls;
  /// The name in the daemon's certificate, if it is not that of the address.
  std::string server_name;
  /// Sent with every call; empty: none. A secret: beyond this machine only with
  /// TLS.
  std::string token;
};

/// Calls block. Thread-safe. Errors are the daemon's, with its sentence;
/// kUnavailable naming the address when there is no connection.
class Client {
 public:
  /// Connects to what ParseListenAddress reads: "HOST:PORT" or "unix:/PATH".
  /// Errors: kInvalidArgument for a malformed address; kUnavailable when
  /// nothing answers there within `timeout`, at once when the connection is
  /// refused; those of MakeChannelCredentials.
  static absl::StatusOr<std::unique_ptr<Client>> Connect(
      std::string_view address, const ConnectOptions& options);
  static absl::StatusOr<std::unique_ptr<Client>> Connect(
      std::string_view address, absl::Duration timeout = absl::Seconds(5)) {
    ConnectOptions options;
    options.timeout = timeout;
    return Connect(address, options);
  }
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  const std::string& address() const;

  absl::Status Generate(const v1::GenerateRequest& request,
                        const GenerateCallback& on_message,
                        const CallOptions& options = {});
  absl::Status Chat(const v1::ChatRequest& request,
                    const GenerateCallback& on_message,
                    const CallOptions& options = {});
  absl::StatusOr<v1::ScoreResponse> Score(const v1::ScoreRequest& request,
                                          const CallOptions& options = {});
  absl::StatusOr<v1::TokenizeResponse> Tokenize(
      const v1::TokenizeRequest& request, const CallOptions& options = {});
  absl::StatusOr<v1::DetokenizeResponse> Detokenize(
      const v1::DetokenizeRequest& request, const CallOptions& options = {});

  absl::StatusOr<v1::Stats> GetStats(const CallOptions& options = {});
  absl::Status WatchStats(const v1::WatchStatsRequest& request,
                          const StatsCallback& on_message,
                          const CallOptions& options = {});
  absl::StatusOr<v1::Topology> GetTopology(const CallOptions& options = {});
  absl::StatusOr<v1::Experts> GetExperts(const CallOptions& options = {});
  absl::StatusOr<v1::ModelInfo> GetModelInfo(const CallOptions& options = {});

  absl::StatusOr<v1::Session> SaveSession(const v1::SaveSessionRequest& request,
                                          const CallOptions& options = {});
  absl::StatusOr<v1::ListSessionsResponse> ListSessions(
      const CallOptions& options = {});
  absl::StatusOr<v1::Session> RestoreSession(const std::string& name,
                                             const CallOptions& options = {});
  absl::Status DropSession(const std::string& name,
                           const CallOptions& options = {});

  /// Of the whole server ("") or of "mlad.v1.Inference". kNotFound for others.
  absl::StatusOr<Health> CheckHealth(std::string_view service = "",
                                     const CallOptions& options = {});
  /// At once and at each change.
  absl::Status WatchHealth(std::string_view service,
                           const std::function<bool(Health)>& on_change,
                           const CallOptions& options = {});

 private:
  struct Impl;
  explicit Client(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mlad
