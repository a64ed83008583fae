#pragma once

#include <string>
#include <vector>

namespace appsup::bench {

// One measurement beside its bare reference: a value of each per round, measured next to each
// other.
struct Comparison {
  std::string name;  // "link/round-trips": tests/bench/run knows its aim.
  std::string unit;
  std::vector<double> ours;
  std::vector<double> bare;
};

// One line of JSON on standard output, which tests/bench/run reads.
void Print(const Comparison& comparison);

double Median(std::vector<double> values);

// Seconds on the steady clock.
double Now();

}  // namespace appsup::bench
