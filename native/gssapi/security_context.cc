// The GSSAPI's calls (RFC 2744) and MIT's for messages in pieces (gssapi_ext.h).
#include "security_context.h"

#include <string.h>

#include <utility>

#include "../secure_zero.h"

namespace phsync {
namespace {

/// 1.2.840.113554.1.2.2
uint8_t kKrb5[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02};
/// GSS_KRB5_NT_PRINCIPAL_NAME, which is looked up nowhere: 1.2.840.113554.1.2.2.1
uint8_t kPrincipalName[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02, 0x01};
/// GSS_C_INQ_SSPI_SESSION_KEY: 1.2.840.113554.1.2.2.5.5
uint8_t kSessionKey[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02, 0x05, 0x05};
/// The session key's type follows as the last arc: 1.2.840.113554.1.2.2.4
const uint8_t kKeyType[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02, 0x04};

template <size_t n>
mit::gss_OID_desc oid(uint8_t (&bytes)[n]) {
  return {n, bytes};
}

mit::gss_buffer_desc buffer(std::vector<uint8_t>& bytes) { return {bytes.size(), bytes.data()}; }

mit::gss_iov_buffer_desc piece(uint32_t type, uint8_t* bytes, size_t size) { return {type, {size, bytes}}; }

/// Type, then header, sec_trailer and stub of a PDU in their order (MS-RPCE 3.3.1.5.2.2).
struct Pieces {
  mit::gss_iov_buffer_desc list[4];

