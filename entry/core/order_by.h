#pragma once

#include <string>
#include <vector>

#include "entry/core/filter_node.h"
#include "entry/core/violations.h"

namespace appsup::entry {

// `name`, `create_time desc`, `sort, name`: fields as in a filter, each with `desc` or `asc`. Any
// thread.
class OrderBy {
 public:
  // Faults go to `violations` as of "order_by".
  OrderBy(const std::string& text, const google::protobuf::Descriptor& type,
          Violations& violations);

  // In order of names, which is that of tables.
  bool by_name() const { return keys_.empty(); }

  // Bytes that sort as the order says.
  std::string KeyOf(const google::protobuf::Message& message) const;

 private:
  struct Key {
    FieldPath path;
    bool descending = false;
  };
  std::vector<Key> keys_;
};

}  // namespace appsup::entry
