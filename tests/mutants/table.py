"""Lines of the cores that are broken one by one, and the test that must notice."""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Mutant:
    file: str
    old: str  # there exactly once in the file
    new: str
    why: str  # what the broken line does wrong
    program: str
    test: str  # the name of one TEST_CASE


def entry(name, why, old, new, test):
    return Mutant(f"entry/core/{name}", old, new, why, "test_unit_entry_core", test)


def agent(name, why, old, new, test):
    return Mutant(f"agent/core/{name}", old, new, why, "test_unit_agent_core", test)


MUTANTS = [
    # placement
    entry("placement.cc", "a draining node may be chosen",
          'if (node.desired() == api::NODE_DESIRED_DRAINED) return "is draining";', "",
          "drain: a drained node gets nothing until it is resumed"),
    entry("placement.cc", "spread packs and pack spreads",
          "pack ? share < best_share : fewer || (as_many && share > best_share)",
          "pack ? share > best_share : fewer || (as_many && share < best_share)",
          "placement: spread takes the node with the most room, pack the one with the least"),
    entry("placement.cc", "an answer is not counted before the next",
          "    Take(*best);\n", "",
          "placement: each answer is counted before the next"),
    entry("placement.cc", "the default memory reserve is forgotten",
          "if (totals.memory_bytes() == 0) totals.set_memory_bytes(default_memory_reserve);", "",
          "placement: memory counts 128 MiB when no reserve is set"),
    entry("placement.cc", "a slot with data may go elsewhere",
          "if (request.bound && !former) continue;", "",
          "placement: a slot with data goes nowhere else, but may go on where it is"),
    entry("placement.cc", "a slot does not stay where it was",
          "    if (former) return &candidate;\n", "",
          "placement: a slot stays where it was if it fits there"),
    # rollout, setup
    entry("rollout.cc", "recreate does not wait for the old to end",
          "if (IsOtherRevision(view_, record) && !HasEnded(record)) ended = false;", "(void)record;",
          "rollout: recreate stops everything old before anything new starts"),
    entry("rollout.cc", "the surge has no limit",
          "        --surge_left_;\n", "",
          "rollout: a rolling update keeps every slot served and runs at most one more"),
    entry("rollout.cc", "restart takes all slots at once",
          "if (serves && unavailable_ >= std::max(max_unavailable_, 1)) return;", "",
          "rollout: restart goes through the slots one by one"),
    entry("setup.cc", "two attempts of setup may run at once",
          "  if (one_runs) return false;\n", "  (void)one_runs;\n",
          "setup: at most one attempt runs; an update waits for the one before"),
    entry("setup.cc", "an unknown outcome counts as one that may be repeated",
          "state == api::SETUP_STATE_OUTCOME_UNKNOWN && view.target_spec().setup().retry_safe()",
          "state == api::SETUP_STATE_OUTCOME_UNKNOWN",
          "setup: an outcome that is not known is shown and waits for an operator"),
    # what is durable, and repeats
    entry("entry_core.cc", "after a failed commit open calls are left without an answer",
          "    ready.push_back(Ending(call, streams, Restarting(status)));\n", "    (void)streams;\n",
          "entry core: a failed commit answers every open call UNAVAILABLE"),
    entry("entry_core.cc", "results are not kept by request id",
          "    requests->Remember(call, **result, now);\n", "",
          "entry core: a repeated request_id gives the first result, also after a restart"),
    entry("request_log.cc", "a repeat shows the operation as it once was",
          "return MethodResult(std::make_shared<api::Operation>(now->operation()));", "(void)now;",
          "entry core: a repeated request_id shows the operation as it is now"),
    entry("request_log.cc", "request ids are never forgotten",
          "by_expiry_.begin()->first <= now.wall", "by_expiry_.begin()->first > absl::InfiniteFuture()",
          "entry core: request ids are forgotten after a day"),
    # sessions, leases, statuses
    entry("sessions.cc", "an ended lease leaves the stream open",
          'state_->Close(*session, "The lease ended because no heartbeat came; connect again.", false);',
          "(void)session;",
          "lease: an open stream without heartbeats loses it, and its stream"),
    entry("sessions.cc", "after a start nodes get one lease instead of two",
          "constexpr int kGraceLeases = 2;", "constexpr int kGraceLeases = 1;",
          "lease: after an entry's start nobody is lost for two leases"),
    entry("sessions.cc", "a stream outlives the certificate that opened it",
          "  state_->EndExpiredCertificates(now);\n", "",
          "session: a stream ends when the certificate that opened it expires, by the wall clock"),
    entry("app_validation.cc", "a name may drive the terminal on which it is shown",
          "  if (HasControl(text)) violations.Add(path, kNoControl);\n", "",
          "app validation: text that could drive a terminal is refused by its field"),
    entry("sessions.cc", "a peer that does not read keeps its stream",
          "    if (!greeting) session->Abandon();\n", "",
          "session: a peer that does not read loses its stream"),
    entry("assignment_set.cc", "increments do not lead on from one another",
          "message->set_base(version_);", "message->set_base(0);",
          "assignments: each message leads on from the one before, and stays small"),
    entry("assignment_set.cc", "a complete set has no end",
          "  message->set_end(true);\n", "",
          "assignments: after a gap everything is told in parts with begin and end"),
    entry("status_merge.cc", "an older status overwrites a newer one",
          "  return std::pair(status.attempt(), status.sequence()) >\n", "  return true ||\n      std::pair(status.attempt(), status.sequence()) >\n",
          "status: order is (attempt, sequence), never backwards"),
    entry("status_merge.cc", "what is starting counts as ready",
          "status.ready() && status.state() == api::INSTANCE_STATE_RUNNING", "status.ready()",
          "status: only a running instance is ready"),
    entry("reconcile_node.cc", "a drained node's operation never ends",
          "    if (remaining_ == 0) {", "    if (remaining_ < 0) {",
          "drain: instances move before they stop, then the operation ends"),
    entry("operation.cc", "an operation does not name its successor",
          "mutable_operation()->set_superseded_by(successor);", "mutable_operation();\n  (void)successor;",
          "app verbs: a later change supersedes an earlier one, which names it"),
    # the agent: link
    agent("link_session.cc", "a gap is applied",
          "!complete_ && !asked_complete_ && message.base() == version_;", "!complete_ && !asked_complete_;",
          "link: a gap is answered once with resync, and nothing of it is acted on"),
    agent("link_session.cc", "a part of a complete set is applied at once",
          "    if (!message.end()) return Verdict::kPending;\n", "",
          "link: nothing of a COMPLETE set is acted on before its end"),
    agent("link_session.cc", "assignments are answered before they are durable",
          "if (!ready && applied_ && applied_index_ <= durable_index) {", "if (!ready && applied_) {",
          "link: assignments are answered after they are durable"),
    agent("agent_core_link.cc", "a deposed leader is obeyed",
          "if (!newest || message.epoch() < it->epoch()) {", "if (!newest) {",
          "link: a lower epoch of a known timeline is refused, also after a crash"),
    agent("agent_core_link.cc", "a lower generation is taken",
          "if (assignment.generation() < old.generation()) return;", "",
          "link: a lower generation than held is ignored, the same one does nothing"),
    agent("report_book.cc", "acknowledged statuses are sent again",
          "if (all || !entry.acknowledged) unsent_.insert(uid);", "unsent_.insert(uid);",
          "link: unacknowledged statuses are sent again on the next session, others are not"),
    # the agent: restarts, ports, adoption
    agent("restart_policy.cc", "NEVER restarts",
          "if (policy == api::RESTART_POLICY_NEVER) return false;", "",
          "restart policy: who is started again"),
    agent("restart_policy.cc", "a crash loop is never seen",
          "recent >= rules.loop_count;", "recent > rules.loop_count;",
          "restart policy: five exits in five minutes are a loop with one try every five minutes"),
    agent("restart_policy.cc", "a stable run does not end the backoff",
          "if (WasStable(rules, uptime, *memory)) memory->failures = 0;", "",
          "restart policy: after a stable run the delay begins anew"),
    agent("claims.cc", "a fixed port has two holders",
          "const auto [it, fresh] = ports_.try_emplace(number, Holder{uid, holder_name});\n"
          "  if (fresh || it->second.uid == uid) return absl::OkStatus();",
          "const auto [it, fresh] = ports_.try_emplace(number, Holder{uid, holder_name});\n"
          "  if (fresh || !it->second.uid.empty()) return absl::OkStatus();",
          "claims: a fixed port has one holder, who is named to others"),
    agent("claims.cc", "a slot's number goes to others",
          "    if (!owners_.contains(number)) return number;\n", "    return number;\n",
          "claims: a slot keeps its number, which others do not get"),
    agent("adoption.cc", "an exit while the agent was away is taken as lost",
          "      finding.fate = Fate::kExited;\n", "",
          "adoption: an exit while the agent was away is reported with its code"),
    agent("adoption.cc", "what runs from an unconfirmed attempt is not adopted",
          "finding.fate = newer ? Fate::kNewer : Fate::kRunning;", "if (newer) finding.fate = Fate::kNewer;",
          "adoption: after a crash of the agent the same process is kept"),
    agent("instance.cc", "a changed restart nonce is ignored",
          "  return record_.open().spec_digest() != wanted_digest_ ||\n"
          "         record_.open().restart_nonce() != assignment().restart_nonce();",
          "  return record_.open().spec_digest() != wanted_digest_;",
          "instance: a changed restart nonce stops and starts it once"),
    agent("instance.cc", "a setup that was tried runs again",
          "if (assignment().setup()) return record_.attempt() == 0;", "if (assignment().setup()) return true;",
          "setup: an outcome that nobody saw is unknown, and it is not repeated"),
    agent("instance.cc", "REMOVE without purge_data takes the data",
          "if (assignment().purge_data() && !data.empty())", "if (!data.empty())",
          "instance: REMOVE stops, removes the folder, keeps the data, and is forgotten when told"),
    agent("instance_process.cc", "an exit that was asked for counts as a crash",
          "} else if (!asked && assignment().desired() == api::DESIRED_STATE_RUN) {",
          "} else if (assignment().desired() == api::DESIRED_STATE_RUN) {",
          "instance: RUN that overtakes a stop starts it again once it has ended"),
]
