// libkrb5's calls in their order (krb5.h): initial credentials, then the service's ticket.
#include "tickets.h"

#include "../secure_zero.h"

namespace phsync {
namespace {

/// A handle of libkrb5 and the call that frees it, in one context.
template <class T, class Free>
class Owned {
 public:
  Owned(mit::krb5_context context, Free free) : context_(context), free_(free) {}
  ~Owned() {
    if (value_ != nullptr) free_(context_, value_);
  }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  T* out() { return &value_; }
  T get() const { return value_; }
  T release() {
    T value = value_;
    value_ = nullptr;
    return value;
  }

 private:
  mit::krb5_context context_;
  Free free_;
  T value_ = nullptr;
};

class Session {
 public:
  Session(const Library& library, TicketRequest& request) : f_(library), request_(request) {
    check("configuration", init_context(f_, request.overlay, &context_));
  }
  ~Session() {
    if (context_ != nullptr) f_.krb5_free_context(context_);
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  Tickets run() {
    Owned<mit::krb5_ccache, decltype(f_.krb5_cc_destroy)> cache(context_, f_.krb5_cc_destroy);
    check("configuration", f_.krb5_cc_new_unique(context_, "MEMORY", nullptr, cache.out()));
    if (request_.credential_cache.empty()) {
      log_on(cache.get());
    } else {
      copy_cache(cache.get());
    }
    Tickets tickets = service_ticket(cache.get());
    Owned<char*, decltype(f_.krb5_free_string)> name(context_, f_.krb5_free_string);
    check("configuration", f_.krb5_cc_get_full_name(context_, cache.get(), name.out()));
    tickets.cache = name.get();
    f_.krb5_cc_close(context_, cache.release());
    return tickets;
  }

 private:
  using Principal = Owned<mit::krb5_principal, void (*)(mit::krb5_context, mit::krb5_principal)>;

  void check(const char* stage, mit::krb5_error_code code) {
    if (code != 0) throw failure(stage, code);
  }

  Failure failure(const char* stage, mit::krb5_error_code code) {
    Failure result = {stage, code, 0, "", {}, 0};
    // A context that could not be made has no message either.
    const char* text = f_.krb5_get_error_message(context_, code);
    result.message = text;
    f_.krb5_free_error_message(context_, text);
    return result;
  }

  void log_on(mit::krb5_ccache cache) {
    Principal client(context_, f_.krb5_free_principal);
    const int flags = request_.enterprise ? mit::KRB5_PRINCIPAL_PARSE_ENTERPRISE : 0;
    check("credentials", f_.krb5_parse_name_flags(context_, request_.client.c_str(), flags, client.out()));
    Owned<mit::krb5_get_init_creds_opt*, decltype(f_.krb5_get_init_creds_opt_free)> options(
        context_, f_.krb5_get_init_creds_opt_free);
    check("credentials", f_.krb5_get_init_creds_opt_alloc(context_, options.out()));
    f_.krb5_get_init_creds_opt_set_canonicalize(options.get(), request_.enterprise ? 1 : 0);
    Owned<mit::krb5_keytab, decltype(f_.krb5_kt_close)> keytab(context_, f_.krb5_kt_close);
    // Freed before the keytab and the options that it uses.
    Owned<mit::krb5_init_creds_context, decltype(f_.krb5_init_creds_free)> log_on(context_, f_.krb5_init_creds_free);
    check("credentials",
          f_.krb5_init_creds_init(context_, client.get(), nullptr, nullptr, 0, options.get(), log_on.out()));
    if (request_.keytab.empty()) {
      const auto code = f_.krb5_init_creds_set_password(context_, log_on.get(), request_.password.data());
      secure_zero(request_.password.data(), request_.password.size());
      check("credentials", code);
    } else {
      check("keytab", f_.krb5_kt_resolve(context_, request_.keytab.c_str(), keytab.out()));
      check("keytab", f_.krb5_kt_have_content(context_, keytab.get()));
      check("keytab", f_.krb5_init_creds_set_keytab(context_, log_on.get(), keytab.get()));
    }
    if (const auto code = f_.krb5_init_creds_get(context_, log_on.get())) {
      Failure refused = failure("credentials", code);
      add_kdc_error(log_on.get(), refused);
      throw refused;
    }
    mit::krb5_creds credentials = {};
    check("credentials", f_.krb5_init_creds_get_creds(context_, log_on.get(), &credentials));
    auto code = f_.krb5_cc_initialize(context_, cache, credentials.client);
    if (code == 0) code = f_.krb5_cc_store_cred(context_, cache, &credentials);
    f_.krb5_free_cred_contents(context_, &credentials);
    check("credentials", code);
  }

  void add_kdc_error(mit::krb5_init_creds_context log_on, Failure& refused) {
    mit::krb5_error* reply = nullptr;
    if (f_.krb5_init_creds_get_error(context_, log_on, &reply) != 0 || reply == nullptr) return;
    refused.kdc_time = static_cast<uint32_t>(reply->stime);
    if (reply->e_data.data != nullptr) {
      const uint8_t* bytes = reinterpret_cast<const uint8_t*>(reply->e_data.data);
      refused.e_data.assign(bytes, bytes + reply->e_data.length);
    }
    f_.krb5_free_error(context_, reply);
  }

  /// A copy, in which the service's ticket is put: the administrator's cache is only ever read.
  void copy_cache(mit::krb5_ccache cache) {
    Owned<mit::krb5_ccache, decltype(f_.krb5_cc_close)> theirs(context_, f_.krb5_cc_close);
    check("cache", f_.krb5_cc_resolve(context_, request_.credential_cache.c_str(), theirs.out()));
    Principal owner(context_, f_.krb5_free_principal);
    check("cache", f_.krb5_cc_get_principal(context_, theirs.get(), owner.out()));
    check("cache", f_.krb5_cc_initialize(context_, cache, owner.get()));
    check("cache", f_.krb5_cc_copy_creds(context_, theirs.get(), cache));
  }

  Tickets service_ticket(mit::krb5_ccache cache) {
    Principal client(context_, f_.krb5_free_principal);
    check("cache", f_.krb5_cc_get_principal(context_, cache, client.out()));
    Principal service(context_, f_.krb5_free_principal);
    check("service-ticket", f_.krb5_parse_name_flags(context_, request_.service.c_str(), 0, service.out()));
    mit::krb5_creds wanted = {};
    wanted.client = client.get();
    wanted.server = service.get();
    Owned<mit::krb5_creds*, decltype(f_.krb5_free_creds)> found(context_, f_.krb5_free_creds);
    check("service-ticket", f_.krb5_get_credentials(context_, 0, cache, &wanted, found.out()));
    Owned<mit::krb5_ticket*, decltype(f_.krb5_free_ticket)> ticket(context_, f_.krb5_free_ticket);
    check("service-ticket", f_.krb5_decode_ticket(&found.get()->ticket, ticket.out()));
    Owned<char*, decltype(f_.krb5_free_unparsed_name)> name(context_, f_.krb5_free_unparsed_name);
    check("service-ticket", f_.krb5_unparse_name(context_, client.get(), name.out()));
    return {"", name.get(), found.get()->keyblock.enctype, ticket.get()->enc_part.enctype,
            static_cast<uint32_t>(found.get()->times.endtime)};
  }

  const Library& f_;
  TicketRequest& request_;
  mit::krb5_context context_ = nullptr;
};

}  // namespace

Tickets get_tickets(const Library& library, TicketRequest& request) { return Session(library, request).run(); }

void forget_tickets(const Library& library, const std::string& cache) {
  mit::krb5_context context = nullptr;
  if (library.krb5_init_context(&context) != 0) return;
  mit::krb5_ccache handle = nullptr;
  if (library.krb5_cc_resolve(context, cache.c_str(), &handle) == 0) library.krb5_cc_destroy(context, handle);
  library.krb5_free_context(context);
}

}  // namespace phsync
