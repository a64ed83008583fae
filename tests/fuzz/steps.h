#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "google/protobuf/message.h"

// How most fuzzers read their input: as steps, so that one input can hold several messages and what
// happens between them. make_seeds.py writes the same form.
namespace appsup::fuzz {

// A byte, the length of the body (two bytes, little-endian), the body. Whatever the bytes are, they
// are steps: a length that is too large means the rest.
struct Step {
  uint8_t kind = 0;
  std::string body;
};

inline constexpr size_t kMaxSteps = 48;
inline constexpr size_t kMaxBody = 65'535;

std::vector<Step> ReadSteps(const uint8_t* data, size_t size);
std::string WriteSteps(const std::vector<Step>& steps);

// The body as a message. Nothing if it is none: gRPC and the keeper's door refuse such bytes before
// anyone sees them.
template <class Message>
std::optional<Message> Parse(const Step& step) {
  Message message;
  if (!message.ParseFromString(step.body)) return std::nullopt;
  return message;
}

// A small number that the body says; 0 if it is empty.
inline uint8_t Number(const Step& step) {
  return step.body.empty() ? uint8_t{0} : static_cast<uint8_t>(step.body[0]);
}

// The step's body is a message of this type; nullptr: plain bytes.
using TypeOfKind = const google::protobuf::Message* (*)(uint8_t kind);

// For LLVMFuzzerCustomMutator: changes one thing in a step's message by its descriptor, or the
// order of steps, or bytes as libFuzzer would. Half of all bytes that libFuzzer makes are no
// message at all.
size_t MutateSteps(uint8_t* data, size_t size, size_t max_size, unsigned seed, TypeOfKind types);

// Ends the process with `what`, as a crash of this input, unless `holds`.
void Expect(bool holds, const char* what);
void Expect(const absl::Status& status, const char* what);

// Warnings about bad input are what a fuzzer makes by the million.
void SilenceLog();

}  // namespace appsup::fuzz

// In the fuzzer of a format that is made of messages.
#ifdef APPSUP_FUZZ
#define APPSUP_MUTATE_STEPS(types)                                                       \
  extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, \
                                            unsigned seed) {                             \
    return appsup::fuzz::MutateSteps(data, size, max_size, seed, types);                 \
  }
#else
#define APPSUP_MUTATE_STEPS(types) \
  [[maybe_unused]] static const appsup::fuzz::TypeOfKind kMessageTypes = &(types);
#endif
