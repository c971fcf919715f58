#include "daemon/metrics_server.h"

#include <chrono>
#include <utility>

#include <httplib.h>

#include "absl/strings/str_cat.h"

namespace mlad {
namespace {

constexpr char kTextFormat[] = "text/plain; version=0.0.4; charset=utf-8";
constexpr size_t kThreads = 2;
constexpr int kPatienceSeconds = 5;  // with a client that does not go on

}  // namespace

MetricsServer::MetricsServer(ListenAddress address)
    : address_(std::move(address)),
      server_(std::make_unique<httplib::Server>()) {}

absl::StatusOr<std::unique_ptr<MetricsServer>> MetricsServer::Start(
    const ListenAddress& address, std::function<std::string()> text) {
  if (address.is_unix()) {
    return absl::InvalidArgumentError(
        "metrics are read over TCP; give HOST:PORT");
  }
  std::unique_ptr<MetricsServer> metrics(new MetricsServer(address));
  httplib::Server& server = *metrics->server_;
  server.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
  server.set_read_timeout(kPatienceSeconds);
  server.set_write_timeout(kPatienceSeconds);
  server.set_keep_alive_max_count(1);
  // The default lets several programs share a port, each with some calls.
  server.set_socket_options([](socket_t socket) {
    const int yes = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  });
  server.Get("/metrics", [text = std::move(text)](const httplib::Request&,
                                                  httplib::Response& response) {
    response.set_content(text(), kTextFormat);
  });
  ListenAddress& chosen = metrics->address_;
  const std::string host = address.host.empty() ? "::" : address.host;
  if (address.port == 0) {
    const int port = server.bind_to_any_port(host);
    if (port > 0) chosen.port = static_cast<decltype(chosen.port)>(port);
  }
  if (chosen.port == 0 ||
      (address.port != 0 && !server.bind_to_port(host, address.port))) {
    return absl::AlreadyExistsError(absl::StrCat(
        "cannot listen on ", address.ToString(),
        " for metrics: it is in use or not of this machine; choose another "
        "address"));
  }
  metrics->thread_ = std::thread([&server, &ended = metrics->ended_] {
    server.listen_after_bind();
    ended = true;
  });
  return metrics;
}

MetricsServer::~MetricsServer() {
  if (!thread_.joinable()) return;
  // Not before it listens: stopping earlier is forgotten.
  while (!server_->is_running() && !ended_) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  server_->stop();
  thread_.join();
}

}  // namespace mlad
