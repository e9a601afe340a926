// Tickets by libkrb5: from a password, a keytab or a credential cache to one for a service, in a cache in memory that
// is this connection's alone.
#ifndef PHSYNC_GSSAPI_TICKETS_H_
#define PHSYNC_GSSAPI_TICKETS_H_

#include <stdint.h>

#include <string>
#include <vector>

#include "failure.h"
#include "overlay_profile.h"

namespace phsync {

struct TicketRequest {
  Overlay overlay;
  /// `user@REALM`; empty with a credential cache: whosever it is.
  std::string client;
  /// Whether the client is a user principal name that the KDC is to look up, with the realm behind it.
  bool enterprise;
  /// `ldap/dc1.phs.test@PHS.TEST`
  std::string service;
  /// One of the three. The password ends with a zero and is wiped by `get_tickets`.
  std::vector<char> password;
  std::string keytab;
  std::string credential_cache;
};

struct Tickets {
  /// `MEMORY:…`; to be given back by `forget_tickets`.
  std::string cache;
  std::string client;
  int32_t session_enctype;
  /// With which the KDC encrypted the service's ticket.
  int32_t ticket_enctype;
  /// Seconds since 1970.
  uint32_t expires;
};

/// Blocks on the KDC. @throws Failure
Tickets get_tickets(const Library& library, TicketRequest& request);
void forget_tickets(const Library& library, const std::string& cache);

}  // namespace phsync

#endif
