#include "engine/scheduler.h"

#include <map>
#include <memory>
#include <tuple>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mlad {
namespace {

/// Generates for ever, one fixed token at a time.
class TestSequence final : public Sequence {
 public:
  TestSequence(int64_t prompt_tokens, int64_t chunk_tokens)
      : Sequence(TermsOf(chunk_tokens),
                 std::vector<int32_t>(prompt_tokens, 1)) {
    Start(absl::UnixEpoch());
  }
  int64_t ReusableTokens() const override { return 0; }
  void TakeLogits(int64_t /*position*/,
                  absl::Span<const float> /*logits*/) override {}
  std::function<void()> End(Ending /*ending*/, absl::Time /*now*/) override {
    return nullptr;
  }

 protected:
  static Terms TermsOf(int64_t chunk_tokens) {
    Terms terms;
    terms.chunk_tokens = chunk_tokens;
    return terms;
  }
  LogitsWanted WantedLogits(int64_t /*end*/) const override {
    return LogitsWanted::kNone;
  }
  void ReportProgress(int64_t /*done*/, int64_t /*total*/) override {}
  bool AfterStep(absl::Time /*now*/) override {
    if (!reading()) Append(2);
    return false;
  }
};

struct Planned {
  int sequence = 0;
  int64_t start = 0;
  int64_t tokens = 0;
  bool expanded = false;
  bool operator==(const Planned&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Planned& planned) {
  return out << "{" << planned.sequence << ", " << planned.start << ", "
             << planned.tokens << ", " << planned.expanded << "}";
}

class SchedulerTest : public testing::Test {
 protected:
  SchedulerTest() { Limit({8, 16, 4}); }
  void Limit(const Scheduler::Limits& limits) {
    chunk_ = limits.chunk_tokens;
    reading_ = {chunk_, chunk_, false};
    scheduler_ = std::make_unique<Scheduler>(limits);
  }
  int Add(int64_t prompt_tokens) {
    sequences_.push_back(std::make_unique<TestSequence>(prompt_tokens, chunk_));
    scheduler_->Add(sequences_.back().get());
    return static_cast<int>(sequences_.size()) - 1;
  }
  /// Adds one whose prompt has been read.
  int AddGenerating() {
    sequences_.push_back(std::make_unique<TestSequence>(1, chunk_));
    sequences_.back()->Advance(1, absl::UnixEpoch());
    scheduler_->Add(sequences_.back().get());
    return static_cast<int>(sequences_.size()) - 1;
  }
  Planned Describe(const StepSpan& span, const Sequence* owner) {
    const auto found = std::find_if(
        sequences_.begin(), sequences_.end(),
        [&](const auto& sequence) { return sequence.get() == owner; });
    EXPECT_EQ(span.pages, &owner->pages());
    return {static_cast<int>(found - sequences_.begin()), span.start_position,
            static_cast<int64_t>(span.tokens.size()), span.expanded};
  }
  /// Plans a step and takes it.
  std::vector<Planned> Step() {
    scheduler_->PlanStep(reading_);
    std::vector<Planned> planned;
    for (size_t i = 0; i < scheduler_->spans().size(); ++i) {
      planned.push_back(
          Describe(scheduler_->spans()[i], scheduler_->sequences()[i]));
    }
    for (const Planned& span : planned) {
      sequences_[span.sequence]->Advance(span.tokens, absl::UnixEpoch());
    }
    return planned;
  }

