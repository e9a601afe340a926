// One Kerberos security context in DCE style (RFC 4757 7.3; MS-KILE 3.4.5): three legs, then messages with signed headers.
#ifndef PHSYNC_GSSAPI_SECURITY_CONTEXT_H_
#define PHSYNC_GSSAPI_SECURITY_CONTEXT_H_

#include <stdint.h>

#include <vector>

#include "failure.h"
#include "library.h"
#include "tickets.h"

namespace phsync {

struct SessionKey {
  std::vector<uint8_t> key;
  int32_t enctype;
};

/// Used by one thread at a time.
class SecurityContext {
 public:
  SecurityContext(const Library& library, TicketRequest request);
  /// Frees and wipes: tickets, context, password.
  ~SecurityContext();
  SecurityContext(const SecurityContext&) = delete;
  SecurityContext& operator=(const SecurityContext&) = delete;

  /// Gets the tickets. Blocks on the KDC. @throws Failure, as everything below
  void acquire();
  const Tickets& tickets() const { return tickets_; }
  /// The peer's token (empty at first) to ours.
  std::vector<uint8_t> step(std::vector<uint8_t> token);
  bool complete() const { return complete_; }
  /// ret_flags of GSS_Init_sec_context.
  uint32_t flags() const { return flags_; }
  /// Bytes of the token that `wrap` yields for data of a multiple of 16 bytes.
  size_t token_size();
  /// Encrypts `pdu[from, to)` in place; the token signs `pdu[0, signed_to)` and is written to `token`.
  void wrap(uint8_t* pdu, size_t from, size_t to, size_t signed_to, uint8_t* token, size_t token_size);
  void unwrap(uint8_t* pdu, size_t from, size_t to, size_t signed_to, const uint8_t* token, size_t token_size);
  std::vector<uint8_t> mic(std::vector<uint8_t> message);
  void verify_mic(std::vector<uint8_t> message, std::vector<uint8_t> mic);
  SessionKey session_key();

 private:
  void check(const char* stage, uint32_t major, uint32_t minor, bool supplementary_too = false);
  void forget();

  const Library& f_;
  TicketRequest request_;
  Tickets tickets_ = {};
  mit::gss_cred_id_t credentials_ = nullptr;
  mit::gss_name_t target_ = nullptr;
  mit::gss_ctx_id_t context_ = nullptr;
  uint32_t flags_ = 0;
  bool complete_ = false;
};

}  // namespace phsync

#endif
