// The regular expressions of the pre-tokenizers, as facts of the models.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mlad {

/// The expressions of the pre-tokenizer `name`, in the order of their use; none
/// when the name is unknown. None of them matches the empty text, and each
/// takes linear time when used to find all its matches. Source pre_tokenizer in
/// the tokenizer.json that DeepSeek published with its models (deepseek-llm-7b
/// and DeepSeek-V2; deepseek-coder; DeepSeek-V3 and R1)
std::vector<std::string> PreTokenizerExpressions(std::string_view name);

}  // namespace mlad
