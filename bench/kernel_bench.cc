// Times the kernels of every instruction set this CPU runs, on one core:
//   kernel_bench --benchmark_filter='matmul/avx512/Q4_K'
// The matrices are those of tests/kernels/kernel_cases.h.
#include <cstdint>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "tests/kernels/kernel_cases.h"

#include "kernels/kernels.h"

namespace mlad {
namespace {

using testing::MatMulCase;
using testing::MatMulProblem;
using testing::PackedWeights;
using testing::Random;
using testing::RandomFloats;

void BenchMatMul(benchmark::State& state, const KernelTable* kernels,
                 const MatMulCase& c, ActivationBits bits) {
  Random random(1);
  const PackedWeights weights(random, c);
  const int64_t tokens = state.range(0);
  const std::vector<float> x = RandomFloats(random, tokens * c.cols);
  const MatMulProblem problem(*kernels, weights.matrix(), x,
                              bits == ActivationBits::k8 ? tokens : 0);
  std::vector<float> out(tokens * c.rows);
  for (auto _ : state) {
    kernels->matmul(problem.Args(out.data(), c.rows));
    benchmark::ClobberMemory();
  }
  const auto runs = static_cast<double>(state.iterations());
  const auto bytes =
      static_cast<double>(PackedBytes(weights.matrix().format, c.rows, c.cols));
  const auto products = static_cast<double>(c.rows * c.cols * tokens);
  state.counters["weights"] = benchmark::Counter(
      bytes * runs, benchmark::Counter::kIsRate,
      benchmark::Counter::kIs1024);  // bytes/s read once a call
  state.counters["flop"] =
      benchmark::Counter(2 * products * runs, benchmark::Counter::kIsRate);
}

void BenchDecodeLatent(benchmark::State& state, const KernelTable* kernels,
                       KvType type) {
  constexpr int64_t kRows = kMaxTilePositions;
  constexpr int64_t kElements = 576;
  Random random(1);
  const std::vector<float> row = RandomFloats(random, kElements);
  const int64_t row_bytes = *KvRowBytes(type, kElements);
  std::vector<std::byte> stored(kRows * row_bytes);
  for (int64_t r = 0; r < kRows; ++r) {
    kernels->encode_latent(type, row.data(), kElements,
                           stored.data() + r * row_bytes);
  }
  std::vector<float> out(kRows * kElements);
  for (auto _ : state) {
    kernels->decode_latent(type, stored.data(), kRows, kElements, out.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * kRows);
}

void BenchAbsorbedTile(benchmark::State& state, const KernelTable* kernels) {
  constexpr int64_t kRowElements = 576;
  constexpr int64_t kValueElements = 512;
  Random random(1);
  const int64_t heads = state.range(0);
  const auto q = RandomFloats(random, heads * kRowElements);
  const auto rows = RandomFloats(random, kMaxTilePositions * kRowElements);
  std::vector<float> peak(heads, -1e30f);
  std::vector<float> sum(heads);
  std::vector<float> out(heads * kValueElements);
  for (auto _ : state) {
    kernels->absorbed_tile({.heads = heads,
                            .positions = kMaxTilePositions,
                            .row_elements = kRowElements,
                            .value_elements = kValueElements,
                            .q = q.data(),
                            .rows = rows.data(),
                            .scale = 0.1f,
                            .state = {peak.data(), sum.data(), out.data()}});
    benchmark::ClobberMemory();
  }
  const auto products = static_cast<double>(heads * kMaxTilePositions *
                                            (kRowElements + kValueElements));
  state.counters["flop"] =
      benchmark::Counter(2 * products * static_cast<double>(state.iterations()),
                         benchmark::Counter::kIsRate);
}

/// The limit of the products above.
void BenchPeak(benchmark::State& state, int64_t (*peak)(int64_t) noexcept) {
  int64_t operations = 0;
  for (auto _ : state) operations += peak(1000);
  state.counters["flop"] = benchmark::Counter(static_cast<double>(operations),
                                              benchmark::Counter::kIsRate);
}

void Register() {
  for (const KernelTable* kernels : SupportedKernels()) {
    const std::string isa(IsaName(kernels->isa));
    for (const MatMulCase& c : testing::MatMulBenchCases()) {
      const std::string name = isa + "/" + testing::CaseName(c);
      auto* wide =
          benchmark::RegisterBenchmark(("matmul/" + name).c_str(), BenchMatMul,
                                       kernels, c, ActivationBits::k16);
      auto* narrow = benchmark::RegisterBenchmark(
          ("matmul_8bit/" + name).c_str(), BenchMatMul, kernels, c,
          ActivationBits::k8);
      for (int64_t tokens : testing::kBenchTokenCounts) {
        wide->Arg(tokens);
        narrow->Arg(tokens);
      }
    }
    for (KvType type : kAllKvTypes) {
      benchmark::RegisterBenchmark(
          ("decode_latent/" + isa + "/" + std::string(KvTypeName(type)))
              .c_str(),
          BenchDecodeLatent, kernels, type);
    }
    benchmark::RegisterBenchmark(("absorbed_tile/" + isa).c_str(),
                                 BenchAbsorbedTile, kernels)
        ->Arg(16)
        ->Arg(128);
    benchmark::RegisterBenchmark(("peak_int8/" + isa).c_str(), BenchPeak,
                                 kernels->peak_int8);
    benchmark::RegisterBenchmark(("peak_f32/" + isa).c_str(), BenchPeak,
                                 kernels->peak_f32);
  }
}

}  // namespace
}  // namespace mlad

int main(int argc, char** argv) {
  mlad::Register();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
