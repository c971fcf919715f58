// Streams from the engine to a transport of our own, in whose place gRPC would
// hide from ThreadSanitizer what orders its threads. The forward pass is a
// stub.
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <random>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mlad/v1/inference.pb.h"
#include "tests/engine/fake_model.h"
#include "tests/rpc/fake_served_model.h"

#include "rpc/generation_call.h"
#include "rpc/request_reading.h"
#include "rpc/wire_message.h"
#include "rpc/work_queue.h"

namespace mlad {
namespace {

/// FakeServedModel with the real engine on a stub.
class EngineModel final : public ServedModel {
 public:
  explicit EngineModel(const EngineOptions& options)
      : model_({.vocab = kFakeVocab, .step_tokens = 24, .step_spans = 8}),
        pages_({16, 16}) {
    // Slower than what delivers the tokens, as a model is.
    model_.on_step = [](auto, auto) {
      absl::SleepFor(absl::Microseconds(200));
    };
    auto engine =
        Engine::Create(model_, fake_.tokenizer(), pages_, clock_, options);
    EXPECT_TRUE(engine.ok()) << engine.status();
    engine_ = *std::move(engine);
  }
  Engine& engine() override { return *engine_; }
  const Tokenizer& tokenizer() const override { return fake_.tokenizer(); }
  std::optional<ChatStyle> chat_style() const override {
    return fake_.chat_style();
  }
  const ModelFacts& facts() const override { return fake_.facts(); }
  const PlacementPlan& plan() const override { return fake_.plan(); }
  std::vector<NodeCounters> node_counters() const override { return {}; }
  std::vector<ExpertLayerCounters> expert_counters() const override {
    return {};
  }
  std::string_view isa() const override { return "scalar"; }

  FakeModel& model() { return model_; }
  int64_t held_pages() const {
    int64_t pages = pages_.used_pages(0) + pages_.used_pages(1);
    for (const int64_t cached : engine_->stats().cached_pages) pages -= cached;
    return pages;
  }

 private:
  FakeServedModel fake_;
  FakeModel model_;
  PageAllocator pages_;
  RealClock clock_;
  std::unique_ptr<Engine> engine_;  // last: it stops first
};

/// What gRPC's threads do: reactions, of one call also at the same time.
class Transport {
 public:
  Transport() {
    for (int i = 0; i < 3; ++i) threads_.emplace_back([this] { Run(); });
  }
  ~Transport() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }
  void Post(std::function<void()> reaction) {
    {
      const std::lock_guard lock(mutex_);
      reactions_.push_back(std::move(reaction));
    }
    changed_.notify_one();
  }

 private:
  void Run() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return stopping_ || !reactions_.empty(); });
      if (reactions_.empty()) return;
      const std::function<void()> reaction = std::move(reactions_.front());
      reactions_.pop_front();
      lock.unlock();
      reaction();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> reactions_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

/// How a client behaves.
struct Behaviour {
  int cancel_after = -1;  // writes; -1: never
  int stall_after = -1;   // takes nothing more until it is cancelled
  absl::Duration pause = absl::ZeroDuration();  // before each write is done
};

/// The server's end of one call, as gRPC has it.
class CallEnd final : public grpc::ServerCallbackWriter<grpc::ByteBuffer> {
 public:
  CallEnd(Transport& transport, const Behaviour& behaviour)
      : transport_(transport), behaviour_(behaviour) {}

