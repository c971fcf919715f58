// Admin and health over a real connection, while loading, serving and stopping.
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/rpc/server_fixture.h"

namespace mlad {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Admin : public ServerFixture {};

TEST_F(Admin, StatsPerNodeAndInTotal) {
  const auto stats = client().GetStats();
  ASSERT_TRUE(stats.ok()) << stats.status();
  EXPECT_EQ(stats->state(), v1::SERVING_STATE_SERVING);
  EXPECT_EQ(stats->load_fraction(), 1);
  EXPECT_GT(stats->uptime_s(), 0);
  EXPECT_EQ(stats->weights_bytes(), 2001);
  EXPECT_EQ(stats->compute_bytes(), 20);
  EXPECT_EQ(stats->kv_bytes_capacity(), 1600);
  EXPECT_EQ(stats->kv_bytes_used(), 400);
  ASSERT_EQ(stats->nodes_size(), 2);
  const v1::NodeStats& node = stats->nodes(1);
  EXPECT_EQ(node.node(), 1);
  EXPECT_THAT(node.cpus(), ElementsAre(2, 3));
  EXPECT_TRUE(node.simulated());
  EXPECT_EQ(node.weights_bytes(), 1001);
  EXPECT_EQ(node.kv_bytes_used(), 100);
  EXPECT_EQ(node.kv_bytes_capacity(), 800);
  EXPECT_EQ(node.kv_pages_used(), 1);
  EXPECT_EQ(node.local_bytes(), 6000);
  EXPECT_EQ(node.remote_bytes(), 60);
  EXPECT_EQ(node.misplaced_pages(), 7);
  EXPECT_EQ(node.busy_share(), 0);  // no step yet
  EXPECT_EQ(stats->nodes(0).busy_share(), 0.75);
  EXPECT_EQ(stats->nodes(0).barrier_share(), 0.25);
  EXPECT_EQ(stats->engine().requests(), 0);
}

TEST_F(Admin, TopologyAndModelInfo) {
  const auto topology = client().GetTopology();
  ASSERT_TRUE(topology.ok()) << topology.status();
  EXPECT_EQ(topology->isa(), "scalar");
  ASSERT_EQ(topology->nodes_size(), 2);
  EXPECT_EQ(topology->nodes(1).head_begin(), 2);
  EXPECT_EQ(topology->nodes(1).head_end(), 4);
  EXPECT_EQ(topology->nodes(1).workers(), 2);
  EXPECT_EQ(topology->nodes(1).memory_bytes(), 1 << 30);
  EXPECT_EQ(topology->nodes(1).package(), 1);
  EXPECT_THAT(topology->nodes(1).distances(), ElementsAre(21, 10));
  EXPECT_THAT(topology->notes(), ElementsAre("some are simulated"));

  const auto info = client().GetModelInfo();
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->name(), "tiny \xEF\xBF\xBD");
  EXPECT_EQ(info->kv_type(), "q8_0");
  EXPECT_EQ(info->vocab_size(), kFakeVocab);
  EXPECT_EQ(info->chat_style(), ChatStyleName(ChatStyle::kV3));
  EXPECT_EQ(info->daemon_version(), "1.2.3");
  EXPECT_EQ(info->kv_bytes_per_token(), 306);
}

TEST_F(Admin, ExpertsWithCountersAndReplicas) {
  const auto experts = client().GetExperts();
  ASSERT_TRUE(experts.ok()) << experts.status();
  EXPECT_EQ(experts->placement(), "whole");
  EXPECT_EQ(experts->replicas_per_node(), 1);
  ASSERT_EQ(experts->layers_size(), 1);
  const v1::ExpertLayer& layer = experts->layers(0);
  EXPECT_EQ(layer.layer(), 1);
  ASSERT_EQ(layer.tokens_size(), 3);
  EXPECT_EQ(layer.tokens(0), 4);
  ASSERT_EQ(layer.replicas_size(), 2);
  EXPECT_EQ(layer.replicas(0).experts(0), 2);
  EXPECT_EQ(layer.replicas(1).experts_size(), 0);
}

TEST_F(Admin, WithoutAFolderThereAreNoSessions) {
  const auto is_off = [](const absl::Status& status) {
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("--session-dir"));
  };
  v1::SaveSessionRequest request;
  request.set_name("x");
  request.mutable_generate()->set_text("text");
  is_off(client().SaveSession(request).status());
  is_off(client().ListSessions().status());
  is_off(client().RestoreSession("x").status());
  is_off(client().DropSession("x"));
}

