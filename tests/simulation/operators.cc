#include "tests/simulation/operators.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "appsupervisor/v1/environment_service.pb.h"
#include "appsupervisor/v1/link.pb.h"
#include "appsupervisor/v1/node_service.pb.h"
#include "appsupervisor/v1/operation_service.pb.h"
#include "common/id.h"
#include "tests/simulation/app_maker.h"

namespace appsup::simulation {
namespace {

constexpr absl::Duration kCallTimeout = absl::Seconds(1);  // Then a caller takes it for lost.

absl::Duration NetworkDelay(Random& random) {
  return Between(random, absl::Microseconds(200), absl::Milliseconds(3));
}

bool HasRequestId(const google::protobuf::Message& request) {
  const auto* field = request.GetDescriptor()->FindFieldByName("request_id");
  return field != nullptr && !request.GetReflection()->GetString(request, field).empty();
}

}  // namespace

struct Operators::Attempts {
  std::string method;
  entry::MessagePtr request;
  Done done;
  int left = 0;
  bool over = false;
};

Operators::Operators(World& world, const Disk& disk, Observer& observer, Reach reach)
    : world_(world),
      disk_(disk),
      observer_(observer),
      reach_(std::move(reach)),
      random_(world.Stream("operators")) {}

std::string Operators::AppName(int number) {
  return absl::StrCat("projects/default/apps/a", number + 1);
}

void Operators::Ask(const std::string& method, entry::MessagePtr request, Done done, int tries) {
  auto attempts = std::make_shared<Attempts>();
  attempts->method = method;
  attempts->request = std::move(request);
  attempts->done = std::move(done);
  attempts->left = tries;
  ++open_calls_;
  Try(attempts);
  if (HasRequestId(*attempts->request) && Chance(random_, losses_)) {
    ++attempts->left;
    Try(attempts);  // Somebody is impatient.
  }
}

void Operators::Try(const std::shared_ptr<Attempts>& attempts) {
  if (attempts->over) return;
  --attempts->left;
  const absl::StatusOr<entry::MessagePtr> lost = absl::UnavailableError("no answer");
  if (Chance(random_, losses_)) {
    world_.After(kCallTimeout, [this, attempts, lost] { Answered(attempts, lost); });
    return;
  }
  const bool reply_lost = Chance(random_, losses_);
  world_.After(NetworkDelay(random_), [this, attempts, reply_lost, lost] {
    ClientCall call{NextCall(), attempts->method, attempts->request};
    world_.Note("client", "call", attempts->method, [&] {
      return absl::StrCat(attempts->method, " ",
                          attempts->request->ShortDebugString().substr(0, 300));
    });
    reach_().Call(
        call, [this, attempts, reply_lost, lost](absl::StatusOr<entry::MessagePtr> reply) {
          const absl::Duration delay = reply_lost ? kCallTimeout : NetworkDelay(random_);
          world_.After(delay, [this, attempts, reply = reply_lost ? lost : std::move(reply)] {
            Answered(attempts, reply);
          });
        });
  });
}

void Operators::Answered(const std::shared_ptr<Attempts>& attempts,
                         const absl::StatusOr<entry::MessagePtr>& reply) {
  if (attempts->over) return;
  const bool again =
      absl::IsUnavailable(reply.status()) && attempts->left > 0 && HasRequestId(*attempts->request);
  if (again) {
    world_.After(Between(random_, absl::Milliseconds(200), absl::Seconds(2)),
                 [this, attempts] { Try(attempts); });
    return;
  }
  attempts->over = true;
  --open_calls_;
  world_.Note("client", "answer", attempts->method, [&] {
    return absl::StrCat(attempts->method, " ", reply.status().ToString().substr(0, 300));
  });
  if (attempts->done) attempts->done(reply);
}

std::string Operators::RequestId(Random& random) const { return NewUuid(random); }

void Operators::SetUp(int nodes, std::function<void(int, const std::string&)> enrolled) {
  auto environment = std::make_shared<api::CreateEnvironmentRequest>();
  environment->set_environment_id("eu");
  environment->set_request_id(RequestId(random_));
  Ask("EnvironmentService/CreateEnvironment", environment,
      [this, nodes, enrolled](const absl::StatusOr<entry::MessagePtr>&) {
        for (int node = 0; node < nodes; ++node) Enrol(node, enrolled);
      });
}

void Operators::Enrol(int node, std::function<void(int, const std::string&)> enrolled) {
  auto again = [this, node, enrolled] {
    world_.After(absl::Milliseconds(500), [this, node, enrolled] { Enrol(node, enrolled); });
  };
  auto token = std::make_shared<api::CreateEnrollmentTokenRequest>();
  token->set_environment("eu");
  Ask("NodeService/CreateEnrollmentToken", token,
      [this, node, enrolled, again](const absl::StatusOr<entry::MessagePtr>& reply) {
        if (!reply.ok()) return again();
        auto enrol = std::make_shared<api::EnrollRequest>();
        enrol->set_join_token(static_cast<const api::EnrollmentToken&>(**reply).token());
        enrol->set_node_id(absl::StrCat("n", node + 1));
        enrol->set_machine_id(absl::StrCat("machine-n", node + 1));
        Ask("LinkService/Enroll", enrol,
            [node, enrolled, again](const absl::StatusOr<entry::MessagePtr>& answer) {
              if (!answer.ok()) return again();
              enrolled(node, static_cast<const api::EnrollResponse&>(**answer).node_uid());
            });
      });
}

void Operators::Settle(int nodes) {
  for (int node = 0; node < nodes; ++node) {
    auto resume = std::make_shared<api::ResumeNodeRequest>();
    resume->set_name(absl::StrCat("nodes/n", node + 1));
    resume->set_request_id(RequestId(random_));
    Ask("NodeService/ResumeNode", resume, nullptr);
  }
  auto release = std::make_shared<api::ReleaseBrakeRequest>();
  release->set_name("environments/eu");
  Ask("EnvironmentService/ReleaseBrake", release, nullptr);
}

void Operators::AcceptCatalog() {
  auto accept = std::make_shared<api::AcceptCatalogRequest>();
  accept->set_name("nodes/-");
  Ask("NodeService/AcceptCatalog", accept, nullptr);
}

}  // namespace appsup::simulation
