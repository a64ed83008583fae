#include "agent/probe/prober.h"

#include <sys/resource.h>

#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <vector>

#include "tests/support/drive_loop.h"
#include "tests/support/http_server.h"

namespace appsup::agent {
namespace {

using testing::DriveUntil;
using testing::HttpServer;
using Verdict = Threshold::Verdict;

class FakeExec : public ExecRunner {
 public:
  void RunCheck(const ProbeKey& key, const std::vector<std::string>& command, absl::Duration,
                Done done) override {
    commands.push_back(command);
    running[key] = std::move(done);
  }
  void CancelCheck(const ProbeKey& key) override { cancelled += running.erase(key); }

  void End(const ProbeKey& key, ExecResult result) {
    Done done = std::move(running.at(key));
    running.erase(key);
    done(std::move(result));
  }

  std::vector<std::vector<std::string>> commands;
  std::map<ProbeKey, Done> running;
  size_t cancelled = 0;
};

struct Fixture {
  std::unique_ptr<EventLoop> loop = EventLoop::Create().value();
  SystemClock clock;
  SeededRandom random{1};
  FakeExec exec;
  std::unique_ptr<Prober> prober = std::make_unique<Prober>(*loop, clock, random, &exec);
  std::vector<ProbeResult> results;

  void Start(const ProbeSpec& spec, const ProbeKey& key = {"i-1", 1}) {
    REQUIRE(prober
                ->StartProbe(key, spec,
                             [this](const ProbeKey&, const ProbeResult& result) {
                               results.push_back(result);
                             })
                .ok());
  }

