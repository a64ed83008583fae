#include "tests/simulation/faults/planted.h"

namespace appsup::planted {

const std::vector<Row>& Rows() {
  static const std::vector<Row> rows = {
#include "planted_rows.inc"
  };
  return rows;
}

}  // namespace appsup::planted
