#pragma once

#include <optional>
#include <string>
#include <vector>

#include "entry/core/filter.h"
#include "entry/core/method_table.h"
#include "entry/core/violations.h"

namespace appsup::entry {

// How every List method reads its request: page_size, page_token, filter and order_by by name.
// Page tokens hold where to go on and a digest of all other fields but page_size.
class ListQuery {
 public:
  // `type`: what is listed. Faults go to `violations`.
  ListQuery(const CallContext& context, const google::protobuf::Descriptor& type,
            Violations& violations);

  size_t size() const { return size_; }
  const std::string& cursor() const { return cursor_; }  // "": from the beginning.
  const Filter& filter() const { return filter_; }

  // For the answer: resumes after this place. `cursor` is not empty.
  std::string NextToken(const std::string& cursor) const;

 private:
  void ReadFilter(const google::protobuf::Descriptor& type, Violations& violations);
  std::string Digest() const;

  const CallContext& context_;
  size_t size_ = 0;
  std::string cursor_;
  Filter filter_;
};

// One page of the rows of a table in order of names: those that begin with `prefix` and that
// `accept(name, record)` takes. Returns the token of the next page, or "".
template <class Rows, class Accept>
std::string ListRows(const ListQuery& query, const Rows& rows, const std::string& prefix,
                     Accept accept) {
  auto row = query.cursor().empty() ? rows.lower_bound(prefix) : rows.upper_bound(query.cursor());
  size_t taken = 0;
  std::string last;
  for (; row != rows.end() && row->first.starts_with(prefix); ++row) {
    if (taken == query.size()) {
      // Something may follow that is not accepted: an empty last page is allowed.
      return query.NextToken(last);
    }
    if (!accept(row->first, row->second)) continue;
    ++taken;
    last = row->first;
  }
  return "";
}

// Ids at the places of '*' in `pattern`; `-`, where it is allowed, comes back as "-".
absl::Status ParseParent(const std::string& field, const std::string& pattern,
                         const std::string& name, std::vector<std::string>* ids);

}  // namespace appsup::entry
