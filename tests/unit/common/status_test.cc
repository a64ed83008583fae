#include "common/status.h"

#include <catch2/catch.hpp>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace appsup {
namespace {

absl::Status NotThere() {
  return MakeError(absl::StatusCode::kNotFound, "APP_NOT_FOUND", "app \"web\" does not exist",
                   {{"app", "web"}}, {{"name", "names no app"}, {"name", "twice"}});
}

absl::StatusOr<int> Half(int number) {
  if (number % 2 != 0) return absl::InvalidArgumentError("odd");
  return number / 2;
}

absl::StatusOr<std::string> QuarterText(int number) {
  ASSIGN_OR_RETURN(int half, Half(number));
  ASSIGN_OR_RETURN(half, Half(half));
  return std::to_string(half);
}

absl::Status CheckDivisible(int number) {
  RETURN_IF_ERROR(Half(number));
  RETURN_IF_ERROR(Half(number / 2).status());
  return absl::OkStatus();
}

}  // namespace

TEST_CASE("status: an error carries its reason, metadata and violations") {
  absl::Status status = NotThere();
  CHECK(status.code() == absl::StatusCode::kNotFound);
  CHECK(std::string(status.message()) == "app \"web\" does not exist");
  auto info = GetErrorInfo(status);
  REQUIRE(info.has_value());
  CHECK(info->reason() == "APP_NOT_FOUND");
  CHECK(info->domain() == "appsupervisor");
  CHECK(info->metadata().at("app") == "web");
  CHECK(ErrorReason(status) == "APP_NOT_FOUND");
  CHECK(GetFieldViolations(status) ==
        std::vector<FieldViolation>{{"name", "names no app"}, {"name", "twice"}});
}

TEST_CASE("status: an error without violations carries no BadRequest") {
  absl::Status status = MakeError(absl::StatusCode::kAborted, "ETAG_MISMATCH", "changed");
  int payloads = 0;
  status.ForEachPayload([&](absl::string_view, const absl::Cord&) { ++payloads; });
  CHECK(payloads == 1);
  CHECK(GetFieldViolations(status).empty());
}

TEST_CASE("status: a foreign or damaged detail counts as none") {
  absl::Status plain = absl::InternalError("x");
  CHECK_FALSE(GetErrorInfo(plain).has_value());
  CHECK(ErrorReason(plain).empty());
  plain.SetPayload("type.googleapis.com/google.rpc.ErrorInfo", absl::Cord("\xff\xff"));
  CHECK_FALSE(GetErrorInfo(plain).has_value());
}

TEST_CASE("status: Annotate adds context and keeps the details") {
  absl::Status status = Annotate(NotThere(), "start");
  CHECK(std::string(status.message()) == "start: app \"web\" does not exist");
  CHECK(status.code() == absl::StatusCode::kNotFound);
  CHECK(ErrorReason(status) == "APP_NOT_FOUND");
  CHECK(GetFieldViolations(status).size() == 2);
  CHECK(Annotate(absl::OkStatus(), "start").ok());
}

TEST_CASE("status: the wire form and back is the same status") {
  google::rpc::Status proto = ToProto(NotThere());
  CHECK(proto.code() == 5);
  REQUIRE(proto.details_size() == 2);
  CHECK(FromProto(proto) == NotThere());
  CHECK(FromProto(ToProto(absl::OkStatus())).ok());
}

TEST_CASE("status: an unknown wire code is UNKNOWN, never OK") {
  google::rpc::Status proto;
  for (int code : {-1, 17, 4711}) {
    proto.set_code(code);
    CHECK(FromProto(proto).code() == absl::StatusCode::kUnknown);
  }
}

TEST_CASE("status: the macros hand the first error on") {
  CHECK(QuarterText(8).value() == "2");
  CHECK(std::string(QuarterText(6).status().message()) == "odd");
  CHECK(CheckDivisible(8).ok());
  CHECK_FALSE(CheckDivisible(6).ok());
  CHECK_FALSE(CheckDivisible(3).ok());
}

TEST_CASE("status: an errno becomes a fitting code with the words of the system") {
  absl::Status status = ErrnoError(ENOENT, "open /etc/x");
  CHECK(status.code() == absl::StatusCode::kNotFound);
  CHECK(std::string(status.message()) == "open /etc/x: No such file or directory");
}

}  // namespace appsup
