#include "common/rpc/grpc_status.h"

#include <catch2/catch.hpp>

#include "common/status.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace appsup::rpc {
namespace {

absl::Status ManyViolations(int count) {
  std::vector<FieldViolation> violations;
  for (int i = 0; i < count; ++i) {
    violations.push_back({"app.spec.env[" + std::to_string(i) + "]", std::string(100, 'x')});
  }
  return MakeError(absl::StatusCode::kInvalidArgument, "INVALID_SPEC", "the spec is wrong",
                   {{"app", "crm"}}, violations);
}

TEST_CASE("grpc status: an error keeps code, message, reason and violations on its way") {
  const absl::Status status = ManyViolations(3);
  const absl::Status back = FromGrpcStatus(ToGrpcStatus(status));
  CHECK(back.code() == absl::StatusCode::kInvalidArgument);
  CHECK(std::string(back.message()) == "the spec is wrong");
  CHECK(ErrorReason(back) == "INVALID_SPEC");
  CHECK(GetErrorInfo(back)->metadata().at("app") == "crm");
  CHECK(GetFieldViolations(back) == GetFieldViolations(status));
}

TEST_CASE("grpc status: OK and errors without details survive too") {
  CHECK(FromGrpcStatus(ToGrpcStatus(absl::OkStatus())).ok());
  const absl::Status back = FromGrpcStatus(ToGrpcStatus(absl::NotFoundError("no such app")));
  CHECK(back.code() == absl::StatusCode::kNotFound);
  CHECK(std::string(back.message()) == "no such app");
}

TEST_CASE("grpc status: too many violations are cut and the last one says how many are missing") {
  const absl::Status status = ManyViolations(500);
  const grpc::Status wire = ToGrpcStatus(status);
  CHECK(wire.error_details().size() <= kMaxDetailBytes);
  const std::vector<FieldViolation> kept = GetFieldViolations(FromGrpcStatus(wire));
  REQUIRE(kept.size() > 5);
  const int missing = 500 - static_cast<int>(kept.size() - 1);
  CHECK(kept.back().field.empty());
  CHECK(kept.back().description.find("and " + std::to_string(missing) + " more") == 0);
  CHECK(kept.front().field == "app.spec.env[0]");
  CHECK(ErrorReason(FromGrpcStatus(wire)) == "INVALID_SPEC");
}

TEST_CASE("grpc status: a huge message and huge metadata are cut at a whole character") {
  std::string text;
  for (int i = 0; i < 5000; ++i) text += "ä";
  const grpc::Status wire = ToGrpcStatus(
      MakeError(absl::StatusCode::kInternal, "BROKEN", text, {{"why", text}, {"app", "crm"}}));
  CHECK(wire.error_message().size() <= kMaxMessageBytes);
  CHECK(wire.error_details().size() <= kMaxDetailBytes);
  google::rpc::Status proto;
  REQUIRE(proto.ParseFromString(wire.error_details()));  // Refuses a string that is not UTF-8.
  CHECK(GetErrorInfo(FromGrpcStatus(wire))->metadata().at("app") == "crm");
}

TEST_CASE("grpc status: details of another making are left out") {
  const grpc::Status foreign(grpc::StatusCode::ABORTED, "again", "\xff\xff not a message");
  const absl::Status back = FromGrpcStatus(foreign);
  CHECK(back.code() == absl::StatusCode::kAborted);
  CHECK(std::string(back.message()) == "again");
}

}  // namespace
}  // namespace appsup::rpc
