#include "common/metrics.h"

#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <exception>

#include "common/check.h"

namespace appsup {

namespace {

// The library throws on a malformed name and on a name taken by another kind.
template <class Register>
auto& OrAbort(const std::string& name, Register register_metric) {
  try {
    return register_metric();
  } catch (const std::exception& error) {
    internal::CheckFailed(name.c_str(), __FILE__, __LINE__, error.what());
  }
}

}  // namespace

// Merge: a family asked for again is the same one, which makes each getter idempotent.
Metrics::Metrics()
    : registry_(
          std::make_shared<prometheus::Registry>(prometheus::Registry::InsertBehavior::Merge)) {}

Metrics::~Metrics() = default;

prometheus::Counter& Metrics::Counter(const std::string& name, const std::string& help,
                                      const Labels& labels) {
  return OrAbort(
      name, [&]() -> auto& {
        return prometheus::BuildCounter().Name(name).Help(help).Register(*registry_).Add(labels);
      });
}

prometheus::Gauge& Metrics::Gauge(const std::string& name, const std::string& help,
                                  const Labels& labels) {
  return OrAbort(
      name, [&]() -> auto& {
        return prometheus::BuildGauge().Name(name).Help(help).Register(*registry_).Add(labels);
      });
}

prometheus::Histogram& Metrics::Histogram(const std::string& name, const std::string& help,
                                          const std::vector<double>& buckets,
                                          const Labels& labels) {
  return OrAbort(
      name, [&]() -> auto& {
        auto& family = prometheus::BuildHistogram().Name(name).Help(help).Register(*registry_);
        return family.Add(labels, buckets);
      });
}

void Metrics::RemoveGauge(const std::string& name, const Labels& labels) {
  auto& family = prometheus::BuildGauge().Name(name).Register(*registry_);
  family.Remove(&family.Add(labels));
}

std::string Metrics::RenderText() const {
  return prometheus::TextSerializer().Serialize(registry_->Collect());
}

}  // namespace appsup
