#include "entry/api/unknown_fields.h"

#include <catch2/catch.hpp>

#include "appsupervisor/v1/app_service.pb.h"
#include "common/status.h"
#include "google/protobuf/unknown_field_set.h"

namespace appsup::entry {
namespace {

namespace v1 = ::appsupervisor::v1;

// As a client of a later version would have sent it.
void AddUnknown(google::protobuf::Message* message, int number) {
  message->GetReflection()->MutableUnknownFields(message)->AddVarint(number, 1);
}

v1::CreateAppRequest KnownRequest() {
  v1::CreateAppRequest request;
  request.set_parent("projects/default");
  request.set_app_id("web");
  v1::AppSpec& spec = *request.mutable_app()->mutable_spec();
  spec.mutable_runtime()->mutable_process()->add_command("/bin/true");
  (*spec.mutable_env())["A"] = "b";
  spec.add_ports()->set_name("http");
  spec.add_ports()->set_name("admin");
  return request;
}

TEST_CASE("unknown fields: a request of this version has none") {
  CHECK(CheckFieldsKnown(v1::CreateAppRequest()).ok());
  CHECK(CheckFieldsKnown(KnownRequest()).ok());
}

TEST_CASE("unknown fields: each is told with its number and the path of what holds it") {
  v1::CreateAppRequest request = KnownRequest();
  AddUnknown(&request, 900);
  AddUnknown(request.mutable_app()->mutable_spec(), 901);
  AddUnknown(request.mutable_app()->mutable_spec(), 902);
  AddUnknown(request.mutable_app()->mutable_spec()->mutable_ports(1), 903);
  const absl::Status status = CheckFieldsKnown(request);
  CHECK(absl::IsInvalidArgument(status));
  CHECK(ErrorReason(status) == "UNKNOWN_FIELD");
  std::vector<std::pair<std::string, std::string>> told;
  for (const FieldViolation& violation : GetFieldViolations(status)) {
    told.emplace_back(violation.field, violation.description);
  }
  const auto text = [](int number) {
    return "has a field with number " + std::to_string(number) + " that this version does not know";
  };
  CHECK(told == decltype(told){{"", text(900)},
                               {"app.spec", text(901)},
                               {"app.spec", text(902)},
                               {"app.spec.ports[1]", text(903)}});
  CHECK_THAT(status.ToString(), Catch::Contains("the request has a field with number 900"));
}

TEST_CASE(
    "unknown fields: what came over the wire is found, also in a message without other fields") {
  v1::CreateAppRequest sent;
  AddUnknown(sent.mutable_app()->mutable_spec()->mutable_update(), 1000);
  v1::CreateAppRequest received;
  REQUIRE(received.ParseFromString(sent.SerializeAsString()));
  const auto violations = GetFieldViolations(CheckFieldsKnown(received));
  REQUIRE(violations.size() == 1);
  CHECK(violations[0].field == "app.spec.update");
}

TEST_CASE("unknown fields: an answer stays small however many there are") {
  v1::CreateAppRequest request;
  for (int number = 1000; number < 3000; ++number) AddUnknown(request.mutable_app(), number);
  CHECK(GetFieldViolations(CheckFieldsKnown(request)).size() <= 20);
}

}  // namespace
}  // namespace appsup::entry
