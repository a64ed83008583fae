// Changes messages by their descriptors. Only in libFuzzer programs: it draws on libFuzzer's
// mutator.
#ifdef APPSUP_FUZZ
#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <random>

#include "tests/fuzz/steps.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace appsup::fuzz {
namespace {

using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr size_t kMaxText = 256;

class Mutator {
 public:
  explicit Mutator(unsigned seed) : random_(seed) {}

  size_t Below(size_t bound) { return bound == 0 ? 0 : random_() % bound; }

  std::string Bytes(std::string text) {
    const size_t size = std::min(text.size(), kMaxText);
    text.resize(std::max<size_t>(size + 16, 32));
    text.resize(LLVMFuzzerMutate(reinterpret_cast<uint8_t*>(text.data()), size, text.size()));
    return text;
  }

  // Remembers texts, because what names the same thing in two places has to be the same text.
  void Learn(const Message& message) {
    std::vector<const FieldDescriptor*> fields;
    message.GetReflection()->ListFields(message, &fields);
    for (const FieldDescriptor* field : fields) {
      const int count =
          field->is_repeated() ? message.GetReflection()->FieldSize(message, field) : 1;
      for (int at = 0; at < count; ++at) LearnValue(message, field, at);
    }
  }

  void Mutate(Message& message) {
    std::vector<Message*> all;
    Collect(message, all);
    Message& chosen = *all[Below(all.size())];
    const auto* type = chosen.GetDescriptor();
    if (type->field_count() == 0) return;
    std::vector<const FieldDescriptor*> set;
    chosen.GetReflection()->ListFields(chosen, &set);
    const bool known = !set.empty() && Below(3) != 0;
    const FieldDescriptor* field =
        known ? set[Below(set.size())]
              : type->field(static_cast<int>(Below(static_cast<size_t>(type->field_count()))));
    if (known && Below(6) == 0) return chosen.GetReflection()->ClearField(&chosen, field);
    field->is_repeated() ? MutateList(chosen, field) : MutateOne(chosen, field);
  }

 private:
  static void Collect(Message& message, std::vector<Message*>& all) {
    all.push_back(&message);
    const Reflection& reflection = *message.GetReflection();
    std::vector<const FieldDescriptor*> fields;
    reflection.ListFields(message, &fields);
    for (const FieldDescriptor* field : fields) {
      if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
      if (!field->is_repeated()) {
        Collect(*reflection.MutableMessage(&message, field), all);
        continue;
      }
      for (int at = 0; at < reflection.FieldSize(message, field); ++at) {
        Collect(*reflection.MutableRepeatedMessage(&message, field, at), all);
      }
    }
  }

  void LearnValue(const Message& message, const FieldDescriptor* field, int at) {
    const Reflection& reflection = *message.GetReflection();
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      Learn(field->is_repeated() ? reflection.GetRepeatedMessage(message, field, at)
                                 : reflection.GetMessage(message, field));
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
      texts_.push_back(field->is_repeated() ? reflection.GetRepeatedString(message, field, at)
                                            : reflection.GetString(message, field));
    }
  }

  // Text that is not UTF-8 would be no message, so it is kept ASCII; seeds bring other letters.
  std::string Text(const std::string& old) {
    if (!texts_.empty() && Below(2) == 0) return texts_[Below(texts_.size())];
    std::string text = Bytes(old);
    for (char& c : text) c = static_cast<char>(c & 0x7f);
    return text;
  }

  int64_t Integer(int64_t old) {
    switch (Below(6)) {
      case 0:
        return static_cast<int64_t>(Below(16));
      case 1:
        return old == std::numeric_limits<int64_t>::max() ? old : old + 1;
      case 2:
        return old == std::numeric_limits<int64_t>::min() ? old : old - 1;
      case 3:
        return std::numeric_limits<int64_t>::max() >> Below(64);
      case 4:
        return std::numeric_limits<int64_t>::min() >> Below(64);
      default:
        return static_cast<int64_t>(random_()) * 1'000'003;
    }
  }

  int Word(const EnumDescriptor* type) {
    const size_t at = Below(static_cast<size_t>(type->value_count()) + 1);
    if (at == static_cast<size_t>(type->value_count())) return static_cast<int>(Below(1000));
    return type->value(static_cast<int>(at))->number();
  }

