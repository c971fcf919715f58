// A daemon that answers with what the test has put there and remembers what it
// was asked.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <grpcpp/server.h>

#include "grpc/health/v1/health.grpc.pb.h"
#include "mlad/v1/admin.grpc.pb.h"
#include "mlad/v1/inference.grpc.pb.h"

namespace mlad {

class FakeDaemon final : public v1::Inference::Service,
                         public v1::Admin::Service,
                         public grpc::health::v1::Health::Service {
 public:
  FakeDaemon();
  ~FakeDaemon() override;

  /// "unix:/..."
  const std::string& address() const { return address_; }

  /// The answer of Generate and Chat, and how they end.
  std::vector<v1::GenerateResponse> stream;
  grpc::Status status;
  /// The stream ends only when the client gives up.
  bool endless = false;
  v1::ScoreResponse score;
  v1::TokenizeResponse tokens;
  v1::DetokenizeResponse text;
  v1::Stats stats;
  v1::Topology topology;
  v1::Experts experts;
  v1::Session session;
  v1::SaveSessionRequest saved;
  std::string dropped;
  v1::ModelInfo model;
  bool serving = true;

  v1::GenerateRequest generate_request() const;
  v1::ChatRequest chat_request() const;
  v1::ScoreRequest score_request() const;
  v1::TokenizeRequest tokenize_request() const;
  v1::DetokenizeRequest detokenize_request() const;

 private:
  using GenerateWriter = grpc::ServerWriter<v1::GenerateResponse>;

  grpc::Status Generate(grpc::ServerContext* context,
                        const v1::GenerateRequest* request,
                        GenerateWriter* writer) override;
  grpc::Status Chat(grpc::ServerContext* context,
                    const v1::ChatRequest* request,
                    GenerateWriter* writer) override;
  grpc::Status Score(grpc::ServerContext* context,
                     const v1::ScoreRequest* request,
                     v1::ScoreResponse* response) override;
  grpc::Status Tokenize(grpc::ServerContext* context,
                        const v1::TokenizeRequest* request,
                        v1::TokenizeResponse* response) override;
  grpc::Status Detokenize(grpc::ServerContext* context,
                          const v1::DetokenizeRequest* request,
                          v1::DetokenizeResponse* response) override;
  grpc::Status GetStats(grpc::ServerContext* context,
                        const v1::GetStatsRequest* request,
                        v1::Stats* response) override;
  grpc::Status WatchStats(grpc::ServerContext* context,
                          const v1::WatchStatsRequest* request,
                          grpc::ServerWriter<v1::Stats>* writer) override;
  grpc::Status SaveSession(grpc::ServerContext* context,
                           const v1::SaveSessionRequest* request,
                           v1::Session* response) override;
  grpc::Status ListSessions(grpc::ServerContext* context,
                            const v1::ListSessionsRequest* request,
                            v1::ListSessionsResponse* response) override;
  grpc::Status RestoreSession(grpc::ServerContext* context,
                              const v1::RestoreSessionRequest* request,
                              v1::Session* response) override;
  grpc::Status DropSession(grpc::ServerContext* context,
                           const v1::DropSessionRequest* request,
                           v1::DropSessionResponse* response) override;
  grpc::Status GetExperts(grpc::ServerContext* context,
                          const v1::GetExpertsRequest* request,
                          v1::Experts* response) override;
  grpc::Status GetTopology(grpc::ServerContext* context,
                           const v1::GetTopologyRequest* request,
                           v1::Topology* response) override;
  grpc::Status GetModelInfo(grpc::ServerContext* context,
                            const v1::GetModelInfoRequest* request,
                            v1::ModelInfo* response) override;
  grpc::Status Check(grpc::ServerContext* context,
                     const grpc::health::v1::HealthCheckRequest* request,
                     grpc::health::v1::HealthCheckResponse* response) override;

  grpc::Status Stream(grpc::ServerContext* context, GenerateWriter* writer);

  std::string folder_;
  std::string address_;
  mutable std::mutex mutex_;  // of the requests
  v1::GenerateRequest generate_request_;
  v1::ChatRequest chat_request_;
  v1::ScoreRequest score_request_;
  v1::TokenizeRequest tokenize_request_;
  v1::DetokenizeRequest detokenize_request_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace mlad
