// Sessions between an engine and the disk. The engines compute nothing that
// lies in the cache's memory; the tests put bytes there themselves.
#include "engine/session_store.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/engine/engine_fixture.h"

#include "engine/sequence_pages.h"

namespace mlad {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr int64_t kLayers = 2;
constexpr int64_t kRowElements = 64;
constexpr int64_t kPages = 40;  // of each node

/// An engine with a cache of its own, on some nodes.
class Host {
 public:
  Host(int nodes, KvType type, const Tokenizer& tokenizer,
       int64_t pages_per_node = kPages)
      : pages_(std::vector<int64_t>(nodes, pages_per_node)),
        model_(FakeModelShape{}) {
    TopologyOptions options;
    options.nodes = nodes;
    options.threads_per_node = 1;
    topology_ = Topology::Create(options).value();
    cache_ = LatentCache::Create(*topology_, {type, kLayers, kRowElements},
                                 std::vector<int64_t>(nodes, pages_per_node))
                 .value();
    EngineOptions engine;
    engine.context_tokens = 1024;
    engine_ = Engine::Create(model_, tokenizer, pages_, clock_, engine).value();
  }
  ~Host() { model_.Release(); }

  SessionStore Store(const std::string& folder, SessionOrigin origin) {
    SessionStore::Parts parts;
    parts.engine = engine_.get();
    parts.cache = cache_.get();
    parts.prompt_chunk_tokens = model_.prompt_chunk_tokens();
    parts.now_s = [] { return int64_t{1'700'000'000}; };
    return SessionStore(folder, std::move(origin), std::move(parts));
  }

  /// What the cache has of the tokens' beginning.
  PrefixCache::Match Find(const std::vector<int32_t>& tokens) {
    PrefixCache::Match match;
    const absl::Status status =
        engine_->BetweenSteps([&](SequencePages& pages) {
          match =
              pages.Hold(tokens, PageForms(static_cast<int64_t>(tokens.size()),
                                           model_.prompt_chunk_tokens()));
          pages.LetGo(match);
        });
    EXPECT_TRUE(status.ok()) << status;
    return match;
  }
  absl::Span<std::byte> BytesOf(PageRef page) {
    return {cache_->Rows(page, 0), static_cast<size_t>(cache_->page_bytes())};
  }
  int64_t UsedPages() const {
    int64_t used = 0;
    for (int node = 0; node < pages_.nodes(); ++node) {
      used += pages_.used_pages(node);
    }
    return used;
  }
  Engine& engine() { return *engine_; }
  FakeModel& model() { return model_; }

 private:
  TestClock clock_;
  std::unique_ptr<Topology> topology_;
  PageAllocator pages_;
  std::unique_ptr<LatentCache> cache_;
  FakeModel model_;
  std::unique_ptr<Engine> engine_;
};

std::byte Byte(int64_t page, size_t i) {
  return static_cast<std::byte>(page * 37 + static_cast<int64_t>(i % 251));
}

class SessionStoreTest : public EngineTest {
 protected:
  void SetUp() override {
    tokenizer_ = MakeTokenizer();
    folder_ = testing::TempDir() + "/sessions.XXXXXX";
    ASSERT_NE(mkdtemp(folder_.data()), nullptr);
    origin_.model = 77;
    origin_.kv_type = "q8_kv";
    origin_.kernels = "scalar";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  /// Generates from the prompt and marks the pages that come of it. Returns the
  /// whole text.
  std::vector<int32_t> Converse(Host& host, std::vector<int32_t> prompt,
                                int64_t answer) {
    auto recorder = std::make_shared<GenerationRecorder>();
    const auto id = host.engine().Generate(Greedy(prompt, answer), recorder);
    EXPECT_TRUE(id.ok()) << id.status();
    recorder->Event();
    for (const int32_t token : recorder->ids()) prompt.push_back(token);
    const PrefixCache::Match match = host.Find(prompt);
    for (size_t page = 0; page < match.pages.size(); ++page) {
      const absl::Span<std::byte> bytes = host.BytesOf(match.pages[page]);
      for (size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = Byte(static_cast<int64_t>(page), i);
      }
    }
    return prompt;
  }

  std::string FileOf(const std::string& name) const {
    return folder_ + "/" + name + ".mlad-session";
  }

  std::string folder_;
  SessionOrigin origin_;
};

TEST_F(SessionStoreTest, ComesBackOnAnyNumberOfNodesWithEveryCacheType) {
  for (const KvType type : kAllKvTypes) {
    origin_.kv_type = KvTypeName(type);
    Host before(2, type, *tokenizer_);
    // 150 tokens and 60: page 6 ends amid the answer.
    const std::vector<int32_t> text = Converse(before, Prompt(150), 60);
    const PrefixCache::Match saved = before.Find(text);
    ASSERT_EQ(saved.pages.size(), 6u);
    const auto info = before.Store(folder_, origin_).Save("talk", text);
    ASSERT_TRUE(info.ok()) << info.status();
    EXPECT_EQ(info->tokens, 6 * 32);
    EXPECT_EQ(info->file_bytes,
              static_cast<int64_t>(std::filesystem::file_size(FileOf("talk"))));
    for (const int nodes : {1, 2, 4}) {
      SCOPED_TRACE(std::string(KvTypeName(type)) + ", " +
                   std::to_string(nodes) + " nodes");
      Host after(nodes, type, *tokenizer_);
      EXPECT_THAT(after.Find(text).pages, IsEmpty());
      SessionStore store = after.Store(folder_, origin_);
      const auto restored = store.Restore("talk");
      ASSERT_TRUE(restored.ok()) << restored.status();
      EXPECT_EQ(restored->tokens, 6 * 32);
      const PrefixCache::Match found = after.Find(text);
      ASSERT_EQ(found.pages.size(), saved.pages.size());
      EXPECT_EQ(found.forms, saved.forms);
      for (size_t page = 0; page < found.pages.size(); ++page) {
        EXPECT_EQ(found.pages[page].node,
                  LaneNode(static_cast<int>(page), found.first_node, nodes));
        const absl::Span<std::byte> bytes = after.BytesOf(found.pages[page]);
        for (size_t i = 0; i < bytes.size(); ++i) {
          ASSERT_EQ(bytes[i], Byte(static_cast<int64_t>(page), i));
        }
      }
      // Once more changes nothing.
      ASSERT_TRUE(store.Restore("talk").ok());
      EXPECT_EQ(after.UsedPages(), 6);
    }
  }
}

TEST_F(SessionStoreTest, ListsByNameWithProblems) {
  Host host(2, KvType::kQ8KV, *tokenizer_);
  SessionStore store = host.Store(folder_, origin_);
  EXPECT_THAT(*store.List(), IsEmpty());
  const std::vector<int32_t> text = Converse(host, Prompt(100), 5);
  ASSERT_TRUE(store.Save("b", text).ok());
  ASSERT_TRUE(store.Save("a.1", text).ok());
  std::ofstream(FileOf("c")) << "MLADSESS and then nonsense";
  std::ofstream(folder_ + "/notes.txt") << "not a session";
  const auto list = store.List();
  ASSERT_TRUE(list.ok()) << list.status();
  ASSERT_EQ(list->size(), 3u);
  EXPECT_EQ((*list)[0].name, "a.1");
  EXPECT_EQ((*list)[0].tokens, 96);
  EXPECT_EQ((*list)[0].saved_at_s, 1'700'000'000);
  EXPECT_TRUE((*list)[0].status.ok());
  EXPECT_EQ((*list)[1].name, "b");
  EXPECT_EQ((*list)[2].name, "c");
  EXPECT_TRUE(absl::IsDataLoss((*list)[2].status)) << (*list)[2].status;

  ASSERT_TRUE(store.Drop("b").ok());
  ASSERT_TRUE(store.Drop("c").ok());
  EXPECT_EQ(store.List()->size(), 1u);
  EXPECT_TRUE(absl::IsNotFound(store.Drop("b")));
  EXPECT_TRUE(absl::IsNotFound(store.Restore("b").status()));
}

TEST_F(SessionStoreTest, SessionsOfOthersAreRefused) {
  Host host(1, KvType::kQ8KV, *tokenizer_);
  const std::vector<int32_t> text = Converse(host, Prompt(64), 2);
  ASSERT_TRUE(host.Store(folder_, origin_).Save("mine", text).ok());
  const auto refusal = [&](const SessionOrigin& origin) {
    const absl::Status status =
        host.Store(folder_, origin).Restore("mine").status();
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_EQ(host.Store(folder_, origin).List()->front().status, status);
    return std::string(status.message());
  };
  SessionOrigin other = origin_;
  other.model = 78;
  EXPECT_THAT(refusal(other), HasSubstr("another model"));
  other = origin_;
  other.kv_type = "q8_0";
  EXPECT_THAT(refusal(other), HasSubstr("q8_kv; this daemon has q8_0"));
  other = origin_;
  other.kernels = "avx2";
  EXPECT_THAT(refusal(other), HasSubstr("scalar; this daemon has avx2"));
}

TEST_F(SessionStoreTest, NamesThatLeaveTheFolderAreRefused) {
  Host host(1, KvType::kQ8KV, *tokenizer_);
  SessionStore store = host.Store(folder_, origin_);
  const std::vector<int32_t> text = Converse(host, Prompt(64), 2);
  for (const std::string& name :
       {std::string(), std::string(".."), std::string(".hidden"),
        std::string("a/b"), std::string("../x"), std::string("a b"),
        std::string("a\0b", 3), std::string(65, 'a'),
        std::string("\xC3\xA4")}) {
    EXPECT_TRUE(absl::IsInvalidArgument(store.Save(name, text).status()));
    EXPECT_TRUE(absl::IsInvalidArgument(store.Restore(name).status()));
    EXPECT_TRUE(absl::IsInvalidArgument(store.Drop(name)));
  }
  EXPECT_TRUE(store.Save(std::string(64, 'a'), text).ok());
}

TEST_F(SessionStoreTest, WhatTheCacheDoesNotHaveCannotBeSaved) {
  Host host(2, KvType::kQ8KV, *tokenizer_);
  SessionStore store = host.Store(folder_, origin_);
  const std::vector<int32_t> text = Converse(host, Prompt(100), 5);
  EXPECT_TRUE(
      absl::IsFailedPrecondition(store.Save("x", Prompt(100, 9)).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(store.Save("x", {}).status()));
  // Of a text that goes on differently: what it has of it.
  std::vector<int32_t> other(text.begin(), text.begin() + 70);
  other.resize(200, 5);
  const auto info = store.Save("x", other);
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->tokens, 64);
}

TEST_F(SessionStoreTest, ACacheWithoutRoomStaysAsItIs) {
  Host large(1, KvType::kQ8KV, *tokenizer_);
  const std::vector<int32_t> text = Converse(large, Prompt(400), 2);
  ASSERT_TRUE(large.Store(folder_, origin_).Save("long", text).ok());
  Host small(1, KvType::kQ8KV, *tokenizer_, /*pages_per_node=*/8);
  const std::vector<int32_t> kept = Converse(small, Prompt(100, 3), 2);
  const absl::Status status =
      small.Store(folder_, origin_).Restore("long").status();
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_EQ(small.Find(kept).pages.size(), 3u);
}

TEST_F(SessionStoreTest, ADamagedPageLeavesNothingInTheCache) {
  Host host(2, KvType::kQ8KV, *tokenizer_);
  const std::vector<int32_t> text = Converse(host, Prompt(200), 2);
  ASSERT_TRUE(host.Store(folder_, origin_).Save("x", text).ok());
  {
    std::fstream file(FileOf("x"),
                      std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(-100, std::ios::end);
    file.put('\x5A');
    file.put('\xA5');
  }
  Host after(2, KvType::kQ8KV, *tokenizer_);
  const absl::Status status =
      after.Store(folder_, origin_).Restore("x").status();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(after.Find(text).pages, IsEmpty());
  EXPECT_EQ(after.UsedPages(), 0);
}

TEST_F(SessionStoreTest, RestoringEvictsWhatIsUnused) {
  Host host(1, KvType::kQ8KV, *tokenizer_, /*pages_per_node=*/8);
  SessionStore store = host.Store(folder_, origin_);
  const std::vector<int32_t> first = Converse(host, Prompt(190), 2);
  ASSERT_TRUE(store.Save("first", first).ok());
  const std::vector<int32_t> second = Converse(host, Prompt(190, 9), 2);
  EXPECT_LT(host.Find(first).pages.size(), 5u);
  ASSERT_TRUE(store.Restore("first").ok());
  EXPECT_GE(host.Find(first).pages.size(), 5u);
}

TEST_F(SessionStoreTest, SavesWhileOthersGenerate) {
  Host host(2, KvType::kQ8KV, *tokenizer_);
  SessionStore store = host.Store(folder_, origin_);
  const std::vector<int32_t> text = Converse(host, Prompt(100), 5);
  auto recorder = std::make_shared<GenerationRecorder>();
  ASSERT_TRUE(
      host.engine().Generate(Greedy(Prompt(50, 9), 300), recorder).ok());
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(store.Save("x", text).ok());
    ASSERT_TRUE(store.Restore("x").ok());
  }
  recorder->Event();
  EXPECT_EQ(recorder->ids(), host.model().Continue(Prompt(50, 9), 300));
}

}  // namespace
}  // namespace mlad