  std::vector<std::unique_ptr<TestSequence>> sequences_;
  std::unique_ptr<Scheduler> scheduler_;
  int64_t chunk_ = 0;
  Scheduler::Reading reading_;  // of the next steps
};

using testing::ElementsAre;

TEST_F(SchedulerTest, ReadsChunksThenTheTailThenGenerates) {
  Add(19);
  EXPECT_THAT(Step(), ElementsAre(Planned{0, 0, 8, true}));
  EXPECT_THAT(Step(), ElementsAre(Planned{0, 8, 8, true}));
  EXPECT_THAT(Step(), ElementsAre(Planned{0, 16, 3, false}));
  EXPECT_THAT(Step(), ElementsAre(Planned{0, 19, 1, false}));
  EXPECT_THAT(Step(), ElementsAre(Planned{0, 20, 1, false}));
}

TEST_F(SchedulerTest, AWholeNumberOfChunksHasNoTail) {
  Add(8);
  EXPECT_THAT(Step(), ElementsAre(Planned{0, 0, 8, true}));
  EXPECT_THAT(Step(), ElementsAre(Planned{0, 8, 1, false}));
}

TEST_F(SchedulerTest, EveryGenerationAdvancesWhileAPromptIsRead) {
  AddGenerating();
  AddGenerating();
  Add(20);
  EXPECT_THAT(Step(),
              ElementsAre(Planned{0, 1, 1, false}, Planned{1, 1, 1, false},
                          Planned{2, 0, 8, true}));
  EXPECT_THAT(Step(),
              ElementsAre(Planned{0, 2, 1, false}, Planned{1, 2, 1, false},
                          Planned{2, 8, 8, true}));
}

TEST_F(SchedulerTest, ReadersTakeTurns) {
  Add(24);
  Add(16);
  Add(8);
  EXPECT_THAT(Step(), ElementsAre(Planned{0, 0, 8, true}));
  EXPECT_THAT(Step(), ElementsAre(Planned{1, 0, 8, true}));
  EXPECT_THAT(Step(), ElementsAre(Planned{2, 0, 8, true}));
  EXPECT_THAT(Step(),
              ElementsAre(Planned{2, 8, 1, false}, Planned{0, 8, 8, true}));
}

TEST_F(SchedulerTest, ShortPromptsShareAStepUpToAChunk) {
  Add(3);
  Add(4);
  Add(5);
  // The last is cut: its rows do not depend on what they are computed with.
  EXPECT_THAT(Step(),
              ElementsAre(Planned{0, 0, 3, false}, Planned{1, 0, 4, false},
                          Planned{2, 0, 1, false}));
  EXPECT_THAT(Step(),
              ElementsAre(Planned{0, 3, 1, false}, Planned{1, 4, 1, false},
                          Planned{2, 1, 4, false}));
}

TEST_F(SchedulerTest, AChunkIsCutToWhatGenerationsLeave) {
  Limit({8, 9, 4});
  const int a = AddGenerating();
  const int b = AddGenerating();
  const int reader = Add(16);
  EXPECT_THAT(Step(),
              ElementsAre(Planned{a, 1, 1, false}, Planned{b, 1, 1, false},
                          Planned{reader, 0, 7, true}));
  EXPECT_THAT(Step(),
              ElementsAre(Planned{a, 2, 1, false}, Planned{b, 2, 1, false},
                          Planned{reader, 7, 7, true}));
}

TEST_F(SchedulerTest, ReadersWaitForAStepWithoutSpans) {
  Limit({8, 16, 2});
  const int a = AddGenerating();
  const int b = AddGenerating();
  const int reader = Add(16);
  EXPECT_THAT(Step(),
              ElementsAre(Planned{a, 1, 1, false}, Planned{b, 1, 1, false}));
  EXPECT_THAT(Step(), ElementsAre(Planned{reader, 0, 8, true},
                                  Planned{a, 2, 1, false}));
  EXPECT_THAT(Step(),
              ElementsAre(Planned{b, 2, 1, false}, Planned{a, 3, 1, false}));
}

TEST_F(SchedulerTest, ReadsNoMoreThanToldTo) {
  AddGenerating();
  const int reader = Add(20);
  reading_ = {3, 2, false};
  for (const auto& [start, count, expanded] :
       std::vector<std::tuple<int64_t, int64_t, bool>>{{0, 3, true},
                                                       {3, 3, true},
                                                       {6, 3, true},
                                                       {9, 3, true},
                                                       {12, 3, true},
                                                       {15, 1, true},
                                                       {16, 2, false},
                                                       {18, 2, false}}) {
    EXPECT_THAT(Step(),
                testing::Contains(Planned{reader, start, count, expanded}));
  }
  EXPECT_FALSE(sequences_[reader]->reading());
}

TEST_F(SchedulerTest, ReadsNothingWhenToldSo) {
  const int generating = AddGenerating();
  const int reader = Add(20);
  reading_ = {};
  EXPECT_THAT(Step(), ElementsAre(Planned{generating, 1, 1, false}));
  scheduler_->Remove(sequences_[generating].get());
  EXPECT_THAT(Step(), testing::IsEmpty());
  reading_ = {8, 8, false};
  EXPECT_THAT(Step(), ElementsAre(Planned{reader, 0, 8, true}));
}

TEST_F(SchedulerTest, FormsShareAStepInProportion) {
  AddGenerating();
  const int tail = Add(2);
  const int other = Add(3);
  reading_ = {8, 4, false};
  EXPECT_THAT(Step(),
              ElementsAre(Planned{0, 1, 1, false}, Planned{tail, 0, 2, false},
                          Planned{other, 0, 2, false}));
}

TEST_F(SchedulerTest, AChunkIsNotCutForAnother) {
  const int tail = Add(2);
  const int chunk = Add(8);
  EXPECT_THAT(Step(), ElementsAre(Planned{tail, 0, 2, false}));
  EXPECT_THAT(Step(), ElementsAre(Planned{tail, 2, 1, false},
                                  Planned{chunk, 0, 8, true}));
}

TEST_F(SchedulerTest, GivesOneExpandedSpanApart) {
  const int generating = AddGenerating();
  const int reader = Add(20);
  const int other = Add(16);
  reading_ = {5, 4, true};
  EXPECT_THAT(Step(), ElementsAre(Planned{generating, 1, 1, false}));
  ASSERT_TRUE(scheduler_->apart().has_value());
  EXPECT_EQ(Describe(scheduler_->apart()->span, scheduler_->apart()->sequence),
            (Planned{reader, 0, 5, true}));
  // It has had its turn.
  Step();
  ASSERT_TRUE(scheduler_->apart().has_value());
  EXPECT_EQ(scheduler_->apart()->sequence, sequences_[other].get());
  reading_ = {};
  Step();
  EXPECT_FALSE(scheduler_->apart().has_value());
}

TEST_F(SchedulerTest, ATailIsCutToWhatGenerationsLeave) {
  Limit({8, 8, 4});
  AddGenerating();
  AddGenerating();
  const int reader = Add(7);
  EXPECT_THAT(Step(), testing::Contains(Planned{reader, 0, 6, false}));
  EXPECT_THAT(Step(), testing::Contains(Planned{reader, 6, 1, false}));
}

TEST_F(SchedulerTest, GenerationsBeyondTheSpansTakeTurns) {
  Limit({8, 16, 2});
  for (int i = 0; i < 5; ++i) AddGenerating();
  std::map<int, int> turns;
  for (int step = 0; step < 10; ++step) {
    for (const Planned& span : Step()) ++turns[span.sequence];
  }
  for (const auto& [sequence, count] : turns) EXPECT_EQ(count, 4) << sequence;
  EXPECT_EQ(turns.size(), 5u);
}

TEST_F(SchedulerTest, WithOneSpanAStepEveryoneStillAdvances) {
  Limit({8, 8, 1});
  AddGenerating();
  AddGenerating();
  const int reader = Add(64);
  std::map<int, int> turns;
  for (int step = 0; step < 16; ++step) {
    for (const Planned& span : Step()) ++turns[span.sequence];
  }
  EXPECT_EQ(turns[reader], 8);
  EXPECT_EQ(turns[0], 4);
  EXPECT_EQ(turns[1], 4);
}

TEST_F(SchedulerTest, NewcomersDoNotStarveALongPrompt) {
  const int patient = Add(80);
  int turns = 0;
  for (int step = 0; step < 20; ++step) {
    Add(8);
    for (const Planned& span : Step()) {
      if (span.sequence == patient) ++turns;
    }
    // Those that have been read leave, so that spans are free.
    for (size_t i = 1; i < sequences_.size(); ++i) {
      if (!sequences_[i]->reading()) {
        scheduler_->Remove(sequences_[i].get());
      }
    }
  }
  // Behind k waiting newcomers it gets its turn after k steps, and each of its
  // turns lets one more gather: turns 1, 2, 4, 7, 11, 16.
  EXPECT_GE(turns, 5);
}

TEST_F(SchedulerTest, RemovedSequencesAreNotScheduled) {
  Add(20);
  const int other = Add(20);
  Step();
  scheduler_->Remove(sequences_[0].get());
  EXPECT_THAT(Step(), ElementsAre(Planned{other, 0, 8, true}));
  scheduler_->Remove(sequences_[other].get());
  EXPECT_THAT(Step(), testing::IsEmpty());
}

TEST_F(SchedulerTest, KeepsTheLimitsWhateverComes) {
  for (const Scheduler::Limits limits : {Scheduler::Limits{8, 8, 1},
                                         {8, 9, 3},
                                         {8, 11, 64},
                                         {1, 1, 2},
                                         {4, 100, 5}}) {
    Limit(limits);
    sequences_.clear();
    for (int step = 0; step < 200; ++step) {
      if (step % 7 == 0) Add(1 + step * 11 % 40);
      int64_t tokens = 0;
      const std::vector<Planned> planned = Step();
      for (const Planned& span : planned) {
        tokens += span.tokens;
        EXPECT_GT(span.tokens, 0);
        EXPECT_LE(span.tokens, limits.chunk_tokens);
      }
      EXPECT_FALSE(planned.empty());
      EXPECT_LE(tokens, limits.max_step_tokens);
      EXPECT_LE(static_cast<int64_t>(planned.size()), limits.max_step_spans);
    }
  }
}

}  // namespace
}  // namespace mlad
