#pragma once

namespace appsup {

// The name in every entry's server certificate, whatever its addresses are.
inline constexpr char kEntryServerName[] = "appsup-entry";

}  // namespace appsup
