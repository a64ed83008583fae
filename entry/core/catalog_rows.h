#pragma once

#include "entry/core/catalog.h"

namespace appsup::entry {

// Calls visit(name of the store's table, table) for every table of the catalog.
template <class SomeCatalog, class Visit>
void ForEachTable(SomeCatalog& catalog, Visit visit) {
  visit("project", catalog.projects);
  visit("environment", catalog.environments);
  visit("node", catalog.nodes);
  visit("app", catalog.apps);
  visit("app_status", catalog.app_statuses);
  visit("revision", catalog.revisions);
  visit("instance", catalog.instances);
  visit("operation", catalog.operations);
  visit("request", catalog.requests);
  visit("token", catalog.tokens);
  visit("meta", catalog.meta);
}

}  // namespace appsup::entry
