"""Faults that are planted into copies of the cores, and the promises that each of them breaks.

A row replaces one text of one source, there exactly once, by a faulty one; weave.py builds both into
one program, which switches one of them on. Which seed finds it is in found.txt, written by `find`.
"""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Fault:
    name: str
    file: str
    why: str  # What is wrong: a sentence.
    promises: tuple  # Any of these is what it breaks; see docs/guarantees.md.
    old: str  # An expression, or whole statements: then it ends with ; or }.
    new: str
    before: str = ""  # What stands in front of `old`, where that alone is there more than once.
    after: str = ""


def entry(name, promises, file, why, old, new, **around):
    return Fault(name, f"entry/core/{file}", why, promises, old, new, **around)


def agent(name, promises, file, why, old, new, **around):
    return Fault(name, f"agent/core/{file}", why, promises, old, new, **around)


REMOVE_UNNAMED = """
  for (auto& [uid, instance] : instances) {
    const bool named = std::any_of(batch.assignments().begin(), batch.assignments().end(),
                                   [&](const auto& one) { return one.uid() == uid; });
    if (named) continue;
    api::Assignment removal = instance->record().assignment();
    removal.set_desired(api::DESIRED_STATE_REMOVE);
    With(*instance, [&](Instance& it, Turn& turn) { it.Assign(removal, turn); });
  }"""

