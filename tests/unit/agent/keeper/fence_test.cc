#include "agent/keeper/fence.h"

#include <catch2/catch.hpp>

#include "agent/keeper/warden.h"

namespace appsup::keeper {
namespace {

pb::Fence Message(int64_t deadline, int64_t stop_before_millis) {
  pb::Fence message;
  message.set_deadline_boot_nanos(deadline);
  message.set_stop_before_millis(stop_before_millis);
  return message;
}

TEST_CASE("fence: a deadline moves forward or not at all") {
  Fence fence;
  CHECK_FALSE(fence.set());
  CHECK(Extend({.deadline = 100, .stop_before = 10}, fence));
  CHECK(fence.set());
  CHECK(fence.stop_at() == 90);
  CHECK_FALSE(Extend({.deadline = 99, .stop_before = 1}, fence));
  CHECK_FALSE(Extend({.deadline = 100, .stop_before = 10}, fence));
  CHECK(fence.stop_at() == 90);
  CHECK(Extend({.deadline = 100, .stop_before = 20}, fence));
  CHECK(Extend({.deadline = 200, .stop_before = 0}, fence));
  CHECK(fence.stop_at() == 200);
}

TEST_CASE("fence: a message and what it means are the same") {
  Fence fence = FromMessage(Message(5'000'000'000, 1'500));
  CHECK(fence.stop_at() == 3'500'000'000);
  CHECK(ToMessage(fence).SerializeAsString() == Message(5'000'000'000, 1'500).SerializeAsString());
}

TEST_CASE("fence: figures that make no sense are refused") {
  constexpr int64_t kDay = int64_t{24} * 3600 * 1000;
  CHECK(CheckFence(Message(1, 0)).ok());
  CHECK(CheckFence(Message(INT64_MAX, kDay)).ok());
  for (const pb::Fence& message :
       {Message(0, 0), Message(-1, 0), Message(1, -1), Message(1, kDay + 1)}) {
    CHECK(CheckFence(message).code() == absl::StatusCode::kInvalidArgument);
  }
}

TEST_CASE("warden: it knows what it was told") {
  std::vector<FenceMove> moves = {
      {"a.main.1", 100}, {std::string(93, 'b'), INT64_MAX}, {"c.main.1", 300}, {"a.main.1", 150}};
  FencedGroups groups;
  internal::ApplyMoves(internal::EncodeMoves(moves.data(), moves.data() + moves.size()), groups);
  CHECK(groups ==
        FencedGroups{{"a.main.1", 150}, {std::string(93, 'b'), INT64_MAX}, {"c.main.1", 300}});
  std::vector<FenceMove> gone = {{"c.main.1", 0}, {"nobody", 0}};
  internal::ApplyMoves(internal::EncodeMoves(gone.data(), gone.data() + gone.size()), groups);
  CHECK(groups == FencedGroups{{"a.main.1", 150}, {std::string(93, 'b'), INT64_MAX}});
}

TEST_CASE("warden: a packet that is cut off does no harm") {
  FenceMove move = {"a.main.1", 100};
  std::string packet = internal::EncodeMoves(&move, &move + 1);
  for (size_t size = 0; size < packet.size(); ++size) {
    FencedGroups groups;
    internal::ApplyMoves(std::string_view(packet).substr(0, size), groups);
    CHECK(groups.count("a.main.1") == 0);
  }
}

}  // namespace
}  // namespace appsup::keeper