  void Bind(StreamReactor* reactor) {
    reactor_ = reactor;
    BindReactor(reactor);
  }
  void Cancel() {
    bool stalled = false;
    {
      const std::lock_guard lock(mutex_);
      if (done_ || finishing_ || cancelled_) return;
      cancelled_ = true;
      stalled = std::exchange(stalled_, false);
      ++reactions_;
    }
    React([this] { reactor_->OnCancel(); });
    if (stalled) React([this] { reactor_->OnWriteDone(false); });
  }
  void AwaitDone() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_until(
        lock, std::chrono::system_clock::now() + std::chrono::minutes(1),
        [this] { return done_; }));
  }

  // After AwaitDone.
  const std::vector<int32_t>& ids() const { return ids_; }
  const grpc::Status& status() const { return status_; }

  void Write(const grpc::ByteBuffer* message, grpc::WriteOptions) override {
    bool cancel = false;
    {
      const std::lock_guard lock(mutex_);
      ++reactions_;
      v1::GenerateResponse response;
      EXPECT_TRUE(ParseMessage(*message, &response).ok());
      if (response.has_token()) ids_.push_back(response.token().id());
      cancel = writes_ == behaviour_.cancel_after;
      if (++writes_ > behaviour_.stall_after && behaviour_.stall_after >= 0 &&
          !cancelled_) {
        stalled_ = true;
        return;
      }
    }
    if (cancel) Cancel();
    React([this] {
      if (behaviour_.pause > absl::ZeroDuration()) {
        absl::SleepFor(behaviour_.pause);
      }
      bool ok = false;
      {
        const std::lock_guard lock(mutex_);
        ok = !cancelled_;
      }
      reactor_->OnWriteDone(ok);
    });
  }
  void Finish(grpc::Status status) override {
    {
      const std::lock_guard lock(mutex_);
      finishing_ = true;
      status_ = std::move(status);
    }
    React([] {});
  }
  void SendInitialMetadata() override {}
  void WriteAndFinish(const grpc::ByteBuffer*, grpc::WriteOptions,
                      grpc::Status) override {
    ADD_FAILURE() << "not used";
  }

 private:
  grpc::internal::ServerReactor* reactor() override { return reactor_; }
  void CallOnDone() override {}

  /// A reaction that is counted already; the last one is followed by OnDone.
  void React(std::function<void()> reaction) {
    transport_.Post([this, reaction = std::move(reaction)] {
      reaction();
      {
        const std::lock_guard lock(mutex_);
        if (--reactions_ > 0) return;
      }
      reactor_->OnDone();
      const std::lock_guard lock(mutex_);
      done_ = true;
      changed_.notify_all();
    });
  }

  Transport& transport_;
  const Behaviour behaviour_;
  grpc::ServerWriteReactor<grpc::ByteBuffer>* reactor_ = nullptr;
  std::mutex mutex_;
  std::condition_variable changed_;
  int reactions_ = 1;  // outstanding, that of Finish included
  int writes_ = 0;
  bool stalled_ = false, cancelled_ = false, finishing_ = false, done_ = false;
  std::vector<int32_t> ids_;
  grpc::Status status_;
};

class StreamThreads : public testing::Test {
 protected:
  static constexpr int64_t kTokens = 60;

  StreamThreads() : state_("1.2.3", 16), model_(Options()), queue_(2, 1000) {
    state_.SetModel(model_);
  }
  static EngineOptions Options() {
    EngineOptions options;
    options.context_tokens = 512;
    options.max_sequences = 6;
    return options;
  }
  static std::vector<int32_t> Prompt(int number) {
    std::vector<int32_t> prompt;
    for (int i = 0; i < 5 + number % 40; ++i) {
      prompt.push_back((number + 7 * i) % 250);
    }
    return prompt;
  }

