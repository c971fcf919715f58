// Score, Tokenize and Detokenize over a real connection.
#include <cmath>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/rpc/server_fixture.h"

namespace mlad {
namespace {

using testing::ElementsAre;

class TextServices : public ServerFixture {};

TEST_F(TextServices, ScoreReportsEveryTokenButTheFirst) {
  v1::ScoreRequest request;
  request.set_text("a\xC3\xA9");
  request.set_top_logprobs(2);
  const auto response = client().Score(request);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_THAT(engine().last_score_request().tokens,
              ElementsAre(kFakeBos, 'a', 0xC3, 0xA9));
  EXPECT_EQ(response->first_id(), kFakeBos);
  ASSERT_EQ(response->scores_size(), 3);
  EXPECT_EQ(response->scores(1).id(), 0xC3);
  EXPECT_EQ(response->scores(1).piece(), "\xC3");  // half a character
  EXPECT_EQ(response->scores(1).logprob(), -0.5f);
  ASSERT_EQ(response->scores(1).alternatives_size(), 2);
  EXPECT_EQ(response->scores(1).alternatives(1).logprob(), -2);
  EXPECT_DOUBLE_EQ(response->total_logprob(), -1.5);
  EXPECT_DOUBLE_EQ(response->perplexity(), std::exp(0.5));
}

TEST_F(TextServices, ScoreTakesATextOfSeveralMegabytes) {
  // A real vocabulary has about four bytes a token, this one has one: as many
  // tokens as in 3 MiB.
  constexpr int kBytes = 768 << 10;
  std::string text;
  while (text.size() < kBytes) text += "word ab\n";
  v1::ScoreRequest request;
  request.set_text(text);
  const auto response = client().Score(request);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->scores_size(), kBytes);
  EXPECT_GT(response->ByteSizeLong(), 4u << 20);  // gRPC's default limit
}

TEST_F(TextServices, ScoreHasTheClientsDeadline) {
  v1::ScoreRequest request;
  request.set_text("ab");
  ASSERT_TRUE(client().Score(request, {.timeout = absl::Seconds(100)}).ok());
  // gRPC rounds long times up to whole seconds.
  EXPECT_LE(engine().last_score_request().deadline,
            absl::Now() + absl::Seconds(101));
  engine().SetRefusal(absl::OutOfRangeError("too long"));
  EXPECT_EQ(client().Score(request).status(),
            absl::OutOfRangeError("too long"));
}

TEST_F(TextServices, TokenizeAndBack) {
  v1::TokenizeRequest request;
  request.set_text("h\xC3\xA9<｜User｜>");
  request.set_with_pieces(true);
  const auto tokens = client().Tokenize(request);
  ASSERT_TRUE(tokens.ok()) << tokens.status();
  EXPECT_THAT(tokens->ids(), ElementsAre(kFakeBos, 'h', 0xC3, 0xA9, kFakeUser));
  ASSERT_EQ(tokens->pieces_size(), 5);
  EXPECT_EQ(tokens->pieces(2), "\xC3");
  EXPECT_EQ(tokens->pieces(4), "<｜User｜>");

  v1::DetokenizeRequest back;
  *back.mutable_ids() = tokens->ids();
  auto text = client().Detokenize(back);
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_EQ(text->text(), "h\xC3\xA9");
  back.set_with_special(true);
  text = client().Detokenize(back);
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_EQ(text->text(), "<｜begin▁of▁sentence｜>h\xC3\xA9<｜User｜>");
}

TEST_F(TextServices, TokenizeOptions) {
  v1::TokenizeRequest request;
  request.set_add_bos(false);
  auto tokens = client().Tokenize(request);
  ASSERT_TRUE(tokens.ok()) << tokens.status();
  EXPECT_EQ(tokens->ids_size(), 0);
  request.set_text("<｜User｜>");
  request.set_parse_special(false);
  tokens = client().Tokenize(request);
  ASSERT_TRUE(tokens.ok()) << tokens.status();
  EXPECT_EQ(tokens->ids_size(), static_cast<int>(request.text().size()));
  EXPECT_EQ(tokens->pieces_size(), 0);
}

TEST_F(TextServices, DetokenizeGivesTheExactBytesToo) {
  v1::DetokenizeRequest request;
  request.add_ids('a');
  request.add_ids(0xC3);
  request.add_ids('b');
  const auto text = client().Detokenize(request);
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_EQ(text->raw(),
            "a\xC3"
            "b");
  EXPECT_EQ(text->text(),
            "a\xEF\xBF\xBD"
            "b");
}

}  // namespace
}  // namespace mlad
