// The scalar table's functions: the reference of every other table.
#pragma once

#include "kernels/kernel_contract.h"

namespace mlad::scalar {

void QuantizeActivations(const float* x, int64_t cols, ActivationBits bits,
                         const QuantizedActivations& out) noexcept;
void MatMul(const MatMulArgs& args) noexcept;
void Gemm(const GemmArgs& args) noexcept;
void RmsNorm(const float* x, const float* weight, int64_t n, float epsilon,
             float* out) noexcept;
void SiluMul(const float* gate, const float* up, int64_t n,
             float* out) noexcept;
float SoftmaxUpdate(float* scores, int64_t n, float* peak, float* sum) noexcept;
void Scale(float* out, int64_t n, float factor) noexcept;
void ScaledAdd(const float* x, int64_t n, float factor, float* out) noexcept;
void EncodeLatent(KvType type, const float* row, int64_t row_elements,
                  std::byte* out) noexcept;
void DecodeLatent(KvType type, const std::byte* rows, int64_t count,
                  int64_t row_elements, float* out) noexcept;
void AbsorbedTile(const AbsorbedTileArgs& args) noexcept;
void EncodeQueries(const float* x, int64_t vectors, int64_t columns,
                   int64_t x_stride, const QueryCodes& out) noexcept;
void Project(const ProjectArgs& args) noexcept;
void PackValues(const CodedRows& rows, int64_t value_elements, int8_t* values,
                float* scales) noexcept;
void AttendCodes(const CodedTileArgs& args) noexcept;
int64_t PeakInt8(int64_t rounds) noexcept;
int64_t PeakF32(int64_t rounds) noexcept;

}  // namespace mlad::scalar
