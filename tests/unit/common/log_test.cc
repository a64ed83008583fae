#include "common/log.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <regex>
#include <string>
#include <type_traits>

#include "common/file.h"
#include "tests/support/temp_dir.h"

namespace appsup {
namespace {

template <class T>
concept Loggable = requires(const T& value) {
  LogField("key", value);
};

// Sends the log to a file for one test, and back to standard error afterwards.
class LogToFile {
 public:
  explicit LogToFile(LogOptions options) : path_(options.file) { REQUIRE(InitLog(options).ok()); }
  ~LogToFile() { IgnoreResult(InitLog({})); }
  std::string Text() const { return ReadFile(path_).value(); }

 private:
  static void IgnoreResult(const absl::Status& status) { CHECK(status.ok()); }
  std::string path_;
};

}  // namespace

TEST_CASE("log: a text line is the event and key=value, quoted where it must be") {
  CHECK(FormatLogLine(LogFormat::kText, "node-joined",
                      {{"node", "eu-1"}, {"session", 7}, {"fresh", true}, {"share", 0.5}}) ==
        "node-joined node=eu-1 session=7 fresh=true share=0.5");
  CHECK(FormatLogLine(LogFormat::kText, "x", {{"a", "two words"}, {"b", ""}, {"c", "k=v"}}) ==
        R"(x a="two words" b="" c="k=v")");
  CHECK(FormatLogLine(LogFormat::kText, "x", {{"after", absl::Seconds(90)}}) == "x after=1m30s");
  CHECK(FormatLogLine(LogFormat::kText, "x", {{"error", absl::NotFoundError("no app")}}) ==
        R"(x error="NOT_FOUND: no app")");
}

TEST_CASE("log: a value cannot forge a second line") {
  const std::string evil = "a\nerror forged=\"1\"\x1b[2J\r";
  std::string line = FormatLogLine(LogFormat::kText, "x", {{"v", evil}});
  CHECK(line.find('\n') == std::string::npos);
  CHECK(line.find('\r') == std::string::npos);
  CHECK(line.find('\x1b') == std::string::npos);
  auto json =
      nlohmann::json::parse("{" + FormatLogLine(LogFormat::kJson, "x", {{"v", evil}}) + "}");
  CHECK(json["v"] == evil);
}

TEST_CASE("log: a secret is no field") {
  STATIC_REQUIRE_FALSE(Loggable<Secret>);
  STATIC_REQUIRE(Loggable<std::string>);
  STATIC_REQUIRE(Loggable<uint64_t>);
  STATIC_REQUIRE(Loggable<absl::Status>);
}

TEST_CASE("log: writes lines of its level and above, with time, to the file") {
  testing::TempDir dir;
  LogToFile log({.level = LogLevel::kWarning, .file = dir.File("log")});
  CHECK_FALSE(LogEnabled(LogLevel::kInfo));
  CHECK(LogEnabled(LogLevel::kError));
  Log(LogLevel::kInfo, "quiet");
  Log(LogLevel::kWarning, "loud", {{"brace", "{}"}});
  std::regex form("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}[.][0-9]{3}Z warning loud brace=[{][}]\n");
  CHECK(std::regex_match(log.Text(), form));
}

TEST_CASE("log: JSON lines parse, with numbers as numbers") {
  testing::TempDir dir;
  LogToFile log({.format = LogFormat::kJson, .file = dir.File("log")});
  Log(LogLevel::kInfo, "node-lost", {{"node", "a\"b\\"}, {"count", -3}, {"final", false}});
  auto json = nlohmann::json::parse(log.Text());
  CHECK(json["event"] == "node-lost");
  CHECK(json["level"] == "info");
  CHECK(json["node"] == "a\"b\\");
  CHECK(json["count"] == -3);
  CHECK(json["final"] == false);
  CHECK(json["time"].get<std::string>().size() == 24);
}

TEST_CASE("log: can be reopened after the file was moved away") {
  testing::TempDir dir;
  const std::string path = dir.File("log");
  LogToFile log({.file = path});
  Log(LogLevel::kInfo, "first");
  REQUIRE(rename(path.c_str(), (path + ".1").c_str()) == 0);
  REQUIRE(ReopenLog().ok());
  Log(LogLevel::kInfo, "second");
  CHECK(log.Text().find("second") != std::string::npos);
  CHECK(log.Text().find("first") == std::string::npos);
}

TEST_CASE("log: a file that cannot be opened is an error") {
  absl::Status status = InitLog({.file = "/nonexistent/log"});
  CHECK(status.code() == absl::StatusCode::kNotFound);
  CHECK(status.ToString().find("/nonexistent/log") != std::string::npos);
}

}  // namespace appsup