  void MutateOne(Message& message, const FieldDescriptor* field) {
    const Reflection& r = *message.GetReflection();
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        return r.SetInt32(&message, field,
                          static_cast<int32_t>(Integer(r.GetInt32(message, field))));
      case FieldDescriptor::CPPTYPE_INT64:
        return r.SetInt64(&message, field, Integer(r.GetInt64(message, field)));
      case FieldDescriptor::CPPTYPE_UINT32:
        return r.SetUInt32(&message, field, static_cast<uint32_t>(Integer(0)));
      case FieldDescriptor::CPPTYPE_UINT64:
        return r.SetUInt64(&message, field, static_cast<uint64_t>(Integer(0)));
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return r.SetDouble(&message, field, static_cast<double>(Integer(0)) / 8);
      case FieldDescriptor::CPPTYPE_FLOAT:
        return r.SetFloat(&message, field, static_cast<float>(Integer(0)) / 8);
      case FieldDescriptor::CPPTYPE_BOOL:
        return r.SetBool(&message, field, !r.GetBool(message, field));
      case FieldDescriptor::CPPTYPE_ENUM:
        return r.SetEnumValue(&message, field, Word(field->enum_type()));
      case FieldDescriptor::CPPTYPE_STRING:
        return r.SetString(&message, field, Text(r.GetString(message, field)));
      case FieldDescriptor::CPPTYPE_MESSAGE:
        r.MutableMessage(&message, field);
        return;
    }
  }

  // Adds, repeats, swaps or drops an element, or changes one.
  void MutateList(Message& message, const FieldDescriptor* field) {
    const Reflection& r = *message.GetReflection();
    const int size = r.FieldSize(message, field);
    if (size == 0 || (size < 100 && Below(3) == 0)) return Add(message, field);
    if (Below(3) == 0) {
      r.SwapElements(&message, field, static_cast<int>(Below(static_cast<size_t>(size))), size - 1);
      return r.RemoveLast(&message, field);
    }
    const int at = static_cast<int>(Below(static_cast<size_t>(size)));
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
      r.SetRepeatedString(&message, field, at, Text(r.GetRepeatedString(message, field, at)));
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      Mutate(*r.MutableRepeatedMessage(&message, field, at));
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_INT64) {
      r.SetRepeatedInt64(&message, field, at, Integer(r.GetRepeatedInt64(message, field, at)));
    }
  }

  void Add(Message& message, const FieldDescriptor* field) {
    const Reflection& r = *message.GetReflection();
    const int size = r.FieldSize(message, field);
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_STRING:
        return r.AddString(&message, field, Text(""));
      case FieldDescriptor::CPPTYPE_INT64:
        return r.AddInt64(&message, field, Integer(0));
      case FieldDescriptor::CPPTYPE_INT32:
        return r.AddInt32(&message, field, static_cast<int32_t>(Integer(0)));
      case FieldDescriptor::CPPTYPE_MESSAGE: {
        Message* added = r.AddMessage(&message, field);
        if (size > 0 && Below(2) == 0) {
          added->CopyFrom(r.GetRepeatedMessage(message, field,
                                               static_cast<int>(Below(static_cast<size_t>(size)))));
        }
        return;
      }
      default:
        return;
    }
  }

  std::minstd_rand random_;
  std::vector<std::string> texts_;
};

std::unique_ptr<Message> MessageOf(const Step& step, TypeOfKind types) {
  const Message* type = types(step.kind);
  if (type == nullptr) return nullptr;
  std::unique_ptr<Message> message(type->New());
  message->ParsePartialFromString(step.body);
  return message;
}

void MutateOrder(std::vector<Step>& steps, Mutator& mutator) {
  const size_t at = mutator.Below(steps.size());
  const size_t other = mutator.Below(steps.size());
  switch (mutator.Below(4)) {
    case 0:
      steps.erase(steps.begin() + static_cast<std::ptrdiff_t>(at));
      return;
    case 1: {
      const Step copy = steps[at];
      steps.insert(steps.begin() + static_cast<std::ptrdiff_t>(other), copy);
      return;
    }
    case 2:
      std::swap(steps[at], steps[other]);
      return;
    default:
      steps[at].kind = static_cast<uint8_t>(mutator.Below(10));
      return;
  }
}

}  // namespace

size_t MutateSteps(uint8_t* data, size_t size, size_t max_size, unsigned seed, TypeOfKind types) {
  Mutator mutator(seed);
  std::vector<Step> steps = ReadSteps(data, size);
  if (steps.empty()) steps.push_back({static_cast<uint8_t>(mutator.Below(10)), ""});
  const size_t how = mutator.Below(12);
  if (how == 0) return LLVMFuzzerMutate(data, size, max_size);
  if (how <= 2) {
    MutateOrder(steps, mutator);
  } else {
    for (const Step& step : steps) {
      if (auto message = MessageOf(step, types)) mutator.Learn(*message);
    }
    Step& step = steps[mutator.Below(steps.size())];
    if (auto message = MessageOf(step, types)) {
      for (size_t times = mutator.Below(3) + 1; times > 0; --times) mutator.Mutate(*message);
      step.body = message->SerializePartialAsString();
    } else {
      step.body = mutator.Bytes(step.body);
    }
  }
  const std::string bytes = WriteSteps(steps);
  if (bytes.size() > max_size || bytes.empty()) return LLVMFuzzerMutate(data, size, max_size);
  std::memcpy(data, bytes.data(), bytes.size());
  return bytes.size();
}

}  // namespace appsup::fuzz
#endif
