// Whole command lines against a daemon of canned answers.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "tests/ctl/fake_daemon.h"

#include "ctl/command_line.h"
#include "ctl/exit_status.h"

namespace mlad {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

struct Result {
  int status = 0;
  std::string out;
  std::string err;

  nlohmann::json json() const { return nlohmann::json::parse(out); }
};

class CommandsTest : public testing::Test {
 protected:
  /// Signals are left to mla-ctl, as its main() does before there are threads:
  /// those of the fake daemon inherit it.
  static void SetUpTestSuite() {
    sigset_t interrupt;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    pthread_sigmask(SIG_BLOCK, &interrupt, nullptr);
  }

  /// Runs mla-ctl in this process; stdin has `input` and is no terminal.
  Result Run(std::vector<std::string> arguments, const std::string& input = "",
             bool with_address = true) {
    if (with_address) {
      arguments.insert(arguments.begin(), {"--address", daemon_.address()});
    }
    std::vector<const char*> argv = {"mla-ctl"};
    for (const std::string& argument : arguments) {
      argv.push_back(argument.c_str());
    }
    const StdinText text(input);
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    Result result;
    result.status = RunCommandLine(static_cast<int>(argv.size()), argv.data());
    result.out = testing::internal::GetCapturedStdout();
    result.err = testing::internal::GetCapturedStderr();
    return result;
  }

  void AddToken(int32_t id, const std::string& text) {
    v1::Token& token = *daemon_.stream.emplace_back().mutable_token();
    token.set_id(id);
    token.set_text(text);
  }
  void AddFinish(v1::FinishReason reason, const std::string& text) {
    v1::Finish& finish = *daemon_.stream.emplace_back().mutable_finish();
    finish.set_reason(reason);
    finish.set_text(text);
    finish.set_seed(77);
    finish.mutable_usage()->set_prompt_tokens(3);
    finish.mutable_usage()->set_completion_tokens(2);
  }
  void AnswerHello() {
    AddToken(5, "Hel");
    AddToken(6, "l");
    AddFinish(v1::FINISH_REASON_MAX_TOKENS, "o");
  }

  FakeDaemon daemon_;

 private:
  /// While it lives, std::cin reads this text from descriptor 0.
  class StdinText {
   public:
    explicit StdinText(const std::string& text) : saved_(dup(0)) {
      std::FILE* file = std::tmpfile();
      std::fwrite(text.data(), 1, text.size(), file);
      std::rewind(file);
      dup2(fileno(file), 0);
      std::fclose(file);
      std::clearerr(stdin);
      std::cin.clear();
    }
    ~StdinText() {
      dup2(saved_, 0);
      close(saved_);
    }
    StdinText(const StdinText&) = delete;
    StdinText& operator=(const StdinText&) = delete;

