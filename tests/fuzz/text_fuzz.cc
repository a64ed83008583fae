// Small parsers of text. The first byte says which.
#include <string>
#include <string_view>

#include "agent/artifact/artifact_request.h"
#include "agent/log/utf8.h"
#include "agent/probe/probe_spec.h"
#include "agent/probe/status_expectation.h"
#include "common/join_token.h"
#include "common/resource_name.h"
#include "common/text_units.h"
#include "entry/artifact/blob_name.h"
#include "entry/cli/selector.h"
#include "entry/core/filter.h"
#include "entry/gateway/visit.h"
#include "google/protobuf/stubs/common.h"
#include "google/protobuf/wrappers.pb.h"
#include "tests/fuzz/steps.h"

namespace appsup {
namespace {

using fuzz::Expect;

constexpr size_t kLongestFilter = 4096;

void ReadDuration(const std::string& text) {
  const auto duration = ParseDuration(text);
  if (!duration.ok()) return;
  Expect(*duration >= absl::ZeroDuration() && *duration < absl::InfiniteDuration(),
         "a duration is finite and not below 0");
}

void ReadBytes(const std::string& text) {
  const auto bytes = ParseBytes(text);
  if (!bytes.ok()) return;
  Expect(*bytes >= 0, "a size is not below 0");
  Expect(*ParseBytes(FormatBytes(*bytes)) == *bytes, "a size that is written is read as the same");
}

void ReadCpu(const std::string& text) {
  const auto millis = ParseCpu(text);
  if (!millis.ok()) return;
  Expect(*millis >= 0, "a share is not below 0");
  Expect(*ParseCpu(FormatCpu(*millis)) == *millis, "a share that is written is read as the same");
}

void ReadName(const std::string& text) {
  const auto ids = MatchName("projects/*/apps/*", text);
  if (!ids) return;
  Expect(FormatName("projects/*/apps/*", {ids->at(0), ids->at(1)}) == text, "a name is its ids");
}

void ReadJoinToken(const std::string& text) {
  const auto token = DecodeJoinToken(text);
  if (token.ok()) Expect(EncodeJoinToken(*token) == text, "a token is its parts");
}

void ReadExpectation(const std::string& text) {
  const auto expected = agent::StatusExpectation::Parse(text);
  if (!expected.ok()) return;
  Expect(!expected->Matches(99) && !expected->Matches(600), "statuses lie in 100 to 599");
}

void ReadBlobName(const std::string& text) {
  const auto digest = entry::ParseBlobName("name", text);
  if (digest.ok()) Expect(entry::BlobName(*digest) == text, "a blob's name is its digest");
}

void ReadSelector(const std::string& text) {
  const auto filter = cli::FilterOfSelector(text);
  if (!filter.ok()) return;
  const auto parsed = entry::Filter::Parse(*filter);
  // Its parts are longer in a filter. The entry says so to whoever asks for that many.
  if (filter->size() > kLongestFilter && absl::IsInvalidArgument(parsed.status())) return;
  Expect(parsed.status(), "a selector becomes a filter that can be read");
  Expect(parsed->Check(*appsupervisor::v1::App::descriptor()), "and fits an app");
}

void MakeUtf8(const std::string& text) {
  const size_t limit = text.size() % 50;
  google::protobuf::StringValue value;
  value.set_value(agent::ToUtf8(text, limit));
  google::protobuf::StringValue again;
  Expect(again.ParseFromString(value.SerializeAsString()), "what becomes text is UTF-8");
}

void ReadVisit(const std::string& text) {
  const size_t end = std::min(text.find('?'), text.size());
  const auto visit = entry::ParseVisit(text.substr(0, end));
  if (!visit) return;
  appsupervisor::v1::App app;
  app.mutable_spec()->add_ports()->set_name("http");
  auto* endpoint = app.mutable_status()->add_endpoints();
  endpoint->set_port("http");
  endpoint->set_address("10.0.0.1:80");
  const HttpResponse answer = entry::AnswerVisit(app, *visit, "", 3);
  const auto location = answer.headers.find("Location");
  Expect(location != answer.headers.end(), "a visitor is sent on");
  Expect(location->second.find_first_of("\r\n \"<>") == std::string::npos,
         "a location stays within its header");
  Expect(location->second.starts_with("http://10.0.0.1:80/"), "a path leads to the app alone");
}

void ReadArtifact(const std::string& text) {
  appsupervisor::v1::Artifact artifact;
  artifact.set_uri(text);
  const auto request = agent::CheckArtifact(artifact, {});
  if (!request.ok()) return;
  Expect(request->file_name.find('/') == std::string::npos && request->file_name != ".." &&
             request->file_name != ".",
         "an artifact's file is a name in its folder");
  const std::string digest(64, 'a');
  Expect(agent::IsTreeName(request->TreeName(digest)), "a tree's name is one");
  Expect(request->Display().find('?') == std::string::npos, "a query may be secret");
}

void ReadCheck(const std::string& text) {
  appsupervisor::v1::Check check;
  if (!check.ParseFromString(text)) return;
  const auto spec = agent::ResolveProbe(check, "127.0.0.1", {{"http", 80}});
  if (!spec.ok()) return;
  Expect(spec->period >= agent::kMinCheckPeriod, "a check is not made all the time");
  Expect(spec->timeout > absl::ZeroDuration(), "a check has time");
}

constexpr void (*kReaders[])(const std::string&) = {
    ReadDuration, ReadBytes,    ReadCpu,  ReadName,  ReadJoinToken, ReadExpectation,
    ReadBlobName, ReadSelector, MakeUtf8, ReadVisit, ReadArtifact,  ReadCheck};

}  // namespace
}  // namespace appsup

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  appsup::kReaders[data[0] % std::size(appsup::kReaders)](text);
  return 0;
}
