#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace prometheus {
class Registry;
}

namespace appsup {

// The numbers of one process. A getter called twice with the same name and labels gives the same
// metric, so that callers need not coordinate; keep the reference, it lives as long as this.
// Names: appsup_<area>_<what>_<unit>, counters end in _total. Thread-safe.
class Metrics {
 public:
  using Labels = std::map<std::string, std::string>;

  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // A name belongs to one kind; a second kind under it aborts (it is a mistake in the source).
  prometheus::Counter& Counter(const std::string& name, const std::string& help,
                               const Labels& labels = {});
  prometheus::Gauge& Gauge(const std::string& name, const std::string& help,
                           const Labels& labels = {});
  // `buckets`: upper bounds, rising. Seconds for times.
  prometheus::Histogram& Histogram(const std::string& name, const std::string& help,
                                   const std::vector<double>& buckets, const Labels& labels = {});

  // Forgets a gauge, for things that come and go. The reference to it is dead afterwards.
  void RemoveGauge(const std::string& name, const Labels& labels);

  // The Prometheus text format, version 0.0.4.
  std::string RenderText() const;

 private:
  std::shared_ptr<prometheus::Registry> registry_;
};

}  // namespace appsup
