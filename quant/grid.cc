#include "quant/grid.h"

namespace mlad {

const uint32_t* GridEntries(Grid grid) {
  switch (grid) {
    case Grid::kIq1:
      return kIq1Grid.data();
    case Grid::kIq2Xxs:
      return kIq2XxsGrid.data();
    case Grid::kIq2Xs:
      return kIq2XsGrid.data();
    case Grid::kIq2S:
      return kIq2SGrid.data();
    case Grid::kIq3Xxs:
      return kIq3XxsGrid.data();
    case Grid::kIq3S:
      return kIq3SGrid.data();
    case Grid::kNone:
      break;
  }
  return nullptr;
}

}  // namespace mlad