  Pieces(uint8_t* pdu, size_t from, size_t to, size_t signed_to, uint8_t* token, size_t token_size)
      : list{piece(mit::GSS_IOV_BUFFER_TYPE_HEADER, token, token_size),
             piece(mit::GSS_IOV_BUFFER_TYPE_SIGN_ONLY, pdu, from),
             piece(mit::GSS_IOV_BUFFER_TYPE_DATA, pdu + from, to - from),
             piece(mit::GSS_IOV_BUFFER_TYPE_SIGN_ONLY, pdu + to, signed_to - to)} {}
};

constexpr uint32_t kFlags = mit::GSS_C_MUTUAL_FLAG | mit::GSS_C_REPLAY_FLAG | mit::GSS_C_SEQUENCE_FLAG |
                            mit::GSS_C_CONF_FLAG | mit::GSS_C_INTEG_FLAG | mit::GSS_C_DCE_STYLE;

}  // namespace

SecurityContext::SecurityContext(const Library& library, TicketRequest request)
    : f_(library), request_(std::move(request)) {}

SecurityContext::~SecurityContext() {
  forget();
  uint32_t minor = 0;
  if (context_ != nullptr) f_.gss_delete_sec_context(&minor, &context_, nullptr);
  if (!request_.password.empty()) secure_zero(request_.password.data(), request_.password.size());
}

void SecurityContext::check(const char* stage, uint32_t major, uint32_t minor, bool supplementary_too) {
  if ((major & mit::GSS_ERROR_MASK) == 0 && !(supplementary_too && major != 0)) return;
  Failure failure = {stage, static_cast<int32_t>(minor), major, "", {}, 0};
  mit::gss_OID_desc mechanism = oid(kKrb5);
  for (const auto& [status, type] : {std::pair(major, mit::GSS_C_GSS_CODE), std::pair(minor, mit::GSS_C_MECH_CODE)}) {
    uint32_t ignored = 0;
    uint32_t more = 0;
    mit::gss_buffer_desc text = {0, nullptr};
    if (status == 0 || f_.gss_display_status(&ignored, status, type, &mechanism, &more, &text) != 0) continue;
    if (!failure.message.empty()) failure.message += ": ";
    failure.message.append(static_cast<const char*>(text.value), text.length);
    f_.gss_release_buffer(&ignored, &text);
  }
  throw failure;
}

void SecurityContext::acquire() {
  tickets_ = get_tickets(f_, request_);
  uint32_t minor = 0;
  mit::gss_OID_desc mechanism = oid(kKrb5);
  mit::gss_OID_set_desc mechanisms = {1, &mechanism};
  mit::gss_key_value_element_desc cache = {"ccache", tickets_.cache.c_str()};
  const mit::gss_key_value_set_desc store = {1, &cache};
  check("context",
        f_.gss_acquire_cred_from(&minor, nullptr, mit::GSS_C_INDEFINITE, &mechanisms, mit::GSS_C_INITIATE, &store,
                                 &credentials_, nullptr, nullptr),
        minor);
  mit::gss_buffer_desc name = {request_.service.size(), request_.service.data()};
  mit::gss_OID_desc type = oid(kPrincipalName);
  check("context", f_.gss_import_name(&minor, &name, &type, &target_), minor);
}

std::vector<uint8_t> SecurityContext::step(std::vector<uint8_t> token) {
  uint32_t minor = 0;
  uint32_t ignored = 0;
  mit::gss_OID_desc mechanism = oid(kKrb5);
  mit::gss_buffer_desc in = buffer(token);
  mit::gss_buffer_desc out = {0, nullptr};
  const uint32_t major =
      f_.gss_init_sec_context(&minor, credentials_, &context_, target_, &mechanism, kFlags, mit::GSS_C_INDEFINITE,
                              nullptr, token.empty() ? nullptr : &in, nullptr, &out, &flags_, nullptr);
  const uint8_t* bytes = static_cast<const uint8_t*>(out.value);
  std::vector<uint8_t> ours;
  if (out.length > 0) ours.assign(bytes, bytes + out.length);
  f_.gss_release_buffer(&ignored, &out);
  check("context", major, minor);
  complete_ = major == mit::GSS_S_COMPLETE;
  // The context has its keys: the tickets have done their duty.
  if (complete_) forget();
  return ours;
}

void SecurityContext::forget() {
  uint32_t minor = 0;
  if (credentials_ != nullptr) f_.gss_release_cred(&minor, &credentials_);
  if (target_ != nullptr) f_.gss_release_name(&minor, &target_);
  if (!tickets_.cache.empty()) forget_tickets(f_, tickets_.cache);
  tickets_.cache.clear();
}

size_t SecurityContext::token_size() {
  uint32_t minor = 0;
  int confidential = 0;
  uint8_t nothing[16] = {};
  Pieces pieces(nothing, 0, sizeof nothing, sizeof nothing, nullptr, 0);
  check("message", f_.gss_wrap_iov_length(&minor, context_, 1, 0, &confidential, pieces.list, 4), minor);
  return pieces.list[0].buffer.length;
}

void SecurityContext::wrap(uint8_t* pdu, size_t from, size_t to, size_t signed_to, uint8_t* token,
                           size_t token_size) {
  uint32_t minor = 0;
  int confidential = 0;
  Pieces pieces(pdu, from, to, signed_to, token, token_size);
  check("message", f_.gss_wrap_iov(&minor, context_, 1, 0, &confidential, pieces.list, 4), minor);
  if (confidential == 0 || pieces.list[0].buffer.length != token_size) {
    throw Failure{"message", 0, 0, "the message was not encrypted, or its token has another size than expected", {}, 0};
  }
}

void SecurityContext::unwrap(uint8_t* pdu, size_t from, size_t to, size_t signed_to, const uint8_t* token,
                             size_t token_size) {
  uint32_t minor = 0;
  int confidential = 0;
  // It is rotated in place.
  std::vector<uint8_t> copy(token, token + token_size);
  Pieces pieces(pdu, from, to, signed_to, copy.data(), copy.size());
  // Out of order, twice, or with a gap before it is supplementary information (RFC 2744 3.9.1).
  check("message", f_.gss_unwrap_iov(&minor, context_, &confidential, nullptr, pieces.list, 4), minor, true);
  if (confidential == 0) throw Failure{"message", 0, 0, "the message is signed, but not encrypted", {}, 0};
}

std::vector<uint8_t> SecurityContext::mic(std::vector<uint8_t> message) {
  uint32_t minor = 0;
  mit::gss_buffer_desc in = buffer(message);
  mit::gss_buffer_desc out = {0, nullptr};
  check("message", f_.gss_get_mic(&minor, context_, 0, &in, &out), minor);
  const uint8_t* bytes = static_cast<const uint8_t*>(out.value);
  std::vector<uint8_t> result(bytes, bytes + out.length);
  f_.gss_release_buffer(&minor, &out);
  return result;
}

void SecurityContext::verify_mic(std::vector<uint8_t> message, std::vector<uint8_t> mic) {
  uint32_t minor = 0;
  mit::gss_buffer_desc in = buffer(message);
  mit::gss_buffer_desc token = buffer(mic);
  check("message", f_.gss_verify_mic(&minor, context_, &in, &token, nullptr), minor, true);
}

SessionKey SecurityContext::session_key() {
  uint32_t minor = 0;
  mit::gss_OID_desc wanted = oid(kSessionKey);
  mit::gss_buffer_set_desc* found = nullptr;
  check("context", f_.gss_inquire_sec_context_by_oid(&minor, context_, &wanted, &found), minor);
  SessionKey result = {{}, 0};
  if (found->count >= 1) {
    const mit::gss_buffer_desc& key = found->elements[0];
    const uint8_t* bytes = static_cast<const uint8_t*>(key.value);
    result.key.assign(bytes, bytes + key.length);
    secure_zero(key.value, key.length);
  }
  if (found->count >= 2) {
    const mit::gss_buffer_desc& type = found->elements[1];
    const uint8_t* bytes = static_cast<const uint8_t*>(type.value);
    if (type.length > sizeof kKeyType && memcmp(bytes, kKeyType, sizeof kKeyType) == 0) {
      for (size_t i = sizeof kKeyType; i < type.length; i++) result.enctype = result.enctype << 7 | (bytes[i] & 0x7f);
    }
  }
  f_.gss_release_buffer_set(&minor, &found);
  return result;
}

}  // namespace phsync
