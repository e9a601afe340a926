// MIT krb5 as the system has it, opened at run time.
#ifndef PHSYNC_GSSAPI_LIBRARY_H_
#define PHSYNC_GSSAPI_LIBRARY_H_

#include <string>

#include "mit_krb5.h"

namespace phsync {

/// The functions of libkrb5.so.3 and libgssapi_krb5.so.2, by their own names.
struct Library {
  // Contexts and their configuration.
  mit::krb5_error_code (*krb5_init_context)(mit::krb5_context*);
  mit::krb5_error_code (*krb5_init_context_profile)(mit::profile_t, int32_t flags, mit::krb5_context*);
  void (*krb5_free_context)(mit::krb5_context);
  mit::krb5_error_code (*krb5_get_profile)(mit::krb5_context, mit::profile_t*);
  const char* (*krb5_get_error_message)(mit::krb5_context, mit::krb5_error_code);
  void (*krb5_free_error_message)(mit::krb5_context, const char*);
  long (*profile_init_vtable)(mit::profile_vtable*, void* cbdata, mit::profile_t*);
  long (*profile_get_values)(mit::profile_t, const char* const* names, char*** ret_values);
  void (*profile_free_list)(char** list);
  void (*profile_release)(mit::profile_t);
  // Principals.
  mit::krb5_error_code (*krb5_parse_name_flags)(mit::krb5_context, const char*, int flags, mit::krb5_principal*);
  mit::krb5_error_code (*krb5_unparse_name)(mit::krb5_context, mit::krb5_principal, char**);
  void (*krb5_free_unparsed_name)(mit::krb5_context, char*);
  void (*krb5_free_principal)(mit::krb5_context, mit::krb5_principal);
  // Credential caches and keytabs.
  mit::krb5_error_code (*krb5_cc_new_unique)(mit::krb5_context, const char* type, const char* hint, mit::krb5_ccache*);
  mit::krb5_error_code (*krb5_cc_resolve)(mit::krb5_context, const char* name, mit::krb5_ccache*);
  mit::krb5_error_code (*krb5_cc_initialize)(mit::krb5_context, mit::krb5_ccache, mit::krb5_principal);
  mit::krb5_error_code (*krb5_cc_get_principal)(mit::krb5_context, mit::krb5_ccache, mit::krb5_principal*);
  mit::krb5_error_code (*krb5_cc_get_full_name)(mit::krb5_context, mit::krb5_ccache, char**);
  mit::krb5_error_code (*krb5_cc_copy_creds)(mit::krb5_context, mit::krb5_ccache in, mit::krb5_ccache out);
  mit::krb5_error_code (*krb5_cc_store_cred)(mit::krb5_context, mit::krb5_ccache, mit::krb5_creds*);
  mit::krb5_error_code (*krb5_cc_close)(mit::krb5_context, mit::krb5_ccache);
  mit::krb5_error_code (*krb5_cc_destroy)(mit::krb5_context, mit::krb5_ccache);
  void (*krb5_free_string)(mit::krb5_context, char*);
  mit::krb5_error_code (*krb5_kt_resolve)(mit::krb5_context, const char* name, mit::krb5_keytab*);
  mit::krb5_error_code (*krb5_kt_have_content)(mit::krb5_context, mit::krb5_keytab);
  mit::krb5_error_code (*krb5_kt_close)(mit::krb5_context, mit::krb5_keytab);
  // Tickets.
  mit::krb5_error_code (*krb5_get_init_creds_opt_alloc)(mit::krb5_context, mit::krb5_get_init_creds_opt**);
  void (*krb5_get_init_creds_opt_free)(mit::krb5_context, mit::krb5_get_init_creds_opt*);
  void (*krb5_get_init_creds_opt_set_canonicalize)(mit::krb5_get_init_creds_opt*, int);
  mit::krb5_error_code (*krb5_init_creds_init)(mit::krb5_context, mit::krb5_principal client, void* prompter,
                                               void* data, mit::krb5_int32 start_time, mit::krb5_get_init_creds_opt*,
                                               mit::krb5_init_creds_context*);
  mit::krb5_error_code (*krb5_init_creds_set_password)(mit::krb5_context, mit::krb5_init_creds_context, const char*);
  mit::krb5_error_code (*krb5_init_creds_set_keytab)(mit::krb5_context, mit::krb5_init_creds_context,
                                                     mit::krb5_keytab);
  mit::krb5_error_code (*krb5_init_creds_get)(mit::krb5_context, mit::krb5_init_creds_context);
  mit::krb5_error_code (*krb5_init_creds_get_creds)(mit::krb5_context, mit::krb5_init_creds_context,
                                                    mit::krb5_creds*);
  mit::krb5_error_code (*krb5_init_creds_get_error)(mit::krb5_context, mit::krb5_init_creds_context,
                                                    mit::krb5_error**);
  void (*krb5_init_creds_free)(mit::krb5_context, mit::krb5_init_creds_context);
  void (*krb5_free_error)(mit::krb5_context, mit::krb5_error*);
  mit::krb5_error_code (*krb5_get_credentials)(mit::krb5_context, int32_t options, mit::krb5_ccache,
                                               mit::krb5_creds* in, mit::krb5_creds** out);
  mit::krb5_error_code (*krb5_decode_ticket)(const mit::krb5_data*, mit::krb5_ticket**);
  void (*krb5_free_ticket)(mit::krb5_context, mit::krb5_ticket*);
  void (*krb5_free_creds)(mit::krb5_context, mit::krb5_creds*);
  void (*krb5_free_cred_contents)(mit::krb5_context, mit::krb5_creds*);
  // GSSAPI.
  mit::OM_uint32 (*gss_acquire_cred_from)(mit::OM_uint32*, mit::gss_name_t, mit::OM_uint32 time,
                                          mit::gss_OID_set_desc*, int usage, const mit::gss_key_value_set_desc*,
                                          mit::gss_cred_id_t*, mit::gss_OID_set_desc**, mit::OM_uint32*);
  mit::OM_uint32 (*gss_release_cred)(mit::OM_uint32*, mit::gss_cred_id_t*);
  mit::OM_uint32 (*gss_import_name)(mit::OM_uint32*, mit::gss_buffer_t, mit::gss_OID, mit::gss_name_t*);
  mit::OM_uint32 (*gss_release_name)(mit::OM_uint32*, mit::gss_name_t*);
  mit::OM_uint32 (*gss_init_sec_context)(mit::OM_uint32*, mit::gss_cred_id_t, mit::gss_ctx_id_t*, mit::gss_name_t,
                                         mit::gss_OID, mit::OM_uint32 flags, mit::OM_uint32 time, void* bindings,
                                         mit::gss_buffer_t in, mit::gss_OID* mech, mit::gss_buffer_t out,
                                         mit::OM_uint32* flags_out, mit::OM_uint32* time_out);
  mit::OM_uint32 (*gss_delete_sec_context)(mit::OM_uint32*, mit::gss_ctx_id_t*, mit::gss_buffer_t);
  mit::OM_uint32 (*gss_wrap_iov)(mit::OM_uint32*, mit::gss_ctx_id_t, int conf, mit::OM_uint32 qop, int* conf_state,
                                 mit::gss_iov_buffer_desc*, int count);
  mit::OM_uint32 (*gss_unwrap_iov)(mit::OM_uint32*, mit::gss_ctx_id_t, int* conf_state, mit::OM_uint32* qop,
                                   mit::gss_iov_buffer_desc*, int count);
  mit::OM_uint32 (*gss_wrap_iov_length)(mit::OM_uint32*, mit::gss_ctx_id_t, int conf, mit::OM_uint32 qop,
                                        int* conf_state, mit::gss_iov_buffer_desc*, int count);
  mit::OM_uint32 (*gss_get_mic)(mit::OM_uint32*, mit::gss_ctx_id_t, mit::OM_uint32 qop, mit::gss_buffer_t message,
                                mit::gss_buffer_t mic);
  mit::OM_uint32 (*gss_verify_mic)(mit::OM_uint32*, mit::gss_ctx_id_t, mit::gss_buffer_t message,
                                   mit::gss_buffer_t mic, mit::OM_uint32* qop);
  mit::OM_uint32 (*gss_inquire_sec_context_by_oid)(mit::OM_uint32*, mit::gss_ctx_id_t, mit::gss_OID,
                                                   mit::gss_buffer_set_desc**);
  mit::OM_uint32 (*gss_release_buffer)(mit::OM_uint32*, mit::gss_buffer_t);
  mit::OM_uint32 (*gss_release_buffer_set)(mit::OM_uint32*, mit::gss_buffer_set_desc**);
  mit::OM_uint32 (*gss_display_status)(mit::OM_uint32*, mit::OM_uint32 status, int type, mit::gss_OID,
                                       mit::OM_uint32* context, mit::gss_buffer_t);
};

/// The library, or why it cannot be had: tried again each time until it can, since a package may be installed meanwhile.
/// Any thread may ask.
struct Opened {
  const Library* library;
  std::string why_not;
};
Opened open_library();

}  // namespace phsync

#endif