  struct Call {
    std::unique_ptr<grpc::CallbackServerContext> context;
    std::unique_ptr<grpc::ByteBuffer> request;
    std::unique_ptr<CallEnd> end;
    int number = 0;
    Behaviour behaviour;
  };
  Call Start(int number, const Behaviour& behaviour) {
    v1::GenerateRequest request;
    const std::vector<int32_t> prompt = Prompt(number);
    request.mutable_tokens()->mutable_ids()->Add(prompt.begin(), prompt.end());
    request.mutable_options()->set_max_tokens(kTokens);
    request.mutable_options()->set_ignore_eos(true);
    request.mutable_options()->mutable_sampling()->set_greedy(true);
    Call call;
    call.number = number;
    call.behaviour = behaviour;
    call.context = std::make_unique<grpc::CallbackServerContext>();
    call.request =
        std::make_unique<grpc::ByteBuffer>(SerializeMessage(request));
    call.end = std::make_unique<CallEnd>(transport_, behaviour);
    auto ticket = state_.Admit(*call.context);
    EXPECT_TRUE(ticket.ok()) << ticket.status();
    auto reactor = std::make_shared<GenerationCall>(
        GenerationCall::Params{.ticket = *std::move(ticket),
                               .context = call.context.get(),
                               .request = call.request.get(),
                               .reader = ReadGenerateRequest,
                               .limits = {.max_unread_bytes = 100}});
    call.end->Bind(StreamReactor::StartCall(reactor));
    EXPECT_TRUE(queue_.TryPush([reactor] { reactor->Submit(); }));
    return call;
  }

  ServerState state_;
  EngineModel model_;
  Transport transport_;
  WorkQueue queue_;
};

TEST_F(StreamThreads, AllThatStayGetTheirTextAndNothingIsHeld) {
  constexpr int kCalls = 80;
  std::minstd_rand random(5);
  std::vector<Call> calls;
  calls.reserve(kCalls);
  for (int i = 0; i < kCalls; ++i) {
    Behaviour behaviour;
    switch (random() % 4) {
      case 0:
        behaviour.cancel_after = static_cast<int>(random() % kTokens);
        break;
      case 1:
        behaviour.stall_after = static_cast<int>(random() % kTokens);
        break;
      case 2:
        behaviour.pause = absl::Microseconds(random() % 300);
        break;
      default:
        break;
    }
    calls.push_back(Start(i, behaviour));
  }
  for (const Call& call : calls) {
    if (call.behaviour.stall_after >= 0) continue;
    call.end->AwaitDone();
    if (call.behaviour.cancel_after >= 0) continue;
    EXPECT_TRUE(call.end->status().ok()) << call.end->status().error_message();
    EXPECT_EQ(call.end->ids(),
              model_.model().Continue(Prompt(call.number), kTokens));
  }
  for (const Call& call : calls) {
    call.end->Cancel();
    call.end->AwaitDone();
    // What has come is right, however little it is.
    const std::vector<int32_t> all =
        model_.model().Continue(Prompt(call.number), kTokens);
    ASSERT_LE(call.end->ids().size(), all.size());
    EXPECT_TRUE(std::equal(call.end->ids().begin(), call.end->ids().end(),
                           all.begin()));
  }
  model_.engine().Drain(absl::Now() + absl::Minutes(1));
  const EngineStats stats = model_.engine().stats();
  EXPECT_EQ(stats.running + stats.queued + stats.paused, 0);
  EXPECT_EQ(stats.clients, 0);
  EXPECT_EQ(model_.held_pages(), 0);
  EXPECT_THAT(model_.model().complaints(), testing::IsEmpty());
}

TEST_F(StreamThreads, AReaderThatStallsPausesAndGoesOn) {
  const Call stalled = Start(1, {.stall_after = 3});
  const Call other = Start(2, {});
  other.end->AwaitDone();
  const absl::Time patience = absl::Now() + absl::Seconds(20);
  while (model_.engine().stats().paused == 0 && absl::Now() < patience) {
    absl::SleepFor(absl::Milliseconds(1));
  }
  EXPECT_EQ(model_.engine().stats().paused, 1);
  // 4 messages were taken; 100 bytes and what was under way wait.
  EXPECT_LT(model_.engine().stats().completion_tokens, kTokens + 40);
  stalled.end->Cancel();
  stalled.end->AwaitDone();
  EXPECT_EQ(stalled.end->status().error_code(), grpc::StatusCode::CANCELLED);
}

}  // namespace
}  // namespace mlad
