// An engine over a fake model, with observers that remember.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/time/time.h"
#include "tests/engine/fake_model.h"
#include "tests/model/test_vocabulary.h"

#include "engine/engine.h"

namespace mlad {

/// Moves when told to; any thread.
class TestClock final : public Clock {
 public:
  absl::Time Now() const override {
    return absl::UnixEpoch() + absl::Nanoseconds(now_ns_.load());
  }
  void Advance(absl::Duration duration) {
    now_ns_ += absl::ToInt64Nanoseconds(duration);
  }

 private:
  std::atomic<int64_t> now_ns_ = 0;
};

/// What both kinds of observers share: waiting for the end.
template <typename Result>
class Recorder {
 public:
  /// Fails the test when nothing came within a minute.
  const absl::StatusOr<Result>& Await() {
    std::unique_lock lock(mutex_);
    const bool finished = changed_.wait_until(
        lock, std::chrono::system_clock::now() + std::chrono::minutes(1),
        [this] { return finishes_ > 0; });
    EXPECT_TRUE(finished) << "the request never finished";
    return result_;
  }
  bool finished() const {
    const std::lock_guard lock(mutex_);
    return finishes_ > 0;
  }
  int finishes() const {
    const std::lock_guard lock(mutex_);
    return finishes_;
  }
  std::vector<std::pair<int64_t, int64_t>> progress() const {
    const std::lock_guard lock(mutex_);
    return progress_;
  }
  std::thread::id thread() const {
    const std::lock_guard lock(mutex_);
    return thread_;
  }

 protected:
  void AddProgress(int64_t done, int64_t total) {
    const std::lock_guard lock(mutex_);
    EXPECT_EQ(finishes_, 0);
    progress_.emplace_back(done, total);
  }
  void Finish(const absl::StatusOr<Result>& result) {
    const std::lock_guard lock(mutex_);
    ++finishes_;
    result_ = result;
    thread_ = std::this_thread::get_id();
    changed_.notify_all();
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  int finishes_ = 0;

 private:
  absl::StatusOr<Result> result_;
  std::vector<std::pair<int64_t, int64_t>> progress_;
  std::thread::id thread_;
};

class GenerationRecorder final : public GenerationObserver,
                                 public Recorder<FinishEvent> {
 public:
  void OnPromptProgress(int64_t done, int64_t total) override {
    AddProgress(done, total);
  }
  void OnToken(const TokenEvent& event) override {
    {
      const std::lock_guard lock(mutex_);
      EXPECT_EQ(finishes_, 0);
      tokens_.push_back(event.token);
      text_ += event.text;
      changed_.notify_all();
    }
    if (on_token) on_token();
  }
  void OnFinish(const absl::StatusOr<FinishEvent>& result) override {
    Finish(result);
  }

  /// Waits until `count` tokens came.
  void AwaitTokens(size_t count) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_until(
        lock, std::chrono::system_clock::now() + std::chrono::minutes(1),
        [&] { return tokens_.size() >= count; }));
  }
  /// Of the finished request; a failed one fails the test.
  FinishEvent Event() {
    const absl::StatusOr<FinishEvent>& result = Await();
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *result : FinishEvent{};
  }
  std::vector<SampledToken> tokens() const {
    const std::lock_guard lock(mutex_);
    return tokens_;
  }
  std::vector<int32_t> ids() const {
    std::vector<int32_t> ids;
    for (const SampledToken& token : tokens()) ids.push_back(token.id);
    return ids;
  }
  /// The answer: of all tokens and the end.
  std::string Text() { return StreamedText() + Event().text; }
  std::string StreamedText() const {
    const std::lock_guard lock(mutex_);
    return text_;
  }

  std::function<void()> on_token;

 private:
  std::vector<SampledToken> tokens_;
  std::string text_;
};

class ScoreRecorder final : public ScoreObserver, public Recorder<ScoreResult> {
 public:
  void OnProgress(int64_t done, int64_t total) override {
    AddProgress(done, total);
  }
  void OnFinish(const absl::StatusOr<ScoreResult>& result) override {
    Finish(result);
  }
};