TEST_F(Admin, WatchStatsSendsAtOnceAndAgain) {
  v1::WatchStatsRequest request;
  request.set_interval_ms(100);
  int messages = 0;
  absl::Time first, third;
  EXPECT_TRUE(client()
                  .WatchStats(request,
                              [&](const v1::Stats& stats) {
                                EXPECT_EQ(stats.nodes_size(), 2);
                                ++messages;
                                if (messages == 1) first = absl::Now();
                                third = absl::Now();
                                return messages < 3;
                              })
                  .ok());
  EXPECT_EQ(messages, 3);
  EXPECT_GE(third - first, absl::Milliseconds(150));
}

TEST_F(Admin, WatchStatsChecksItsInterval) {
  for (const int interval : {0, 99, -1, 3'600'001}) {
    v1::WatchStatsRequest request;
    request.set_interval_ms(interval);
    const absl::Status status =
        client().WatchStats(request, [](const auto&) { return true; });
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << interval;
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("it must be in [100, 3600000]"));
  }
}

TEST_F(Admin, HealthOfTheServicesItKnows) {
  EXPECT_EQ(*client().CheckHealth(""), Health::kServing);
  EXPECT_EQ(*client().CheckHealth("mlad.v1.Inference"), Health::kServing);
  EXPECT_EQ(client().CheckHealth("other").status().code(),
            absl::StatusCode::kNotFound);
}

class Phases : public testing::Test {
 protected:
  Phases() {
    auto server = Server::Start(LoopbackOptions());
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    auto client = Client::Connect(server_->addresses()[0].ToString());
    EXPECT_TRUE(client.ok()) << client.status();
    client_ = *std::move(client);
  }

  FakeServedModel model_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<Client> client_;
};

TEST_F(Phases, WhileLoadingOnlyStatsAnswer) {
  server_->SetLoadFraction(0.42);
  const auto stats = client_->GetStats();
  ASSERT_TRUE(stats.ok()) << stats.status();
  EXPECT_EQ(stats->state(), v1::SERVING_STATE_LOADING);
  EXPECT_EQ(stats->load_fraction(), 0.42);
  EXPECT_EQ(stats->nodes_size(), 0);

  for (const absl::Status& status :
       {client_->GetTopology().status(), client_->GetModelInfo().status(),
        client_->Tokenize({}).status(), client_->Score({}).status(),
        Collect(*client_, GenerateText("p")).status}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("still loading, 42% is done"));
  }
  EXPECT_EQ(*client_->CheckHealth(), Health::kNotServing);

  server_->SetModel(model_);
  EXPECT_EQ(*client_->CheckHealth(), Health::kServing);
  EXPECT_TRUE(client_->GetTopology().ok());
  EXPECT_TRUE(Collect(*client_, GenerateText("p")).status.ok());
}

TEST_F(Phases, WatchersSeeEveryPhaseAndAreEndedInTheEnd) {
  std::vector<Health> seen;
  absl::Status status;
  std::thread health_watcher([&] {
    status = client_->WatchHealth("mlad.v1.Inference", [&](Health health) {
      seen.push_back(health);
      if (seen.size() == 1) server_->SetModel(model_);
      return true;
    });
  });
  std::vector<v1::ServingState> states;
  const absl::Status stats_status = [&] {
    v1::WatchStatsRequest request;
    request.set_interval_ms(100);
    std::thread stopper([&] {
      model_.engine().WaitForAccepted(1);
      server_->Shutdown(absl::Now() + absl::Milliseconds(500));
    });
    std::thread generator;
    model_.engine().SetScript([](const GenerationRequest&) {
      FakeScript script;
      script.endless = true;
      return script;
    });
    const absl::Status result =
        client_->WatchStats(request, [&](const v1::Stats& stats) {
          states.push_back(stats.state());
          if (stats.state() == v1::SERVING_STATE_SERVING &&
              !generator.joinable()) {
            generator = std::thread(
                [&] { (void)Collect(*client_, GenerateText("p")); });
          }
          return true;
        });
    generator.join();
    stopper.join();
    return result;
  }();
  health_watcher.join();
  EXPECT_THAT(seen, ElementsAre(Health::kNotServing, Health::kServing,
                                Health::kNotServing));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_EQ(stats_status.code(), absl::StatusCode::kUnavailable)
      << stats_status;
  EXPECT_EQ(states.back(), v1::SERVING_STATE_DRAINING);
}

TEST_F(Phases, HealthWatchOfAnUnknownServiceStaysOpen) {
  int messages = 0;
  const absl::Status status =
      client_->WatchHealth("other",
                           [&](Health health) {
                             EXPECT_EQ(health, Health::kNotServing);
                             ++messages;
                             return true;
                           },
                           {.timeout = absl::Milliseconds(200)});
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(messages, 1);
}

TEST_F(Phases, MayStopBeforeTheModelIsThere) {
  server_->Shutdown(absl::Now());
  server_->Shutdown(absl::Now());  // the destructor does so, too
  EXPECT_EQ(client_->GetStats().status().code(),
            absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace mlad
