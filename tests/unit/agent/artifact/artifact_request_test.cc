#include "agent/artifact/artifact_request.h"

#include <catch2/catch.hpp>

#include "common/status.h"

namespace appsup::agent {
namespace {

using appsupervisor::v1::Artifact;
using appsupervisor::v1::Install;

const std::string kDigest(64, 'a');
const std::string kOther(64, 'b');

ArtifactRequest FromUri(const std::string& uri, const Install& install = {}) {
  Artifact artifact;
  artifact.set_uri(uri);
  artifact.set_sha256(kDigest);
  const auto request = CheckArtifact(artifact, install);
  REQUIRE(request.ok());
  return *request;
}

std::string WhyNot(const Artifact& artifact) {
  const auto request = CheckArtifact(artifact, {});
  REQUIRE_FALSE(request.ok());
  CHECK(ErrorReason(request.status()) == "ARTIFACT_INVALID");
  return std::string(request.status().message());
}

TEST_CASE("artifact request: a file is called by the last segment of its URI") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"http://host/a/server", "server"},
      {"http://host/a/server?token=a/b#c/d", "server"},
      {"file:///opt/my%20app.js", "my app.js"},
      {"http://host/a/", "artifact"},
      {"http://host", "artifact"},
      {"http://host/a/..", "artifact"},
      {"http://host/a/%2e%2e", "artifact"},
      {"http://host/..%2f..%2fetc", "artifact"},
      {"http://host/50%", "50%"},
      {"http://host/" + std::string(300, 'x'), "artifact"},
  };
  for (const auto& [uri, name] : cases) {
    INFO(uri);
    CHECK(FromUri(uri).file_name == name);
  }
}

TEST_CASE("artifact request: messages show neither password nor query") {
  CHECK(FromUri("https://me:secret@host:8080/x.tgz?sig=secret").Display() ==
        "https://host:8080/x.tgz");
  CHECK(FromUri("http://host/a@b").Display() == "http://host/a@b");
  CHECK(FromUri("http://host").Display() == "http://host");
}

TEST_CASE("artifact request: trees differ by digest, mode and install command") {
  Install install;
  install.add_command("npm");
  install.add_command("ci");
  Install joined;
  joined.add_command("npmci");
  const ArtifactRequest plain = FromUri("http://host/x");
  const ArtifactRequest installed = FromUri("http://host/x", install);
  CHECK(plain.TreeName(kDigest) == kDigest);
  CHECK(installed.TreeName(kDigest).rfind(kDigest + "-", 0) == 0);
  CHECK(installed.TreeName(kDigest) != FromUri("http://host/x", joined).TreeName(kDigest));
  ArtifactRequest file = installed;
  file.unpack = appsupervisor::v1::UNPACK_MODE_NONE;
  CHECK(file.TreeName(kDigest) != installed.TreeName(kDigest));
  for (const ArtifactRequest& request : {plain, installed, file}) {
    CHECK(IsTreeName(request.TreeName(kDigest)));
  }
  CHECK(plain.JobKey() != FromUri("http://other/x").JobKey());
}

TEST_CASE("artifact request: other names in the cache are not trees") {
  for (const std::string& name :
       {std::string("tmp"), kDigest.substr(1), kDigest + "x", kDigest + "-xyz", kDigest + "-file-",
        kDigest + "-" + std::string(16, 'g'), std::string(64, 'A')}) {
    CHECK_FALSE(IsTreeName(name));
  }
}

TEST_CASE("artifact request: a blob brings its own digest") {
  Artifact artifact;
  artifact.set_blob("blobs/" + kDigest);
  const auto request = CheckArtifact(artifact, {});
  REQUIRE(request.ok());
  CHECK(request->blob);
  CHECK(request->sha256 == kDigest);
  CHECK(request->Display() == "blobs/" + kDigest);
  artifact.set_sha256(kOther);
  CHECK(WhyNot(artifact) == "artifact.sha256: " + kOther + " is not that of blobs/" + kDigest);
}

TEST_CASE("artifact request: faults name the field and the value") {
  Artifact artifact;
  CHECK(WhyNot(artifact) == "artifact: one of uri and blob must be set");
  artifact.set_uri("ftp://host/x");
  CHECK(WhyNot(artifact) == "artifact.uri: \"ftp://host/x\" is no http, https or file URI");
  artifact.set_uri("http://host/x");
  artifact.set_sha256("ABC");
  CHECK(WhyNot(artifact) == "artifact.sha256: \"ABC\" is not 64 lower-case hex digits");
  artifact.set_blob("blobs/../x");
  CHECK(WhyNot(artifact) == "artifact.blob: \"blobs/../x\" is not blobs/{sha256}");
  artifact.set_blob("x");
  CHECK(WhyNot(artifact) == "artifact.blob: \"x\" is not blobs/{sha256}");
}

}  // namespace
}  // namespace appsup::agent