   private:
    int saved_;
  };
};

TEST_F(CommandsTest, GenerateStreamsTheText) {
  AnswerHello();
  const Result result = Run({"generate", "Say", "hello"});
  EXPECT_EQ(result.status, kExitDone);
  EXPECT_EQ(result.out, "Hello\n");
  EXPECT_EQ(result.err, "");  // no progress, no summary: no terminal
  const v1::GenerateRequest request = daemon_.generate_request();
  EXPECT_EQ(request.text(), "Say hello");
  // What was not said is the daemon's to choose.
  EXPECT_FALSE(request.options().sampling().has_temperature());
  EXPECT_FALSE(request.options().sampling().has_seed());
  EXPECT_FALSE(request.options().has_max_tokens());
  EXPECT_FALSE(request.options().has_logprobs());
}

TEST_F(CommandsTest, GenerateGivesTokenIdsAsJson) {
  AnswerHello();
  const Result result =
      Run({"generate", "--tokens", "1,2,3", "--greedy", "-n", "32", "--json"});
  EXPECT_EQ(result.status, kExitDone);
  const nlohmann::json json = result.json();
  EXPECT_EQ(json["token_ids"], nlohmann::json({5, 6}));
  EXPECT_EQ(json["text"], "Hello");
  EXPECT_EQ(json["finish_reason"], "max_tokens");
  EXPECT_EQ(json["seed"], 77);
  EXPECT_EQ(json["usage"]["prompt_tokens"], 3);
  const v1::GenerateRequest request = daemon_.generate_request();
  EXPECT_THAT(request.tokens().ids(), ElementsAre(1, 2, 3));
  EXPECT_TRUE(request.options().sampling().greedy());
  EXPECT_EQ(request.options().max_tokens(), 32);
}

TEST_F(CommandsTest, GeneratePassesEveryOptionOn) {
  AnswerHello();
  const Result result = Run({"generate",
                             "x",
                             "--temperature",
                             "0",
                             "--top-k",
                             "40",
                             "--top-p",
                             "0.5",
                             "--min-p",
                             "0.25",
                             "--repetition-penalty",
                             "1.5",
                             "--frequency-penalty",
                             "-1",
                             "--presence-penalty",
                             "2",
                             "--seed",
                             "18446744073709551615",
                             "--stop",
                             "END",
                             "--stop",
                             "two words",
                             "--stop-tokens",
                             "8,9",
                             "--ignore-eos",
                             "--logprobs",
                             "3",
                             "--no-bos",
                             "--no-special",
                             "--max-tokens",
                             "7"});
  EXPECT_EQ(result.status, kExitDone) << result.err;
  const v1::GenerateRequest request = daemon_.generate_request();
  const v1::GenerationOptions& options = request.options();
  const v1::Sampling& sampling = options.sampling();
  EXPECT_TRUE(sampling.has_temperature());
  EXPECT_EQ(sampling.temperature(), 0);
  EXPECT_EQ(sampling.top_k(), 40);
  EXPECT_EQ(sampling.top_p(), 0.5f);
  EXPECT_EQ(sampling.min_p(), 0.25f);
  EXPECT_EQ(sampling.repetition_penalty(), 1.5f);
  EXPECT_EQ(sampling.frequency_penalty(), -1);
  EXPECT_EQ(sampling.presence_penalty(), 2);
  EXPECT_EQ(sampling.seed(), UINT64_MAX);
  EXPECT_THAT(options.stop(), ElementsAre("END", "two words"));
  EXPECT_THAT(options.stop_token_ids(), ElementsAre(8, 9));
  EXPECT_TRUE(options.ignore_eos());
  EXPECT_EQ(options.logprobs(), 3);
  EXPECT_EQ(options.max_tokens(), 7);
  EXPECT_FALSE(request.add_bos());
  EXPECT_FALSE(request.parse_special());
}

TEST_F(CommandsTest, FormatsAndBiasesArePassedOn) {
  AnswerHello();
  const std::string path =
      (std::filesystem::temp_directory_path() / "mla-ctl-format").string();
  std::ofstream(path) << "the text";
  ASSERT_EQ(Run({"generate", "x", "--json-schema", path, "--logit-bias",
                 "7=-2.5,8=1", "--echo", "--prompt-logprobs", "2"})
                .status,
            kExitDone);
  v1::GenerationOptions options = daemon_.generate_request().options();
  EXPECT_EQ(options.json_schema(), "the text");
  ASSERT_EQ(options.sampling().logit_bias_size(), 2);
  EXPECT_EQ(options.sampling().logit_bias(0).id(), 7);
  EXPECT_EQ(options.sampling().logit_bias(0).bias(), -2.5f);
  EXPECT_TRUE(options.echo());
  EXPECT_EQ(options.prompt_logprobs(), 2);
  EXPECT_FALSE(options.has_split_reasoning());

  Run({"chat", "x", "--grammar", path, "--no-split-reasoning"});
  options = daemon_.chat_request().options();
  EXPECT_EQ(options.grammar(), "the text");
  EXPECT_TRUE(options.has_split_reasoning());
  EXPECT_FALSE(options.split_reasoning());
  Run({"chat", "x", "--json-mode", "--split-reasoning"});
  options = daemon_.chat_request().options();
  EXPECT_TRUE(options.json_object());
  EXPECT_TRUE(options.split_reasoning());

  EXPECT_EQ(Run({"generate", "x", "--json-mode", "--grammar", path}).status,
            kExitUsage);
  EXPECT_EQ(Run({"generate", "x", "--logit-bias", "7"}).status, kExitUsage);
  const Result missing = Run({"chat", "x", "--json-schema", "/nonexistent/s"});
  EXPECT_EQ(missing.status, kExitUsage);
  EXPECT_THAT(missing.err, HasSubstr("/nonexistent/s"));
  std::filesystem::remove(path);
}

TEST_F(CommandsTest, ThoughtsAndPromptsAreApartFromTheAnswer) {
  v1::Prompt& prompt = *daemon_.stream.emplace_back().mutable_prompt();
  prompt.add_ids(1);
  prompt.set_text("Say: ");
  v1::TokenScore& score =
      *daemon_.stream.emplace_back().mutable_prompt_logprobs()->add_scores();
  score.set_id(2);
  score.set_logprob(-0.5f);
  AddToken(4, "");
  daemon_.stream.back().mutable_token()->set_reasoning("hm");
  AnswerHello();
  EXPECT_EQ(Run({"generate", "x", "--echo"}).out, "Say: Hello\n");
  const nlohmann::json json = Run({"generate", "x", "--json"}).json();
  EXPECT_EQ(json["text"], "Hello");
  EXPECT_EQ(json["reasoning"], "hm");
  EXPECT_EQ(json["prompt"]["text"], "Say: ");
  EXPECT_EQ(json["prompt"]["token_ids"][0], 1);
  EXPECT_EQ(json["prompt_logprobs"][0]["id"], 2);
  EXPECT_EQ(json["prompt_logprobs"][0]["logprob"], -0.5);
}

TEST_F(CommandsTest, GenerateReadsStdinAndFilesExactly) {
  AnswerHello();
  EXPECT_EQ(Run({"generate"}, "two\nlines\n").status, kExitDone);
  EXPECT_EQ(daemon_.generate_request().text(), "two\nlines\n");

  const std::string path =
      (std::filesystem::temp_directory_path() / "mla-ctl-prompt").string();
  std::ofstream(path) << "from a file\n";
  EXPECT_EQ(Run({"generate", "-f", path}).status, kExitDone);
  EXPECT_EQ(daemon_.generate_request().text(), "from a file\n");
  std::filesystem::remove(path);
  EXPECT_EQ(Run({"generate", "-f", "-"}, "dash").status, kExitDone);
  EXPECT_EQ(daemon_.generate_request().text(), "dash");
}

TEST_F(CommandsTest, OnePromptOnly) {
  EXPECT_EQ(Run({"generate", "x", "--file", "y"}).status, kExitUsage);
  EXPECT_EQ(Run({"score", "--tokens", "1,2", "--file", "y"}).status,
            kExitUsage);
}

TEST_F(CommandsTest, FilesThatCannotBeReadAreNamed) {
  for (const char* path : {"/nonexistent/prompt", "/"}) {
    const Result result = Run({"generate", "--file", path});
    EXPECT_EQ(result.status, kExitUsage);
    EXPECT_THAT(result.err, HasSubstr(path));
  }
}

TEST_F(CommandsTest, LogprobsAreInTheJson) {
  AddToken(5, "Hel");
  v1::Token& token = *daemon_.stream.back().mutable_token();
  token.set_logprob(-0.5f);
  v1::TokenAlternative& alternative = *token.add_alternatives();
  alternative.set_id(9);
  alternative.set_logprob(-1.5f);
  alternative.set_piece("\xFF");  // half a character
  AddFinish(v1::FINISH_REASON_EOS, "");
  const nlohmann::json json =
      Run({"generate", "x", "--logprobs", "1", "--json"}).json();
  EXPECT_EQ(json["logprobs"][0]["logprob"], -0.5);
  EXPECT_EQ(json["logprobs"][0]["alternatives"][0]["id"], 9);
  EXPECT_EQ(json["logprobs"][0]["alternatives"][0]["piece"], "\xEF\xBF\xBD");
}

TEST_F(CommandsTest, ChatAsksOneQuestion) {
  AnswerHello();
  const Result result = Run({"chat", "Who are you?", "--system", "Be brief."});
  EXPECT_EQ(result.status, kExitDone);
  EXPECT_EQ(result.out, "Hello\n");
  const v1::ChatRequest request = daemon_.chat_request();
  ASSERT_EQ(request.messages_size(), 2);
  EXPECT_EQ(request.messages(0).role(), "system");
  EXPECT_EQ(request.messages(0).content(), "Be brief.");
  EXPECT_EQ(request.messages(1).role(), "user");
  EXPECT_EQ(request.messages(1).content(), "Who are you?");
}

TEST_F(CommandsTest, APipedQuestionEndsBeforeItsLineFeed) {
  AnswerHello();
  EXPECT_EQ(Run({"chat", "--json"}, "Who?\n").json()["text"], "Hello");
  EXPECT_EQ(daemon_.chat_request().messages(0).content(), "Who?");
}

TEST_F(CommandsTest, TokenizeAndDetokenizeFitTogether) {
  daemon_.tokens.add_ids(1);
  daemon_.tokens.add_ids(22);
  EXPECT_EQ(Run({"tokenize", "hi"}).out, "1,22\n");
  EXPECT_FALSE(daemon_.tokenize_request().with_pieces());
  EXPECT_EQ(Run({"tokenize", "hi", "--json"}).json()["token_ids"],
            nlohmann::json({1, 22}));
  daemon_.tokens.add_pieces("h");
  daemon_.tokens.add_pieces("i\n\xFF");
  const Result pieces = Run({"tokenize", "hi", "--pieces"});
  EXPECT_TRUE(daemon_.tokenize_request().with_pieces());
  EXPECT_THAT(pieces.out, HasSubstr("22  \"i\\n\xEF\xBF\xBD\""));

  daemon_.text.set_raw("raw");
  daemon_.text.set_text("text");
  EXPECT_EQ(Run({"detokenize", "1,22", "--special"}).out, "raw\n");
  EXPECT_THAT(daemon_.detokenize_request().ids(), ElementsAre(1, 22));
  EXPECT_TRUE(daemon_.detokenize_request().with_special());
  EXPECT_EQ(Run({"detokenize", "1", "--json"}).json()["text"], "text");
}

TEST_F(CommandsTest, ScorePrintsThePerplexity) {
  daemon_.score.set_perplexity(12.5);
  daemon_.score.set_total_logprob(-2.5257);
  v1::TokenScore& token = *daemon_.score.add_scores();
  token.set_id(3);
  token.set_piece(" the");
  token.set_logprob(-2.5257f);
  EXPECT_THAT(Run({"score", "a text"}).out, HasSubstr("perplexity 12.5000"));
  EXPECT_THAT(Run({"score", "a text", "--per-token"}).out,
              HasSubstr("\" the\""));
  const nlohmann::json json =
      Run({"score", "--tokens", "1,3", "--top", "2", "--json"}).json();
  EXPECT_EQ(json["perplexity"], 12.5);
  EXPECT_EQ(json["scores"][0]["id"], 3);
  EXPECT_THAT(daemon_.score_request().tokens().ids(), ElementsAre(1, 3));
  EXPECT_EQ(daemon_.score_request().top_logprobs(), 2);
}

TEST_F(CommandsTest, StatsHaveTheFieldsThatScriptsRelyOn) {
  daemon_.stats.set_state(v1::SERVING_STATE_SERVING);
  daemon_.stats.set_weights_bytes(3000);
  daemon_.stats.set_compute_bytes(200);
  daemon_.stats.set_kv_bytes_capacity(100);
  v1::NodeStats& node = *daemon_.stats.add_nodes();
  for (const int cpu : {0, 1, 2, 5}) node.add_cpus(cpu);
  node.set_simulated(true);
  node.set_weights_bytes(5 << 20);
  node.set_kv_bytes_used(1);
  node.set_kv_bytes_capacity(2);
  node.set_kv_pages_used(3);
  node.set_tokens_per_s(4.5);
  node.set_local_bytes(6);
  node.set_remote_bytes(7);
  node.set_misplaced_pages(8);
  const nlohmann::json json = Run({"stats", "--json"}).json();
  const nlohmann::json expected = {
      {"node", 0},           {"cpus", {0, 1, 2, 5}},
      {"simulated", true},   {"weights_bytes", 5 << 20},
      {"kv_bytes_used", 1},  {"kv_bytes_capacity", 2},
      {"kv_pages_used", 3},  {"tokens_per_s", 4.5},
      {"local_bytes", 6},    {"remote_bytes", 7},
      {"misplaced_pages", 8}};
  for (const auto& [key, value] : expected.items()) {
    EXPECT_EQ(json["nodes"][0][key], value) << key;
  }
  EXPECT_EQ(json["weights_bytes"], 3000);
  EXPECT_EQ(json["compute_bytes"], 200);
  EXPECT_EQ(json["kv_bytes_capacity"], 100);
  EXPECT_EQ(json["state"], "serving");

  const Result table = Run({"stats"});
  EXPECT_THAT(table.out, HasSubstr("0-2,5"));
  EXPECT_THAT(table.out, HasSubstr("simulated"));
  EXPECT_THAT(table.out, HasSubstr("5.0 MiB"));
  EXPECT_THAT(table.out, Not(HasSubstr("\x1b")));
}

TEST_F(CommandsTest, WatchedStatsAreALineEach) {
  const Result result = Run({"stats", "--watch", "0.1", "--json"});
  EXPECT_EQ(result.status, kExitDone);
  EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\n'), 3);
}

TEST_F(CommandsTest, TopologyShowsNodesAndModel) {
  v1::TopologyNode& node = *daemon_.topology.add_nodes();
  node.set_head_end(16);
  node.set_package(1);
  node.add_l3_groups(3);
  node.add_distances(10);
  daemon_.topology.add_notes("Node 7 is not used.");
  daemon_.topology.set_isa("avx2");
  daemon_.model.set_name("A Model");
  const Result text = Run({"topology"});
  EXPECT_THAT(text.out, HasSubstr("0-15"));
  EXPECT_THAT(text.out, HasSubstr("A Model"));
  const nlohmann::json json = Run({"topology", "--json"}).json();
  EXPECT_EQ(json["isa"], "avx2");
  EXPECT_EQ(json["nodes"][0]["head_end"], 16);
  EXPECT_EQ(json["nodes"][0]["package"], 1);
  EXPECT_EQ(json["nodes"][0]["l3_groups"], nlohmann::json({3}));
  EXPECT_EQ(json["nodes"][0]["distances"], nlohmann::json({10}));
  EXPECT_EQ(json["notes"][0], "Node 7 is not used.");
  EXPECT_THAT(text.out, HasSubstr("note: Node 7 is not used."));
}

TEST_F(CommandsTest, ExpertsShowsTheBusiestAndReplicas) {
  daemon_.experts.set_placement("whole");
  daemon_.experts.set_replicas_per_node(2);
  v1::ExpertLayer& layer = *daemon_.experts.add_layers();
  layer.set_layer(3);
  for (const int64_t tokens : {1, 0, 5}) layer.add_tokens(tokens);
  v1::ExpertReplicas& replicas = *layer.add_replicas();
  replicas.set_node(1);
  replicas.add_experts(2);
  const Result text = Run({"experts"});
  EXPECT_EQ(text.status, kExitDone);
  EXPECT_THAT(text.out, HasSubstr("whole"));
  EXPECT_THAT(text.out, HasSubstr("2.50"));
  EXPECT_THAT(text.out, HasSubstr("node 1: 2"));
  const nlohmann::json json = Run({"experts", "--json"}).json();
  EXPECT_EQ(json["layers"][0]["tokens"][2], 5);
  EXPECT_EQ(json["layers"][0]["replicas"][0]["experts"][0], 2);
}

TEST_F(CommandsTest, SessionsAreSavedListedRestoredAndDropped) {
  daemon_.session.set_name("manual");
  daemon_.session.set_tokens(640);
  daemon_.session.set_file_bytes(3 << 20);
  daemon_.session.set_saved_at_s(1'700'000'000);
  const Result saved = Run({"session", "save", "manual", "--tokens", "5,6"});
  EXPECT_EQ(saved.status, kExitDone);
  EXPECT_EQ(saved.out, "saved session manual: 640 tokens, 3.0 MiB\n");
  EXPECT_EQ(daemon_.saved.name(), "manual");
  EXPECT_THAT(daemon_.saved.generate().tokens().ids(),
              testing::ElementsAre(5, 6));
  EXPECT_EQ(Run({"session", "save", "manual", "some", "text"}).status,
            kExitDone);
  EXPECT_EQ(daemon_.saved.generate().text(), "some text");

  daemon_.session.set_problem("it is damaged");
  const Result list = Run({"session", "list"});
  EXPECT_THAT(list.out, HasSubstr("640"));
  EXPECT_THAT(list.out, HasSubstr("2023-11-1"));
  EXPECT_THAT(list.out, HasSubstr("it is damaged"));
  const nlohmann::json json = Run({"session", "list", "--json"}).json();
  EXPECT_EQ(json["sessions"][0]["file_bytes"], 3 << 20);
  EXPECT_EQ(Run({"session", "restore", "x", "--json"}).json()["name"], "x");
  EXPECT_EQ(Run({"session", "drop", "y"}).out, "dropped session y\n");
  EXPECT_EQ(daemon_.dropped, "y");
}

TEST_F(CommandsTest, SessionsOfChatsComeFromAFile) {
  const std::string path =
      (std::filesystem::temp_directory_path() / "mla-ctl-talk").string();
  const auto save = [&](const std::string& content) {
    std::ofstream(path) << content;
    return Run({"session", "save", "talk", "--messages", path});
  };
  const Result result = save(R"([{"role": "user", "content": "Hi"},
               {"role": "assistant", "content": "Hello"}])");
  EXPECT_EQ(result.status, kExitDone) << result.err;
  ASSERT_EQ(daemon_.saved.chat().messages_size(), 2);
  EXPECT_EQ(daemon_.saved.chat().messages(1).content(), "Hello");
  for (const char* content : {"", "{}", "[1]", R"([{"role": "user"}])",
                              R"([{"role": "user", "content": 3}])"}) {
    const Result refused = save(content);
    EXPECT_EQ(refused.status, kExitUsage) << content;
    EXPECT_THAT(refused.err, HasSubstr("list of messages"));
  }
  std::filesystem::remove(path);
  EXPECT_EQ(Run({"session", "restore"}).status, kExitUsage);
}

TEST_F(CommandsTest, HealthIsAnExitStatus) {
  EXPECT_EQ(Run({"health"}).status, kExitDone);
  daemon_.serving = false;
  EXPECT_EQ(Run({"health"}).status, kExitUnavailable);
  EXPECT_EQ(Run({"health", "--json"}).json()["status"], "not serving");
}

TEST_F(CommandsTest, RefusalsHaveTheDaemonsSentenceAndTheirStatus) {
  struct Case {
    grpc::StatusCode code;
    int status;
  };
  for (const Case& one :
       {Case{grpc::StatusCode::INVALID_ARGUMENT, kExitUsage},
        Case{grpc::StatusCode::OUT_OF_RANGE, kExitUsage},
        Case{grpc::StatusCode::UNIMPLEMENTED, kExitUsage},
        Case{grpc::StatusCode::RESOURCE_EXHAUSTED, kExitBusy},
        Case{grpc::StatusCode::UNAVAILABLE, kExitUnavailable},
        Case{grpc::StatusCode::DEADLINE_EXCEEDED, kExitTimeout},
        Case{grpc::StatusCode::INTERNAL, kExitFailed}}) {
    daemon_.status = grpc::Status(one.code, "the sentence");
    const Result result = Run({"generate", "x"});
    EXPECT_EQ(result.status, one.status);
    EXPECT_EQ(result.err, "mla-ctl: the sentence\n");
    EXPECT_EQ(result.out, "");
  }
}

TEST_F(CommandsTest, NoDaemonNamesTheAddress) {
  const Result result =
      Run({"--address", "unix:/nonexistent/socket", "stats"}, "", false);
  EXPECT_EQ(result.status, kExitUnavailable);
  EXPECT_THAT(result.err, HasSubstr("/nonexistent/socket"));
}

TEST_F(CommandsTest, TheAddressComesFromTheEnvironment) {
  setenv("MLAD_ADDRESS", daemon_.address().c_str(), 1);
  EXPECT_EQ(Run({"health"}, "", false).status, kExitDone);
  setenv("MLAD_ADDRESS", "no address at all:::", 1);
  EXPECT_EQ(Run({"health"}, "", false).status, kExitUsage);
  EXPECT_EQ(Run({"health"}).status, kExitDone);  // --address counts more
  unsetenv("MLAD_ADDRESS");
}

TEST_F(CommandsTest, ATimeoutEndsTheCall) {
  daemon_.endless = true;
  EXPECT_EQ(Run({"--timeout", "0.05", "generate", "x"}).status, kExitTimeout);
}

TEST_F(CommandsTest, CtrlCEndsTheStreamAndKeepsWhatCame) {
  AddToken(5, "Hel");
  daemon_.endless = true;
  std::thread user([] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    kill(getpid(), SIGINT);
  });
  const Result result = Run({"generate", "x"});
  user.join();
  EXPECT_EQ(result.status, kExitInterrupted);
  EXPECT_EQ(result.out, "Hel\n");
}

