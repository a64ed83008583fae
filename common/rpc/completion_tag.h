#pragma once

namespace appsup::rpc {

// What our completion queues carry. Completed exactly once per operation, on the polling thread.
class CompletionTag {
 public:
  virtual ~CompletionTag() = default;
  virtual void Complete(bool ok) = 0;
};

}  // namespace appsup::rpc
