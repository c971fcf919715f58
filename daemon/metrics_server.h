// Answers Prometheus over HTTP.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"

#include "rpc/listen_address.h"

namespace httplib {
class Server;
}

namespace mlad {

class MetricsServer {
 public:
  /// GET /metrics gives text(), on a thread of the server. Errors:
  /// kInvalidArgument for a unix socket; kAlreadyExists when the address cannot
  /// be taken.
  static absl::StatusOr<std::unique_ptr<MetricsServer>> Start(
      const ListenAddress& address, std::function<std::string()> text);
  ~MetricsServer();
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

  /// With the port chosen where it was 0.
  const ListenAddress& address() const { return address_; }

 private:
  explicit MetricsServer(ListenAddress address);

  ListenAddress address_;
  std::unique_ptr<httplib::Server> server_;
  std::atomic<bool> ended_ = false;
  std::thread thread_;
};

}  // namespace mlad
