// Attention on codes with AVX-512 VNNI alone.
#include "kernels/avx512_coded_attention.h"

#include "kernels/avx512_kernels.h"

namespace mlad::avx512 {
namespace {

void Project(const ProjectArgs& args) noexcept { ProjectWith<NoUnit>(args); }
void Attend(const CodedTileArgs& args) noexcept { AttendWith<NoUnit>(args); }

}  // namespace

const CodedAttention kCodedAttention = {
    .encode_queries = EncodeQueries,
    .project = Project,
    .pack_values = PackValues,
    .attend = Attend,
};

}  // namespace mlad::avx512