TEST_F(CommandsTest, SamplesAreShownInOrder) {
  AnswerHello();
  const Result text = Run({"generate", "x", "--samples", "3"});
  EXPECT_EQ(text.status, kExitDone);
  EXPECT_EQ(text.out,
            "--- sample 1, seed 77\nHello\n--- sample 2, seed 77\nHello\n"
            "--- sample 3, seed 77\nHello\n");
  const Result json = Run({"generate", "x", "--samples", "3", "--json"});
  EXPECT_EQ(std::count(json.out.begin(), json.out.end(), '\n'), 3);
}

TEST_F(CommandsTest, SeedsOfSamplesCountUp) {
  AddFinish(v1::FINISH_REASON_EOS, "");
  Run({"generate", "x", "--samples", "2", "--seed", "5"});
  EXPECT_EQ(daemon_.generate_request().options().sampling().seed(), 6u);
  const Result result = Run(
      {"generate", "x", "--samples", "2", "--seed", "18446744073709551615"});
  EXPECT_EQ(result.status, kExitUsage);
  EXPECT_THAT(result.err, HasSubstr("smaller --seed"));
}

TEST_F(CommandsTest, CtrlCEndsAllSamples) {
  AddToken(5, "Hel");
  daemon_.endless = true;
  std::thread user([] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    kill(getpid(), SIGINT);
  });
  const Result result = Run({"generate", "x", "--samples", "3"});
  user.join();
  EXPECT_EQ(result.status, kExitInterrupted);
  EXPECT_THAT(result.out, HasSubstr("--- sample 3\nHel\n"));
}