PLANNED = [
    # What is durable before what is seen.
    entry("reply-before-commit", (1,), "entry_core_flush.cc",
          "Calls are answered before their changes are durable.",
          "for (Effect& effect : std::exchange(s.replies, {})) s.Show(index, std::move(effect), out);",
          "for (Effect& effect : std::exchange(s.replies, {})) out.push_back(std::move(effect));"),
    entry("watch-before-commit", (1,), "entry_core_flush.cc",
          "Watchers are shown changes that are not durable.",
          "for (FeedEffect& effect : feed) Show(effect.needed_index, std::move(effect.effect), out);",
          "for (FeedEffect& effect : feed) out.push_back(std::move(effect.effect));"),
    entry("told-before-commit", (1, 4, 6), "entry_core_flush.cc",
          "Agents are told, and their reports acknowledged, before the commit.",
          "for (Effect& effect : to_agents) s.Show(index, std::move(effect), out);",
          "for (Effect& effect : to_agents) out.push_back(std::move(effect));"),
    entry("commit-failure-as-success", (1,), "entry_core.cc",
          "A commit that failed counts as done.",
          "s.Fail(failure.status);", "(void)failure; s.Release(s.catalog.last_index());"),
    entry("request-id-not-durable", (1,), "entry_core.cc",
          "The request id and its result are no rows of the change's transaction.",
          "requests->Remember(call, **result, now);", "(void)now;"),
    # Who is lost, and who may run.
    entry("replaced-without-margin", (3,), "node_loss.cc",
          "A fenced slot is given away at the end of the lease, without drift and kill margin.",
          "lost_since + FenceMargin(ground_.options)", "lost_since"),
    entry("lost-node-granted-lease", (3,), "agent_session.cc",
          "A node that was decided LOST gets leases before it has applied its assignments.",
          "grant_due_ && !grants_held_", "grant_due_"),
    entry("no-grace-after-start", (3,), "sessions.cc",
          "After a start of the entry nodes are lost at once.",
          "now.boot + kGraceLeases * options.lease", "now.boot"),
    entry("unconfirmed-fence-as-proof", (3,), "disconnect.cc",
          "A fence that the keeper never confirmed counts as proof that the copy ended.",
          "return record.applied_generation() > record.unfenced_generation() && record.instance().fenced();",
          "return true;"),
    entry("unfenced-copy-taken-for-ended", (2, 3, 7), "disconnect.cc",
          "A copy on a lost node counts as ended although no fence ends it.",
          "if (!record.fenced()) return false;", "if (!record.fenced()) return true;"),
    entry("fenced-app-surges", (3,), "rollout.cc",
          "An update of a fenced app starts the new copy beside the old one.",
          "if (view.recreate || view.fenced) max_surge_ = 0;", "if (view.recreate) max_surge_ = 0;"),
    entry("slot-not-awaited", (2, 3), "rollout.cc",
          "A slot is filled while the one that is leaving it still runs.",
          "if (!wait) CreateTarget(index);", "CreateTarget(index);"),
    entry("drained-node-gets-instances", (4,), "placement.cc",
          "A node that is to be emptied gets new instances.",
          'if (node.desired() == api::NODE_DESIRED_DRAINED) return "is draining";',
          "(void)node;"),
    agent("lease-counts-from-answer", (3,), "link_session.cc",
          "A lease runs from when its grant came, not from when the heartbeat was sent.",
          "sent->second + lease_", "now.boot + lease_"),
    agent("fenced-start-without-lease", (3,), "instance_prepare.cc",
          "A fenced instance is started without a lease.",
          "assignment().fenced() ? MayStartFenced(turn.node, spec(), turn.now) : absl::OkStatus()",
          "absl::OkStatus()"),
    # The link.
    agent("epoch-ignored", (5,), "agent_core_guard.cc",
          "An entry of an epoch that is over is obeyed.",
          "!newest || message.epoch() < it->epoch()", "false"),
    agent("half-snapshot-acted-on", (10, 11), "agent_core_link.cc",
          "The first part of a COMPLETE set is taken for all of it, and the rest removed.",
          "if (verdict == LinkSession::Verdict::kPending) return;",
          "if (verdict == LinkSession::Verdict::kPending) {\n"
          "  if (!message.begin()) return;\n  batch = message;" + REMOVE_UNNAMED + "\n  return;\n}"),
    agent("absence-removes", (10, 11), "agent_core_link.cc",
          "What the first message of a session does not name is removed.",
          "for (const api::Assignment& assignment : batch.assignments()) {\n"
          "    OnAssignment(assignment, &*applied);\n  }",
          "for (const api::Assignment& assignment : batch.assignments()) {\n"
          "    OnAssignment(assignment, &*applied);\n  }\n  if (message.base() == 0) {" +
          REMOVE_UNNAMED + "\n  }"),
    agent("gap-ignored", (4,), "link_session.cc",
          "A message that does not lead on from the last one is taken.",
          "!complete_ && !asked_complete_ && message.base() == version_",
          "!complete_ && !asked_complete_"),
    entry("differences-ignore-content", (4,), "session_hello.cc",
          "What changed while a node was away is not sent if the node has some form of it.",
          "has.generation() == record->generation() && has.digest() == record->digest()",
          "has.generation() > 0"),
    entry("removal-of-unknown-forgotten", (4,), "session_hello.cc",
          "What a node holds and the catalog does not know is left running.",
          "session.assignments().AddRemoval(BuildRemoval(*instance));", "(void)instance;"),
    entry("foreign-status-taken", (12,), "sessions_received.cc",
          "A node may report on instances of another node.",
          "record->instance().node() != session.connected().node", "false"),
    entry("two-writes-under-way", (9,), "agent_session.cc",
          "Messages go to a peer that has not read the last one: its queue has no bound.",
          "if (under_way_ || said_goodbye_ || abandoned_) return nullptr;",
          "if (said_goodbye_ || abandoned_) return nullptr;"),
    # Reports.
    agent("sequence-restarts", (4, 6), "agent_core.cc",
          "An agent that was started again counts its reports from the beginning.",
          "record.start_count()", "int64_t{1}", before="reports(", after=")"),
    agent("unacknowledged-report-forgotten", (4, 6), "report_book.cc",
          "What was sent and not acknowledged is not sent again in the next session.",
          "if (all || !entry.acknowledged) unsent_.insert(uid);", "if (all) unsent_.insert(uid);"),
    agent("older-ack-counts", (4, 6), "report_book.cc",
          "The acknowledgement of an older report counts for the newest.",
          "status.attempt() != ack.attempt() || status.sequence() != ack.sequence()", "false"),
    agent("exit-code-untold", (6, 7), "sentence.cc",
          "The code that a process ended with is not told.",
          "proto.set_code(exit.code);", "proto.set_code(0);"),
    agent("exit-forgotten-before-journal", (6,), "agent_core_flush.cc",
          "The keeper may forget an exit before the journal has it.",
          "std::holds_alternative<AckExit>(effect)", "false"),
    agent("removal-forgotten-unacknowledged", (6,), "agent_core.cc",
          "What was removed is forgotten before the entry has acknowledged that it was.",
          "WithToken(event.token, [&](Instance& it, Turn& turn) { it.OnFoldersRemoved(event, turn); });",
          "const auto known = tokens.find(event.token);\n"
          "  const std::string uid = known == tokens.end() ? \"\" : known->second;\n"
          "  WithToken(event.token, [&](Instance& it, Turn& turn) { it.OnFoldersRemoved(event, turn); });\n"
          "  Instance* left = Find(uid);\n"
          "  if (left != nullptr && left->state() == api::INSTANCE_STATE_REMOVED) Erase(uid);"),
    # Setup.
    entry("unknown-setup-repeated", (7,), "setup.cc",
          "A setup whose outcome is unknown is repeated although that is not said to be safe.",
          "(state == api::SETUP_STATE_OUTCOME_UNKNOWN && view.target_spec().setup().retry_safe())",
          "state == api::SETUP_STATE_OUTCOME_UNKNOWN"),
    entry("unknown-setup-as-success", (7,), "setup.cc",
          "A setup that ended while nobody watched counts as a success.",
          "Settle(setup, api::SETUP_STATE_OUTCOME_UNKNOWN,\n"
          "         who + \" ended while nobody watched: nobody knows how.\", now);",
          "Settle(setup, api::SETUP_STATE_SUCCEEDED, who, now);"),
    entry("two-setups-at-once", (7,), "setup.cc",
          "An update's setup begins while that of the update before runs.",
          "if (one_runs) return false;",
          "if (one_runs && TargetSetup(view).state() != api::SETUP_STATE_UNSPECIFIED) return false;"),
    agent("lost-setup-started-again", (7,), "instance_process.cc",
          "An agent starts a setup again that ended while nobody watched.",
          "if (assignment().setup()) {\n    return SetupUnknown(absl::StrCat(\"it \", why), turn);\n  }",
          "(void)why;"),
    # Watchers, catalogs.
    entry("watch-resumes-late", (8,), "change_feed.cc",
          "A watcher that comes back misses one change.",
          "watcher.position = after.value_or(-1);",
          "watcher.position = after.has_value() ? *after + 1 : -1;"),
    entry("trimmed-changes-passed-over", (8,), "change_feed.cc",
          "A watcher that is too far behind goes on without being told OUT_OF_RANGE.",
          "watcher.failure = absl::IsOutOfRange(event.changes.status())\n"
          "                          ? TooOld(catalog_, watcher.position)\n"
          "                          : Annotate(event.changes.status(), "
          "\"The change log cannot be read\");",
          "watcher.position = ring_after_;"),
    entry("foreign-catalog-trusted", (10,), "node_guard.cc",
          "A node that follows another catalog is not guarded.",
          "if (!hello.guarded() && (follows || hello.instances().empty())) return decision;",
          "(void)follows; if (!hello.guarded()) return decision;"),
    entry("guard-lapses-past-index", (10,), "node_guard.cc",
          "The guard ends when the restored catalog has grown past the node's index.",
          "return end > 0 && position.log_index() < end;",
          "(void)end; return position.log_index() <= catalog.last_index();"),
    agent("strangers-killed", (10, 11), "agent_core_guard.cc",
          "An agent with a lost journal kills what it does not know.",
          "if (!first || had_position || strangers.running.empty()) return;",
          "for (const auto& [uid, processes] : strangers.running) {\n"
          "    for (const RunningProcess& process : processes) Add(KillProcess{process.id});\n  }\n"
          "  if (!first || had_position || strangers.running.empty()) return;"),
    agent("remove-purges-data", (10,), "instance.cc",
          "REMOVE takes the data with it.",
          "assignment().purge_data() && !data.empty()", "!data.empty()"),
    # Processes.
    agent("outage-stops-apps", (11,), "agent_core.cc",
          "An agent stops what runs when the entry is silent.",
          'if (session.Silent(now)) CloseSession("the entry has not answered for a whole lease");',
          'if (session.Silent(now)) {\n    CloseSession("the entry has not answered for a whole lease");\n'
          "    for (auto& [uid, instance] : instances) {\n"
          "      api::Assignment stop = instance->record().assignment();\n"
          "      stop.set_desired(api::DESIRED_STATE_STOP);\n"
          "      With(*instance, [&](Instance& it, Turn& turn) { it.Assign(stop, turn); });\n"
          "    }\n  }"),
    agent("adoption-restarts", (11,), "instance.cc",
          "An agent that was started again restarts what it finds running.",
          "Running(finding.process.started, turn);",
          "Running(finding.process.started, turn); Stop(turn);",
          before="if (phase_ == Phase::kUnadopted || phase_ == Phase::kSpawning) {\n        "),
    agent("restarted-once-restarted-ever", (11,), "instance.cc",
          "What was restarted once is restarted again whenever its agent is started.",
          "AlignFence(finding.process.fenced, turn);",
          "AlignFence(finding.process.fenced, turn);\n"
          "if (phase_ == Phase::kRunning && record_.open().restart_nonce() > 0) Stop(turn);",
          before="Stop(turn);\n      }\n      "),
    agent("restart-nonce-lost", (4, 11), "instance_prepare.cc",
          "Which restart an attempt answers to is not written down.",
          "open->set_restart_nonce(assignment().restart_nonce());", "open->clear_restart_nonce();"),
    agent("port-given-twice", (2,), "claims.cc",
          "A port is given without looking at who has it.",
          "if (ports_.contains(number) || avoid.contains(number)) continue;",
          "(void)number; return static_cast<int32_t>(first_ + static_cast<int32_t>(avoid.size()));"),
    agent("spawn-not-idempotent", (2, 4, 11), "adoption.cc",
          "What runs of a start that was not answered before the agent died is killed, and started again.",
          "record.has_open() && process.id.attempt == record.attempt()",
          "record.has_open() && record.open().started() && process.id.attempt == record.attempt()",
          before="const bool newer = process.id.attempt > record.attempt();\n    const bool open = "),
    entry("bad-replicas-taken", (12,), "app_validation.cc",
          "A negative number of replicas is accepted.",
          "replicas < 0 || replicas > kMaxReplicas", "replicas > kMaxReplicas"),
]

# Planned, and not found yet: whoever strengthens the simulator takes them out of here.
NOT_FOUND = set()

FAULTS = [fault for fault in PLANNED if fault.name not in NOT_FOUND]
