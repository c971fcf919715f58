// mla-synth: writes a model file of a published shape with random weights.
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>
#include <fcntl.h>
#include <unistd.h>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

#include "base/status.h"
#include "bench/synth_model.h"

namespace mlad {
namespace {

struct SynthOptions {
  std::string preset = "lite";
  std::string type = "q8_0";
  std::string output_type, embedding_type;
  std::string path;
  int64_t layers = 0;
  uint64_t seed = 1234;
  bool fused = false;
  bool no_groups = false;
};

absl::StatusOr<TensorType> ParseTensorType(const std::string& name) {
  std::vector<std::string> known;
  for (uint32_t id = 0; id < 64; ++id) {
    const auto info = FindTensorType(id);
    if (!info.ok()) continue;
    known.push_back(absl::AsciiStrToLower(std::string(info->name)));
    if (known.back() == absl::AsciiStrToLower(name)) return info->type;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "there is no type '", name, "'; use ", absl::StrJoin(known, ", ")));
}

/// A run of whole blocks of one tensor.
struct Piece {
  const SynthTensor* tensor = nullptr;
  int64_t index = 0;
  int64_t offset = 0;  // in the file
  int64_t bytes = 0;
};

constexpr int64_t kPieceBytes = 4 << 20;

void AddPieces(const SynthTensor& tensor, int64_t file_offset,
               std::vector<Piece>& pieces) {
  const int64_t block = GetTensorType(tensor.type).block_bytes;
  const int64_t step = kPieceBytes / block * block;
  for (int64_t at = 0; at < tensor.bytes(); at += step) {
    pieces.push_back({&tensor, at / step, file_offset + at,
                      std::min(step, tensor.bytes() - at)});
  }
}

absl::Status WriteAt(int file, const std::byte* data, int64_t bytes,
                     int64_t offset) {
  while (bytes > 0) {
    const ssize_t written = pwrite(file, data, bytes, offset);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      return absl::ResourceExhaustedError(
          absl::StrCat("writing failed: ", std::strerror(errno)));
    }
    data += written;
    bytes -= written;
    offset += written;
  }
  return absl::OkStatus();
}

/// Writes all pieces from as many threads as there are cores.
absl::Status WritePieces(int file, const std::vector<Piece>& pieces,
                         uint64_t seed) {
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  absl::Status result;
  const bool progress = isatty(2) == 1;
  const auto work = [&] {
    std::vector<std::byte> buffer(kPieceBytes);
    for (size_t i = next++; i < pieces.size(); i = next++) {
      const Piece& piece = pieces[i];
      const SynthTensor& tensor = *piece.tensor;
      const auto out = absl::MakeSpan(buffer.data(), piece.bytes);
      SynthValues(tensor.type, tensor.distribution)
          .Fill(SynthStream(seed, tensor.name, piece.index), out);
      const absl::Status status =
          WriteAt(file, out.data(), piece.bytes, piece.offset);
      std::lock_guard lock(mutex);
      if (!status.ok()) {
        result = status;
        next = pieces.size();
      }
      if (progress && i % 64 == 0) {
        std::cerr << absl::StreamFormat("\r%3d%%", 100 * i / pieces.size());
      }
    }
  };
  std::vector<std::jthread> threads;
  for (unsigned t = 0; t < std::max(1u, std::thread::hardware_concurrency());
       ++t) {
    threads.emplace_back(work);
  }
  threads.clear();
  if (progress) std::cerr << "\r    \r";
  return result;
}

absl::Status Run(const SynthOptions& options) {
  MLAD_ASSIGN_OR_RETURN(SynthShape shape, FindSynthShape(options.preset));
  if (options.layers > 0) shape.layers = options.layers;
  if (options.no_groups) shape.groups = 0;
  SynthTypes types;
  const auto type_or = [&](const std::string& name) {
    return ParseTensorType(name.empty() ? options.type : name);
  };
  MLAD_ASSIGN_OR_RETURN(types.matrices, ParseTensorType(options.type));
  MLAD_ASSIGN_OR_RETURN(types.output, type_or(options.output_type));
  MLAD_ASSIGN_OR_RETURN(types.embedding, type_or(options.embedding_type));
  MLAD_ASSIGN_OR_RETURN(const std::vector<SynthTensor> tensors,
                        SynthTensors(shape, types, !options.fused));

  GgufWriter writer;
  AddSynthMetadata(shape, !options.fused, writer);
  int64_t data_bytes = 0;
  for (const SynthTensor& tensor : tensors) {
    writer.AddTensor(tensor.name, tensor.type, tensor.shape, {});
    writer.tensors.back().offset = data_bytes;
    data_bytes += (tensor.bytes() + writer.alignment - 1) / writer.alignment *
                  writer.alignment;
  }
  const std::vector<std::byte> header = writer.BuildHeader();
  const int64_t header_bytes = static_cast<int64_t>(header.size());
  std::vector<Piece> pieces;
  for (size_t i = 0; i < tensors.size(); ++i) {
    AddPieces(tensors[i],
              header_bytes + static_cast<int64_t>(writer.tensors[i].offset),
              pieces);
  }

  const int file =
      open(options.path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (file < 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "cannot write '", options.path, "': ", std::strerror(errno)));
  }
  absl::Status status = WriteAt(file, header.data(), header_bytes, 0);
  if (status.ok()) status = WritePieces(file, pieces, options.seed);
  if (status.ok() && ftruncate(file, header_bytes + data_bytes) != 0) {
    status = absl::ResourceExhaustedError(
        absl::StrCat("writing failed: ", std::strerror(errno)));
  }
  close(file);
  if (status.ok()) {
    std::cout << absl::StreamFormat("%s: %d tensors, %.3f GB\n", options.path,
                                    tensors.size(),
                                    (header_bytes + data_bytes) / 1e9);
  }
  return status;
}

}  // namespace
}  // namespace mlad

int main(int argc, char** argv) {
  mlad::SynthOptions options;
  CLI::App app("Writes a deepseek2 GGUF file with random weights.",
               "mla-synth");
  app.add_option("--preset", options.preset, "lite, v3mini, v3 or kimi-k2")
      ->capture_default_str();
  app.add_option("--layers", options.layers, "Instead of the preset's");
  app.add_option("--type", options.type, "Of the matrices: q8_0, q4_k, ...")
      ->capture_default_str();
  app.add_option("--output-type", options.output_type,
                 "Of the output matrix (default: --type)");
  app.add_option("--embd-type", options.embedding_type,
                 "Of the embedding (default: --type)");
  app.add_flag("--fused", options.fused,
               "attn_kv_b instead of attn_k_b and attn_v_b");
  app.add_flag("--no-groups", options.no_groups, "Leave out expert groups");
  app.add_option("--seed", options.seed, "Of the weights")
      ->capture_default_str();
  app.add_option("-o,--output", options.path, "File to write")->required();
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = mlad::Run(options);
  if (!status.ok()) {
    std::cerr << "mla-synth: " << status.message() << "\n";
    return absl::IsInvalidArgument(status) ? 2 : 1;
  }
  return 0;
}