TEST_F(CommandsTest, SamplesThatFailSaySo) {
  daemon_.status = grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "full");
  const Result result = Run({"generate", "x", "--samples", "2"});
  EXPECT_EQ(result.status, kExitBusy);
  EXPECT_EQ(result.out, "");
}

TEST_F(CommandsTest, MistakesOnTheCommandLineAreUsageErrors) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{
           {},
           {"frobnicate"},
           {"generate", "--frobnicate"},
           {"generate", "--top-k", "many"},
           {"generate", "--tokens", "1,two"},
           {"generate", "--tokens", ""},
           {"generate", "x", "--seed", "-1"},
           {"generate", "x", "--samples", "0"},
           {"detokenize", ""},
           {"stats", "--watch", "0"},
           {"completion", "tcsh"},
           {"--timeout", "-1", "health"}}) {
    const Result result = Run(arguments, "", false);
    EXPECT_EQ(result.status, kExitUsage) << testing::PrintToString(arguments);
    EXPECT_THAT(result.err, testing::StartsWith("mla-ctl: "));
    EXPECT_EQ(result.out, "");
  }
}

TEST_F(CommandsTest, AnUnknownCommandIsNamed) {
  EXPECT_THAT(Run({"frobnicate"}, "", false).err, HasSubstr("'frobnicate'"));
  EXPECT_THAT(Run({}, "", false).err, HasSubstr("subcommand is required"));
}

