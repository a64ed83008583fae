#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "entry/core/agent_session.h"
#include "entry/core/lease.h"
#include "entry/core/sessions.h"

namespace appsup::entry {

// The inside of Sessions, shared by sessions.cc (streams, leases) and sessions_received.cc (what
// agents say).
struct Sessions::State {
  const CoreOptions& options;
  Catalog& catalog;
  Dirty& dirty;
  const int64_t epoch;
  const std::string timeline;

  std::map<SessionId, std::unique_ptr<AgentSession>> sessions;
  std::map<std::string, SessionId> session_of_node;  // Open ones.
  std::set<SessionId> talkative;                     // Those that may have something to say.
  std::map<std::string, api::ResourceTotals> usage;  // By node.
  LeaseTable<std::string> leases;
  std::map<std::string, absl::Duration> lost;  // Since when, on the boot clock.
  LeaseTable<SessionId> patience;              // Until Hello is complete, or a message is written.
  LeaseTable<SessionId> silences;              // Streams of lost nodes, which have no lease.
  LeaseTable<SessionId> certificates;          // When to look again whether one has expired.
  int64_t last_command = 0;
  Counters counters;
  std::vector<Note> notes = {};

  // nullptr if there is none.
  AgentSession* Find(SessionId id);
  AgentSession* OpenSession(const std::string& node);
  void Touch(const AgentSession& session) { talkative.insert(session.id()); }

  void Close(AgentSession& session, const std::string& reason, bool final,
             absl::Duration retry_after = absl::ZeroDuration());
  // Its node has no session any more: commands fail, placement looks elsewhere.
  void Leave(AgentSession& session, const std::string& why);
  void EndExpiredCertificates(const Moment& now);
  void ExtendLease(const std::string& node, const Moment& now);

  void TakeHello(AgentSession& session, const api::Hello& part, const Moment& now);
  void AcceptHello(AgentSession& session, const Moment& now);
  void TakeApplied(AgentSession& session, const api::AssignmentsApplied& applied,
                   const Moment& now);
  void TakeHeartbeat(AgentSession& session, const api::Heartbeat& heartbeat, const Moment& now);
  void TakeStatuses(AgentSession& session, const api::Status& statuses, const Moment& now);
  void TakeStatus(const AgentSession& session, const api::InstanceStatus& status,
                  const Moment& now);
};

}  // namespace appsup::entry
