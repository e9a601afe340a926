// krb5.conf as the administrator has it, with what agent.yaml knows better laid over it: for one context alone, with
// no file written and no environment variable set, so that several connectors do not get into each other's way.
#ifndef PHSYNC_GSSAPI_OVERLAY_PROFILE_H_
#define PHSYNC_GSSAPI_OVERLAY_PROFILE_H_

#include <string>
#include <vector>

#include "library.h"

namespace phsync {

struct Overlay {
  /// The domain's realm, and where its KDCs are: taken where the administrator's file names none.
  std::string realm;
  std::vector<std::string> kdcs;
  bool allow_rc4;
};

/// A context over KRB5_CONFIG (or the system's krb5.conf) and the overlay; to be freed by krb5_free_context.
mit::krb5_error_code init_context(const Library& library, const Overlay& overlay, mit::krb5_context* context);

}  // namespace phsync

#endif
