#include "entry/core/assignment_set.h"

#include <catch2/catch.hpp>

#include "entry/core/statement.h"

namespace appsup::entry {
namespace {

constexpr size_t kMany = 900'000;

// A catalog with one node and instances "i0", "i1", …
class Shelf {
 public:
  explicit Shelf(int count, size_t text = 10) {
    for (int i = 0; i < count; ++i) {
      rec::InstanceRecord record;
      api::Instance& instance = *record.mutable_instance();
      instance.set_name(Name(i));
      instance.set_uid("u" + std::to_string(i) + std::string(text, 'x'));
      instance.set_node("n1");
      instance.set_desired(api::DESIRED_STATE_RUN);
      catalog.AddInstance(record);
      Restate(catalog, dirty, Name(i));
    }
  }

  static std::string Name(int i) { return "projects/p/apps/a/instances/i" + std::to_string(i); }

  Catalog catalog;
  Dirty dirty;
  AssignmentSet set{"nodes/n1"};
};

TEST_CASE("assignments: the first message goes out even without differences") {
  Shelf shelf(0);
  CHECK_FALSE(shelf.set.pending());
  shelf.set.Open();
  REQUIRE(shelf.set.pending());
  const api::Assignments message = shelf.set.Next(shelf.catalog, kMany);
  CHECK(message.type() == api::ASSIGNMENTS_TYPE_INCREMENTAL);
  CHECK(message.base() == 0);
  CHECK(message.version() == 1);
  CHECK_FALSE(shelf.set.pending());
  CHECK(shelf.set.Covers(1));
  CHECK_FALSE(shelf.set.Covers(0));
}

TEST_CASE("assignments: an instance that changes often is told once, in its newest form") {
  Shelf shelf(1);
  shelf.set.Open();
  shelf.set.Add(Shelf::Name(0));
  shelf.catalog.instances.Mutate(Shelf::Name(0))
      .mutable_instance()
      ->set_desired(api::DESIRED_STATE_STOP);
  Restate(shelf.catalog, shelf.dirty, Shelf::Name(0));
  shelf.set.Add(Shelf::Name(0));
  const api::Assignments message = shelf.set.Next(shelf.catalog, kMany);
  REQUIRE(message.assignments_size() == 1);
  CHECK(message.assignments(0).generation() == 2);
  CHECK(message.assignments(0).desired() == api::DESIRED_STATE_STOP);
  CHECK_FALSE(shelf.set.pending());
}

TEST_CASE("assignments: each message leads on from the one before, and stays small") {
  Shelf shelf(10, 1000);
  shelf.set.Open();
  for (int i = 0; i < 10; ++i) shelf.set.Add(Shelf::Name(i));
  int64_t version = 0;
  int told = 0;
  while (shelf.set.pending()) {
    const api::Assignments message = shelf.set.Next(shelf.catalog, 3000);
    CHECK(message.base() == version);
    CHECK(message.version() == version + 1);
    CHECK(message.ByteSizeLong() < 4500);
    CHECK_FALSE(shelf.set.Covers(version));
    version = message.version();
    told += message.assignments_size();
  }
  CHECK(told == 10);
  CHECK(version > 3);
  CHECK(shelf.set.Covers(version));
}

TEST_CASE("assignments: one statement larger than the limit still goes out") {
  Shelf shelf(2, 5000);
  shelf.set.Open();
  shelf.set.Add(Shelf::Name(0));
  shelf.set.Add(Shelf::Name(1));
  CHECK(shelf.set.Next(shelf.catalog, 100).assignments_size() == 1);
  CHECK(shelf.set.Next(shelf.catalog, 100).assignments_size() == 1);
  CHECK_FALSE(shelf.set.pending());
}

TEST_CASE("assignments: after a gap everything is told in parts with begin and end") {
  Shelf shelf(10, 1000);
  shelf.set.Open();
  shelf.set.Next(shelf.catalog, kMany);
  shelf.set.StartComplete();
  CHECK_FALSE(shelf.set.Covers(1));
  int told = 0;
  int parts = 0;
  bool ended = false;
  while (shelf.set.pending()) {
    const api::Assignments message = shelf.set.Next(shelf.catalog, 3000);
    CHECK(message.type() == api::ASSIGNMENTS_TYPE_COMPLETE);
    CHECK(message.version() == 2);
    CHECK(message.begin() == (parts == 0));
    CHECK_FALSE(ended);
    ended = message.end();
    told += message.assignments_size();
    ++parts;
  }
  CHECK(ended);
  CHECK(parts > 2);
  CHECK(told == 10);
  CHECK(shelf.set.Covers(2));
}

TEST_CASE("assignments: what changes while a complete set is under way comes after its end") {
  Shelf shelf(3, 1000);
  shelf.set.StartComplete();
  shelf.set.Next(shelf.catalog, 1500);
  shelf.set.Add(Shelf::Name(0));  // Was in the first part already.
  api::Assignments last;
  while (!last.end()) last = shelf.set.Next(shelf.catalog, 1500);
  REQUIRE(shelf.set.pending());
  const api::Assignments after = shelf.set.Next(shelf.catalog, 1500);
  CHECK(after.type() == api::ASSIGNMENTS_TYPE_INCREMENTAL);
  CHECK(after.base() == last.version());
  REQUIRE(after.assignments_size() == 1);
  CHECK(after.assignments(0).name() == Shelf::Name(0));
}

TEST_CASE("assignments: an instance that the catalog does not know is removed by name") {
  Shelf shelf(0);
  api::HeldInstance held;
  held.set_uid("stranger");
  held.set_generation(7);
  shelf.set.Open();
  shelf.set.AddRemoval(BuildRemoval(held));
  const api::Assignments message = shelf.set.Next(shelf.catalog, kMany);
  REQUIRE(message.assignments_size() == 1);
  CHECK(message.assignments(0).uid() == "stranger");
  CHECK(message.assignments(0).generation() == 8);
  CHECK(message.assignments(0).desired() == api::DESIRED_STATE_REMOVE);
  CHECK_FALSE(message.assignments(0).purge_data());
}

TEST_CASE("assignments: a removal is told again with a complete set, until it was acted on") {
  Shelf shelf(0);
  api::HeldInstance held;
  held.set_uid("stranger");
  shelf.set.Open();
  shelf.set.AddRemoval(BuildRemoval(held));
  const int64_t version = shelf.set.Next(shelf.catalog, kMany).version();
  shelf.set.TakeApplied(version - 1);
  shelf.set.StartComplete();
  const api::Assignments again = shelf.set.Next(shelf.catalog, kMany);
  REQUIRE(again.assignments_size() == 1);
  CHECK(again.assignments(0).uid() == "stranger");
  CHECK(again.end());
  shelf.set.TakeApplied(again.version());
  shelf.set.StartComplete();
  CHECK(shelf.set.Next(shelf.catalog, kMany).assignments_size() == 0);
}

TEST_CASE("statement: says nothing new as long as its content is the same") {
  Shelf shelf(1);
  const rec::InstanceRecord* record = shelf.catalog.instances.Find(Shelf::Name(0));
  CHECK(record->generation() == 1);
  shelf.dirty.TakeAssignments();
  Restate(shelf.catalog, shelf.dirty, Shelf::Name(0));
  CHECK(record->generation() == 1);
  CHECK(shelf.dirty.TakeAssignments().empty());
  const std::string digest = record->digest();
  shelf.catalog.instances.Mutate(Shelf::Name(0)).set_restart_nonce(1);
  Restate(shelf.catalog, shelf.dirty, Shelf::Name(0));
  CHECK(record->generation() == 2);
  CHECK(record->digest() != digest);
  CHECK(shelf.dirty.TakeAssignments().size() == 1);
}

}  // namespace
}  // namespace appsup::entry
