// Opens libkrb5.so.3 and libgssapi_krb5.so.2 once a process; they are never closed.
#include "library.h"

#include <dlfcn.h>

#include <mutex>

// The names of before glibc 2.34, which moved them from libdl into libc: Node.js itself runs with 2.28.
#if defined(__GNUC__) && defined(__GLIBC__) && (defined(__x86_64__) || defined(__aarch64__))
#if defined(__x86_64__)
#define PHSYNC_DL_VERSION "GLIBC_2.2.5"
#else
#define PHSYNC_DL_VERSION "GLIBC_2.17"
#endif
__asm__(".symver dlopen,dlopen@" PHSYNC_DL_VERSION);
__asm__(".symver dlsym,dlsym@" PHSYNC_DL_VERSION);
__asm__(".symver dlerror,dlerror@" PHSYNC_DL_VERSION);
#endif

namespace phsync {
namespace {

constexpr const char* kKrb5 = "libkrb5.so.3";
constexpr const char* kGssapi = "libgssapi_krb5.so.2";

std::string last_error() {
  const char* text = dlerror();
  return text == nullptr ? "unknown error" : text;
}

template <class F>
void find(void* handle, const char* library, const char* name, F*& function, std::string& missing) {
  function = reinterpret_cast<F*>(dlsym(handle, name));
  if (function == nullptr && missing.empty()) missing = std::string(library) + " has no " + name + ": it is too old";
}

std::string load(Library& f) {
  void* krb5 = dlopen(kKrb5, RTLD_NOW | RTLD_LOCAL);
  if (krb5 == nullptr) return last_error();
  void* gssapi = dlopen(kGssapi, RTLD_NOW | RTLD_LOCAL);
  if (gssapi == nullptr) return last_error();
  std::string missing;
#define PHSYNC_KRB5(name) find(krb5, kKrb5, #name, f.name, missing)
#define PHSYNC_GSSAPI(name) find(gssapi, kGssapi, #name, f.name, missing)
  PHSYNC_KRB5(krb5_init_context);
  PHSYNC_KRB5(krb5_init_context_profile);
  PHSYNC_KRB5(krb5_free_context);
  PHSYNC_KRB5(krb5_get_profile);
  PHSYNC_KRB5(krb5_get_error_message);
  PHSYNC_KRB5(krb5_free_error_message);
  PHSYNC_KRB5(profile_init_vtable);
  PHSYNC_KRB5(profile_get_values);
  PHSYNC_KRB5(profile_free_list);
  PHSYNC_KRB5(profile_release);
  PHSYNC_KRB5(krb5_parse_name_flags);
  PHSYNC_KRB5(krb5_unparse_name);
  PHSYNC_KRB5(krb5_free_unparsed_name);
  PHSYNC_KRB5(krb5_free_principal);
  PHSYNC_KRB5(krb5_cc_new_unique);
  PHSYNC_KRB5(krb5_cc_resolve);
  PHSYNC_KRB5(krb5_cc_initialize);
  PHSYNC_KRB5(krb5_cc_get_principal);
  PHSYNC_KRB5(krb5_cc_get_full_name);
  PHSYNC_KRB5(krb5_cc_copy_creds);
  PHSYNC_KRB5(krb5_cc_store_cred);
  PHSYNC_KRB5(krb5_cc_close);
  PHSYNC_KRB5(krb5_cc_destroy);
  PHSYNC_KRB5(krb5_free_string);
  PHSYNC_KRB5(krb5_kt_resolve);
  PHSYNC_KRB5(krb5_kt_have_content);
  PHSYNC_KRB5(krb5_kt_close);
  PHSYNC_KRB5(krb5_get_init_creds_opt_alloc);
  PHSYNC_KRB5(krb5_get_init_creds_opt_free);
  PHSYNC_KRB5(krb5_get_init_creds_opt_set_canonicalize);
  PHSYNC_KRB5(krb5_init_creds_init);
  PHSYNC_KRB5(krb5_init_creds_set_password);
  PHSYNC_KRB5(krb5_init_creds_set_keytab);
  PHSYNC_KRB5(krb5_init_creds_get);
  PHSYNC_KRB5(krb5_init_creds_get_creds);
  PHSYNC_KRB5(krb5_init_creds_get_error);
  PHSYNC_KRB5(krb5_init_creds_free);
  PHSYNC_KRB5(krb5_free_error);
  PHSYNC_KRB5(krb5_get_credentials);
  PHSYNC_KRB5(krb5_decode_ticket);
  PHSYNC_KRB5(krb5_free_ticket);
  PHSYNC_KRB5(krb5_free_creds);
  PHSYNC_KRB5(krb5_free_cred_contents);
  PHSYNC_GSSAPI(gss_acquire_cred_from);
  PHSYNC_GSSAPI(gss_release_cred);
  PHSYNC_GSSAPI(gss_import_name);
  PHSYNC_GSSAPI(gss_release_name);
  PHSYNC_GSSAPI(gss_init_sec_context);
  PHSYNC_GSSAPI(gss_delete_sec_context);
  PHSYNC_GSSAPI(gss_wrap_iov);
  PHSYNC_GSSAPI(gss_unwrap_iov);
  PHSYNC_GSSAPI(gss_wrap_iov_length);
  PHSYNC_GSSAPI(gss_get_mic);
  PHSYNC_GSSAPI(gss_verify_mic);
  PHSYNC_GSSAPI(gss_inquire_sec_context_by_oid);
  PHSYNC_GSSAPI(gss_release_buffer);
  PHSYNC_GSSAPI(gss_release_buffer_set);
  PHSYNC_GSSAPI(gss_display_status);
#undef PHSYNC_KRB5
#undef PHSYNC_GSSAPI
  return missing;
}

}  // namespace

Opened open_library() {
  static std::mutex mutex;
  static Library library;
  static bool loaded = false;
  const std::lock_guard<std::mutex> lock(mutex);
  if (loaded) return {&library, ""};
  std::string why_not = load(library);
  loaded = why_not.empty();
  return {loaded ? &library : nullptr, why_not};
}

}  // namespace phsync