TEST_F(CommandsTest, HelpHasExamplesAndExitStatuses) {
  const Result result = Run({"--help"}, "", false);
  EXPECT_EQ(result.status, kExitDone);
  EXPECT_THAT(result.out, HasSubstr("Examples:"));
  EXPECT_THAT(result.out, HasSubstr("Exit status:"));
  EXPECT_THAT(Run({"generate", "--help"}, "", false).out,
              HasSubstr("--repetition-penalty"));
}

/// What bash offers after `line`.
std::string BashOffers(const std::string& script, const std::string& line) {
  const std::string path =
      (std::filesystem::temp_directory_path() / "mla-ctl-completion").string();
  std::ofstream(path) << script << "\nCOMP_WORDS=(" << line
                      << ")\nCOMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n"
                      << "_mla_ctl\necho \" ${COMPREPLY[*]} \"\n";
  std::FILE* bash = popen(("bash -eu " + path + " 2>&1").c_str(), "r");
  std::string offers;
  for (int c = 0; (c = std::fgetc(bash)) != EOF;) {
    offers.push_back(static_cast<char>(c));
  }
  pclose(bash);
  std::filesystem::remove(path);
  return offers;
}

TEST_F(CommandsTest, BashCompletesCommandsAndTheirOptions) {
  const std::string script = Run({"completion", "bash"}, "", false).out;
  EXPECT_EQ(BashOffers(script, "mla-ctl to"), " tokenize top topology \n");
  const std::string options = BashOffers(script, "mla-ctl generate --top");
  EXPECT_THAT(options, HasSubstr(" --top-k "));
  EXPECT_THAT(options, HasSubstr(" --top-p "));
  EXPECT_EQ(BashOffers(script, "mla-ctl stats --wa"), " --watch \n");
  EXPECT_THAT(BashOffers(script, "mla-ctl completion z"), HasSubstr("zsh"));
  EXPECT_THAT(script,
              HasSubstr("-f|--file|--json-schema|--grammar|--messages)"));
}

}  // namespace
}  // namespace mlad
