#include "bench/synth_file.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"

#include "base/status.h"

namespace mlad {
namespace {

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
                         uint64_t seed,
                         const std::function<void(double)>& progress) {
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  absl::Status result;
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
        progress(static_cast<double>(i) / static_cast<double>(pieces.size()));
      }
    }
  };
  std::vector<std::jthread> threads;
  for (unsigned t = 0; t < std::max(1u, std::thread::hardware_concurrency());
       ++t) {
    threads.emplace_back(work);
  }
  threads.clear();
  return result;
}

}  // namespace

absl::StatusOr<SynthReport> WriteSynthFile(const SynthFile& wanted) {
  MLAD_ASSIGN_OR_RETURN(
      const std::vector<SynthTensor> tensors,
      SynthTensors(wanted.shape, wanted.types, wanted.split_kv_b));
  GgufWriter writer;
  AddSynthMetadata(wanted.shape, wanted.split_kv_b, writer);
  int64_t data_bytes = 0;
  for (const SynthTensor& tensor : tensors) {
    writer.AddTensor(tensor.name, tensor.type, tensor.shape, {});
    writer.tensors.back().offset = data_bytes;
    data_bytes += (tensor.bytes() + writer.alignment - 1) / writer.alignment *
                  writer.alignment;
  }
  const std::vector<std::byte> header = writer.BuildHeader();
  const auto header_bytes = static_cast<int64_t>(header.size());
  std::vector<Piece> pieces;
  for (size_t i = 0; i < tensors.size() && !wanted.without_weights; ++i) {
    AddPieces(tensors[i],
              header_bytes + static_cast<int64_t>(writer.tensors[i].offset),
              pieces);
  }

  const int file =
      open(wanted.path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (file < 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "cannot write '", wanted.path, "': ", std::strerror(errno)));
  }
  absl::Status status = WriteAt(file, header.data(), header_bytes, 0);
  if (status.ok()) {
    status = WritePieces(file, pieces, wanted.seed, wanted.progress);
  }
  if (status.ok() && ftruncate(file, header_bytes + data_bytes) != 0) {
    status = absl::ResourceExhaustedError(
        absl::StrCat("writing failed: ", std::strerror(errno)));
  }
  close(file);
  if (!status.ok()) return status;
  return SynthReport{static_cast<int64_t>(tensors.size()),
                     header_bytes + data_bytes};
}

}  // namespace mlad
