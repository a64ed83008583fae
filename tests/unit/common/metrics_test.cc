#include "common/metrics.h"

#include <catch2/catch.hpp>
#include <string>

namespace appsup {
namespace {

bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("metrics: the same name and labels give the same metric") {
  Metrics metrics;
  metrics.Counter("appsup_test_total", "Tests.", {{"kind", "a"}}).Increment();
  metrics.Counter("appsup_test_total", "Tests.", {{"kind", "a"}}).Increment(2);
  metrics.Counter("appsup_test_total", "Tests.", {{"kind", "b"}}).Increment();
  std::string text = metrics.RenderText();
  CHECK(Contains(text, "# HELP appsup_test_total Tests.\n# TYPE appsup_test_total counter\n"));
  CHECK(Contains(text, "appsup_test_total{kind=\"a\"} 3\n"));
  CHECK(Contains(text, "appsup_test_total{kind=\"b\"} 1\n"));
}

TEST_CASE("metrics: gauges go up and down and can be forgotten") {
  Metrics metrics;
  metrics.Gauge("appsup_nodes", "Nodes.").Set(7);
  metrics.Gauge("appsup_app_up", "Is it up?", {{"app", "web"}}).Set(1);
  CHECK(Contains(metrics.RenderText(), "appsup_nodes 7\n"));
  metrics.RemoveGauge("appsup_app_up", {{"app", "web"}});
  CHECK_FALSE(Contains(metrics.RenderText(), "web"));
  metrics.RemoveGauge("appsup_app_up", {{"app", "never"}});
  CHECK_FALSE(Contains(metrics.RenderText(), "never"));
}

TEST_CASE("metrics: histograms count into their buckets") {
  Metrics metrics;
  auto& histogram = metrics.Histogram("appsup_commit_seconds", "Commits.", {0.1, 1});
  histogram.Observe(0.05);
  histogram.Observe(0.5);
  std::string text = metrics.RenderText();
  CHECK(Contains(text, "appsup_commit_seconds_bucket{le=\"0.1\"} 1\n"));
  CHECK(Contains(text, "appsup_commit_seconds_bucket{le=\"1\"} 2\n"));
  CHECK(Contains(text, "appsup_commit_seconds_count 2\n"));
}

}  // namespace appsup
