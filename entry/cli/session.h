#pragma once

#include <istream>
#include <memory>
#include <ostream>
#include <string>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/random.h"
#include "entry/cli/client.h"
#include "entry/cli/settings.h"
#include "entry/cli/text_table.h"
#include "google/protobuf/message.h"

namespace appsup::cli {

// What a command works with. One thread.
class Session {
 public:
  Session(Settings session_settings, Surroundings session_surroundings, std::istream& in_stream,
          std::ostream& out_stream, std::ostream& err_stream, Clock& session_clock,
          Random& session_random)
      : settings(std::move(session_settings)),
        surroundings(std::move(session_surroundings)),
        in(in_stream),
        out(out_stream),
        err(err_stream),
        clock(session_clock),
        random(session_random) {}

  // Opened by the first call of it.
  absl::StatusOr<Client*> client();

  bool color() const;
  absl::Time Now() { return clock.Now().wall; }
  std::string NewRequestId();

  // Holds the thread up between attempts to reach an entry that is away.
  void PauseBeforeRetry(uint32_t attempt, absl::Duration at_most = absl::InfiniteDuration());

  // A sentence for people, on standard output; nothing with --quiet.
  void Say(const std::string& sentence);

  const Settings settings;
  const Surroundings surroundings;
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  Clock& clock;
  Random& random;

 private:
  std::unique_ptr<Client> client_;
};

// The message as JSON with the API's field names; ends in a newline.
std::string ToJson(const google::protobuf::Message& message);

// In the form of -o json or yaml, else nothing: false.
bool PrintMessage(Session& session, const google::protobuf::Message& message);

}  // namespace appsup::cli