  // The message of the first result.
  std::string FirstMessage(const ProbeSpec& spec) {
    results.clear();
    Start(spec);
    REQUIRE(DriveUntil(*loop, [this] { return !results.empty(); }));
    prober->StopProbe({"i-1", 1});
    CHECK(results[0].ok == results[0].message.empty());
    return results[0].message;
  }
};

ProbeSpec Http(uint16_t port, const std::string& path = "/health") {
  ProbeSpec spec;
  spec.kind = ProbeKind::kHttp;
  spec.port = port;
  spec.path = path;
  spec.period = absl::Milliseconds(100);
  spec.timeout = absl::Seconds(10);
  return spec;
}

TEST_CASE("prober: http passes by its status and says what it saw instead") {
  Fixture f;
  HttpServer server([](const HttpServer::Request& request, const HttpServer::Write& write) {
    if (request.target == "/hang") return HttpServer::WaitForClose(write);
    if (request.target == "/silent") return;
    if (request.target == "/long") {
      write("HTTP/1.1 200 OK\r\n\r\n");
      const std::string block(16 << 10, 'x');
      while (write(block)) {
      }
      return;
    }
    write(HttpServer::Answer(std::stoi(request.target.substr(1)), "body", "Location: /hang\r\n"));
  });
  CHECK(f.FirstMessage(Http(server.port(), "/200")) == "");
  CHECK(f.FirstMessage(Http(server.port(), "/302")) == "");
  CHECK(f.FirstMessage(Http(server.port(), "/503")) ==
        "GET " + server.url("/503") + ": status 503, expected 200-399");
  ProbeSpec exact = Http(server.port(), "/302");
  exact.expect = StatusExpectation::Parse("2xx,404").value();
  CHECK(f.FirstMessage(exact) == "GET " + server.url("/302") + ": status 302, expected 2xx,404");
  CHECK(f.FirstMessage(Http(server.port(), "/long")) == "");
  CHECK(f.FirstMessage(Http(server.port(), "/silent")) ==
        "GET " + server.url("/silent") + ": the connection was closed without an answer");
  ProbeSpec hang = Http(server.port(), "/hang");
  hang.timeout = absl::Milliseconds(150);
  CHECK(f.FirstMessage(hang) == "GET " + server.url("/hang") + ": no answer within 150ms");
}

TEST_CASE("prober: a refused connection is named, by http and by tcp") {
  Fixture f;
  const uint16_t port = testing::UnusedPort();
  const std::string target = "127.0.0.1:" + std::to_string(port);
  CHECK(f.FirstMessage(Http(port)) == "GET http://" + target + "/health: connection refused");
  ProbeSpec tcp = Http(port);
  tcp.kind = ProbeKind::kTcp;
  CHECK(f.FirstMessage(tcp) == "connect " + target + ": connection refused");
  tcp.address = "localhost";
  CHECK(f.FirstMessage(tcp).find("\"localhost\" is no IP address") != std::string::npos);
}

TEST_CASE("prober: tcp passes when a connection opens") {
  Fixture f;
  HttpServer server([](const HttpServer::Request&, const HttpServer::Write&) {});
  ProbeSpec tcp = Http(server.port());
  tcp.kind = ProbeKind::kTcp;
  CHECK(f.FirstMessage(tcp) == "");
}

TEST_CASE("prober: exec passes by the command's end and quotes its last line") {
  Fixture f;
  ProbeSpec spec;
  spec.kind = ProbeKind::kExec;
  spec.command = {"bin/check", "--fast"};
  spec.period = absl::Milliseconds(100);
  const ProbeKey key{"i-1", 1};
  f.Start(spec);
  const std::vector<std::pair<ExecResult, std::string>> cases = {
      {{}, ""},
      {{.exit_code = 3, .last_line = "queue is full"},
       "exec bin/check: ended with code 3: queue is full"},
      {{.signal = 9}, "exec bin/check: ended by signal 9"},
      {{.signal = 9, .timed_out = true}, "exec bin/check: did not end within 2s"},
      {{.status = absl::NotFoundError("no such file")}, "exec bin/check: no such file"},
  };
  for (const auto& [result, message] : cases) {
    const size_t seen = f.results.size();
    REQUIRE(DriveUntil(*f.loop, [&] { return f.exec.running.count(key) == 1; }));
    f.exec.End(key, result);
    REQUIRE(f.results.size() == seen + 1);
    CHECK(f.results.back().message == message);
  }
  CHECK(f.exec.commands.front() == spec.command);
  REQUIRE(DriveUntil(*f.loop, [&] { return f.exec.running.count(key) == 1; }));
  f.prober->StopProbe(key);
  CHECK(f.exec.cancelled == 1);
}

TEST_CASE("prober: the verdict follows the thresholds while an app comes and goes") {
  Fixture f;
  std::atomic<bool> healthy{false};
  HttpServer server([&](const HttpServer::Request&, const HttpServer::Write& write) {
    write(HttpServer::Answer(healthy ? 200 : 500, ""));
  });
  ProbeSpec spec = Http(server.port());
  spec.threshold = {.success = 2, .failure = 2};
  f.Start(spec);
  const auto verdict_is = [&](Verdict verdict) {
    return [&f, verdict] { return !f.results.empty() && f.results.back().verdict == verdict; };
  };
  REQUIRE(DriveUntil(*f.loop, verdict_is(Verdict::kFailing)));
  healthy = true;
  REQUIRE(DriveUntil(*f.loop, verdict_is(Verdict::kPassing)));
  healthy = false;
  REQUIRE(DriveUntil(*f.loop, verdict_is(Verdict::kFailing)));
  const auto changes = std::count_if(f.results.begin(), f.results.end(),
                                     [](const ProbeResult& r) { return r.verdict_changed; });
  CHECK(changes == 3);
}

TEST_CASE("prober: after a stop there is no callback, and a restart begins anew") {
  Fixture f;
  HttpServer server([](const HttpServer::Request&, const HttpServer::Write& write) {
    HttpServer::WaitForClose(write);
  });
  f.Start(Http(server.port()));
  REQUIRE(DriveUntil(*f.loop, [&] { return server.requests() == 1; }));
  f.prober->StopProbe({"i-1", 1});
  CHECK(f.prober->size() == 0);
  ProbeSpec refused = Http(testing::UnusedPort());
  f.Start(refused);
  f.Start(refused);
  REQUIRE(DriveUntil(*f.loop, [&] { return !f.results.empty(); }));
  CHECK(f.results.size() == 1);
  CHECK(f.results[0].message.find("refused") != std::string::npos);
}

TEST_CASE("prober: a callback may stop its own probe") {
  Fixture f;
  int calls = 0;
  REQUIRE(f.prober
              ->StartProbe({"i", 1}, Http(testing::UnusedPort()),
                           [&](const ProbeKey& key, const ProbeResult&) {
                             ++calls;
                             f.prober->StopProbe(key);
                           })
              .ok());
  REQUIRE(DriveUntil(*f.loop, [&] { return calls == 1 && f.prober->size() == 0; }));
}

TEST_CASE("prober: a destroyed prober leaves the loop usable") {
  Fixture f;
  HttpServer server([](const HttpServer::Request&, const HttpServer::Write& write) {
    HttpServer::WaitForClose(write);
  });
  f.Start(Http(server.port()));
  REQUIRE(DriveUntil(*f.loop, [&] { return server.requests() == 1; }));
  f.prober.reset();
  bool ran = false;
  f.loop->Post([&] { ran = true; });
  CHECK(DriveUntil(*f.loop, [&] { return ran; }));
  CHECK(f.results.empty());
}

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

TEST_CASE("prober: 500 instances are checked without a failure, and cheaply") {
  Fixture f;
  HttpServer server([](const HttpServer::Request&, const HttpServer::Write& write) {
    write(HttpServer::Answer(200, "ok"));
  });
  std::map<std::string, int> passed;
  std::string failure;
  const double before = CpuSeconds();
  for (int i = 0; i < 500; ++i) {
    ProbeSpec spec = Http(server.port());
    spec.period = absl::Seconds(600);  // One check each is wanted.
    REQUIRE(f.prober
                ->StartProbe({"i-" + std::to_string(i), 1}, spec,
                             [&](const ProbeKey& key, const ProbeResult& result) {
                               if (!result.ok) failure = result.message;
                               ++passed[key.uid];
                             })
                .ok());
  }
  REQUIRE(DriveUntil(*f.loop, [&] { return passed.size() == 500; }));
  CHECK(failure == "");
  // Server and its 500 threads included; a check takes about 0.2 ms on the agent's side.
  CHECK(CpuSeconds() - before < 5);
}

}  // namespace
}  // namespace appsup::agent