class EngineTest : public testing::Test {
 protected:
  static constexpr int32_t kEos = 257;
  static constexpr int64_t kNodes = 2;

  /// Ids 0 to 255 are bytes.
  static std::unique_ptr<Tokenizer> MakeTokenizer() {
    TestVocabulary vocabulary;
    const int32_t bos = vocabulary.AddToken("<bos>", 3);
    const int32_t eos = vocabulary.AddToken("<eos>", 3);
    EXPECT_EQ(eos, kEos);
    GgufWriter writer = vocabulary.Writer();
    writer.SetUint32("tokenizer.ggml.bos_token_id", bos);
    writer.SetUint32("tokenizer.ggml.eos_token_id", eos);
    const std::vector<std::byte> bytes = writer.Build();
    auto file = GgufFile::Parse(bytes, {});
    EXPECT_TRUE(file.ok()) << file.status();
    auto tokenizer = Tokenizer::Create(**file);
    EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
    return *std::move(tokenizer);
  }

  static EngineOptions Options() {
    EngineOptions options;
    options.context_tokens = 512;
    return options;
  }

  /// `pages`: of each node.
  void Start(const FakeModelShape& shape = {}, FakeModel::Script script = {},
             int64_t pages = 200, const EngineOptions& options = Options()) {
    tokenizer_ = MakeTokenizer();
    pages_ =
        std::make_unique<PageAllocator>(std::vector<int64_t>(kNodes, pages));
    model_ = std::make_unique<FakeModel>(shape, std::move(script));
    auto engine =
        Engine::Create(*model_, *tokenizer_, *pages_, clock_, options);
    ASSERT_TRUE(engine.ok()) << engine.status();
    engine_ = *std::move(engine);
  }

  /// The model says `text`, whatever the prompt of `prompt_tokens` tokens, and
  /// then its EOS.
  static FakeModel::Script Saying(std::string text, size_t prompt_tokens) {
    return [=](absl::Span<const int32_t> tokens) -> int32_t {
      const size_t said = tokens.size() - prompt_tokens;
      if (tokens.size() < prompt_tokens) return -1;
      return said < text.size() ? static_cast<uint8_t>(text[said]) : kEos;
    };
  }

  static std::vector<int32_t> Prompt(int64_t tokens, int32_t first = 1) {
    std::vector<int32_t> prompt;
    for (int64_t i = 0; i < tokens; ++i) {
      prompt.push_back(static_cast<int32_t>((first + i * 7) % 250));
    }
    return prompt;
  }

  static GenerationRequest Greedy(std::vector<int32_t> prompt,
                                  int64_t max_tokens) {
    GenerationRequest request;
    request.prompt = std::move(prompt);
    request.max_tokens = max_tokens;
    request.sampling.greedy = true;
    request.ignore_eos = true;
    return request;
  }

  struct Submitted {
    std::shared_ptr<GenerationRecorder> recorder;
    RequestId id = 0;
  };
  Submitted Generate(GenerationRequest request) {
    auto recorder = std::make_shared<GenerationRecorder>();
    const auto id = engine_->Generate(std::move(request), recorder);
    EXPECT_TRUE(id.ok()) << id.status();
    return {recorder, id.ok() ? *id : 0};
  }
  absl::Status Refusal(GenerationRequest request) {
    return engine_
        ->Generate(std::move(request), std::make_shared<GenerationRecorder>())
        .status();
  }

  int64_t UsedPages() const {
    int64_t used = 0;
    for (int node = 0; node < pages_->nodes(); ++node) {
      used += pages_->used_pages(node);
    }
    return used;
  }

  void TearDown() override {
    if (model_ == nullptr) return;
    model_->Release();
    engine_.reset();
    EXPECT_THAT(model_->complaints(), testing::IsEmpty());
    EXPECT_EQ(UsedPages(), 0);
  }

  TestClock clock_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::unique_ptr<PageAllocator> pages_;
  std::unique_ptr<FakeModel> model_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace mlad
