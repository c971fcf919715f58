#include "tests/ctl/fake_daemon.h"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

#include "base/check.h"

namespace mlad {

FakeDaemon::FakeDaemon() {
  std::string folder =
      (std::filesystem::temp_directory_path() / "mla-ctl-XXXXXX").string();
  MLAD_CHECK(mkdtemp(folder.data()) != nullptr);
  folder_ = folder;
  address_ = "unix:" + folder_ + "/socket";
  grpc::ServerBuilder builder;
  builder.AddListeningPort(address_, grpc::InsecureServerCredentials());
  builder.RegisterService(static_cast<v1::Inference::Service*>(this));
  builder.RegisterService(static_cast<v1::Admin::Service*>(this));
  builder.RegisterService(
      static_cast<grpc::health::v1::Health::Service*>(this));
  server_ = builder.BuildAndStart();
  MLAD_CHECK(server_ != nullptr);
}

FakeDaemon::~FakeDaemon() {
  server_->Shutdown(std::chrono::system_clock::now());
  std::filesystem::remove_all(folder_);
}

v1::GenerateRequest FakeDaemon::generate_request() const {
  const std::lock_guard lock(mutex_);
  return generate_request_;
}

v1::ChatRequest FakeDaemon::chat_request() const {
  const std::lock_guard lock(mutex_);
  return chat_request_;
}

v1::ScoreRequest FakeDaemon::score_request() const {
  const std::lock_guard lock(mutex_);
  return score_request_;
}

v1::TokenizeRequest FakeDaemon::tokenize_request() const {
  const std::lock_guard lock(mutex_);
  return tokenize_request_;
}

v1::DetokenizeRequest FakeDaemon::detokenize_request() const {
  const std::lock_guard lock(mutex_);
  return detokenize_request_;
}

grpc::Status FakeDaemon::Stream(grpc::ServerContext* context,
                                GenerateWriter* writer) {
  for (const v1::GenerateResponse& message : stream) writer->Write(message);
  while (endless && !context->IsCancelled()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return status;
}

grpc::Status FakeDaemon::Generate(grpc::ServerContext* context,
                                  const v1::GenerateRequest* request,
                                  GenerateWriter* writer) {
  {
    const std::lock_guard lock(mutex_);
    generate_request_ = *request;
  }
  return Stream(context, writer);
}

grpc::Status FakeDaemon::Chat(grpc::ServerContext* context,
                              const v1::ChatRequest* request,
                              GenerateWriter* writer) {
  {
    const std::lock_guard lock(mutex_);
    chat_request_ = *request;
  }
  return Stream(context, writer);
}

grpc::Status FakeDaemon::Score(grpc::ServerContext* /*context*/,
                               const v1::ScoreRequest* request,
                               v1::ScoreResponse* response) {
  const std::lock_guard lock(mutex_);
  score_request_ = *request;
  *response = score;
  return status;
}

grpc::Status FakeDaemon::Tokenize(grpc::ServerContext* /*context*/,
                                  const v1::TokenizeRequest* request,
                                  v1::TokenizeResponse* response) {
  const std::lock_guard lock(mutex_);
  tokenize_request_ = *request;
  *response = tokens;
  return status;
}

grpc::Status FakeDaemon::Detokenize(grpc::ServerContext* /*context*/,
                                    const v1::DetokenizeRequest* request,
                                    v1::DetokenizeResponse* response) {
  const std::lock_guard lock(mutex_);
  detokenize_request_ = *request;
  *response = text;
  return status;
}

grpc::Status FakeDaemon::GetStats(grpc::ServerContext* /*context*/,
                                  const v1::GetStatsRequest* /*request*/,
                                  v1::Stats* response) {
  *response = stats;
  return status;
}

grpc::Status FakeDaemon::WatchStats(grpc::ServerContext* /*context*/,
                                    const v1::WatchStatsRequest* /*request*/,
                                    grpc::ServerWriter<v1::Stats>* writer) {
  for (int i = 0; i < 3; ++i) writer->Write(stats);
  return status;
}

grpc::Status FakeDaemon::SaveSession(grpc::ServerContext* /*context*/,
                                     const v1::SaveSessionRequest* request,
                                     v1::Session* response) {
  saved = *request;
  *response = session;
  return status;
}

grpc::Status FakeDaemon::ListSessions(
    grpc::ServerContext* /*context*/,
    const v1::ListSessionsRequest* /*request*/,
    v1::ListSessionsResponse* response) {
  *response->add_sessions() = session;
  return status;
}

grpc::Status FakeDaemon::RestoreSession(
    grpc::ServerContext* /*context*/, const v1::RestoreSessionRequest* request,
    v1::Session* response) {
  *response = session;
  response->set_name(request->name());
  return status;
}

grpc::Status FakeDaemon::DropSession(grpc::ServerContext* /*context*/,
                                     const v1::DropSessionRequest* request,
                                     v1::DropSessionResponse* /*response*/) {
  dropped = request->name();
  return status;
}

grpc::Status FakeDaemon::GetExperts(grpc::ServerContext* /*context*/,
                                    const v1::GetExpertsRequest* /*request*/,
                                    v1::Experts* response) {
  *response = experts;
  return status;
}

grpc::Status FakeDaemon::GetTopology(grpc::ServerContext* /*context*/,
                                     const v1::GetTopologyRequest* /*request*/,
                                     v1::Topology* response) {
  *response = topology;
  return status;
}

grpc::Status FakeDaemon::GetModelInfo(
    grpc::ServerContext* /*context*/,
    const v1::GetModelInfoRequest* /*request*/, v1::ModelInfo* response) {
  *response = model;
  return status;
}

grpc::Status FakeDaemon::Check(
    grpc::ServerContext* /*context*/,
    const grpc::health::v1::HealthCheckRequest* /*request*/,
    grpc::health::v1::HealthCheckResponse* response) {
  using grpc::health::v1::HealthCheckResponse;
  response->set_status(serving ? HealthCheckResponse::SERVING
                               : HealthCheckResponse::NOT_SERVING);
  return status;
}

}  // namespace mlad
