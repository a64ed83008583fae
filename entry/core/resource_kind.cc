#include "entry/core/resource_kind.h"

#include <utility>

namespace appsup::entry {
namespace {

template <class View, class GetTable, class GetView>
ResourceKind Kind(GetTable table, GetView view) {
  ResourceKind kind;
  kind.type = View::descriptor();
  kind.name = kind.type->name();
  kind.next = [table](const Catalog& catalog, const std::string& after) -> std::string {
    const auto& rows = table(catalog).rows();
    auto row = rows.upper_bound(after);
    return row == rows.end() ? "" : row->first;
  };
  kind.view = [view](const Catalog& catalog, const std::string& name) {
    return std::make_unique<View>(view(catalog, name));
  };
  return kind;
}

}  // namespace

const std::vector<ResourceKind>& ResourceKinds() {
  static const auto& kinds = *new std::vector<ResourceKind>{
      Kind<api::Project>(
          [](const Catalog& catalog) -> const auto& { return catalog.projects; },
          [](const Catalog& catalog, const std::string& name) {
            return catalog.projects.Find(name)->project();
          }),
      Kind<api::Environment>(
          [](const Catalog& catalog) -> const auto& { return catalog.environments; },
          [](const Catalog& catalog, const std::string& name) {
            return catalog.EnvironmentView(name);
          }),
      Kind<api::Node>(
          [](const Catalog& catalog) -> const auto& { return catalog.nodes; },
          [](const Catalog& catalog, const std::string& name) { return catalog.NodeView(name); }),
      Kind<api::App>(
          [](const Catalog& catalog) -> const auto& { return catalog.apps; },
          [](const Catalog& catalog, const std::string& name) { return catalog.AppView(name); }),
      Kind<api::AppRevision>(
          [](const Catalog& catalog) -> const auto& { return catalog.revisions; },
          [](const Catalog& catalog, const std::string& name) {
            return catalog.RevisionView(name);
          }),
      Kind<api::Instance>(
          [](const Catalog& catalog) -> const auto& { return catalog.instances; },
          [](const Catalog& catalog, const std::string& name) {
            return catalog.instances.Find(name)->instance();
          }),
      Kind<api::Operation>(
          [](const Catalog& catalog) -> const auto& { return catalog.operations; },
          [](const Catalog& catalog, const std::string& name) {
            return catalog.operations.Find(name)->operation();
          }),
  };
  return kinds;
}

}  // namespace appsup::entry
