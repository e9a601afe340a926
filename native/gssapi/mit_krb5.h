// What of MIT krb5's libkrb5 and libgssapi_krb5 is used, declared here so that no development package is needed to
// build: their ABI of soname 3 and 2 (krb5.h, profile.h), RFC 2744's C bindings, and MIT's extensions to them
// (gssapi_ext.h). test/native/gssapi-abi.test.ts holds it against the real headers.
#ifndef PHSYNC_GSSAPI_MIT_KRB5_H_
#define PHSYNC_GSSAPI_MIT_KRB5_H_

#include <stddef.h>
#include <stdint.h>

namespace phsync {
namespace mit {

extern "C" {

// --- libkrb5 -------------------------------------------------------------------------------------------------------

typedef int32_t krb5_error_code;
typedef int32_t krb5_int32;
/// Seconds since 1970, in 32 bits without a sign.
typedef krb5_int32 krb5_timestamp;
typedef struct krb5_context_struct* krb5_context;
typedef struct krb5_ccache_struct* krb5_ccache;
typedef struct krb5_kt_struct* krb5_keytab;
typedef struct krb5_principal_struct* krb5_principal;
typedef struct krb5_init_creds_struct* krb5_init_creds_context;
typedef struct krb5_opt_struct krb5_get_init_creds_opt;
typedef struct profile_struct* profile_t;

struct krb5_data {
  krb5_int32 magic;
  unsigned int length;
  char* data;
};

struct krb5_keyblock {
  krb5_int32 magic;
  krb5_int32 enctype;
  unsigned int length;
  unsigned char* contents;
};

struct krb5_ticket_times {
  krb5_timestamp authtime;
  krb5_timestamp starttime;
  krb5_timestamp endtime;
  krb5_timestamp renew_till;
};

struct krb5_creds {
  krb5_int32 magic;
  krb5_principal client;
  krb5_principal server;
  krb5_keyblock keyblock;
  krb5_ticket_times times;
  unsigned int is_skey;
  krb5_int32 ticket_flags;
  void** addresses;
  krb5_data ticket;
  krb5_data second_ticket;
  void** authdata;
};

struct krb5_enc_data {
  krb5_int32 magic;
  krb5_int32 enctype;
  unsigned int kvno;
  krb5_data ciphertext;
};

struct krb5_ticket {
  krb5_int32 magic;
  krb5_principal server;
  krb5_enc_data enc_part;
  void* enc_part2;
};

struct krb5_error {
  krb5_int32 magic;
  krb5_timestamp ctime;
  krb5_int32 cusec;
  krb5_int32 susec;
  krb5_timestamp stime;
  uint32_t error;
  krb5_principal client;
  krb5_principal server;
  krb5_data text;
  krb5_data e_data;
};

/// The methods of a read-only profile, and room for those of others (minor version 1 of profile.h).
struct profile_vtable {
  int minor_ver;
  long (*get_values)(void* cbdata, const char* const* names, char*** ret_values);
  void (*free_values)(void* cbdata, char** values);
  void (*cleanup)(void* cbdata);
  long (*copy)(void* cbdata, void** ret_cbdata);
  void (*others[10])(void);
};

// --- libgssapi_krb5 ------------------------------------------------------------------------------------------------

typedef uint32_t OM_uint32;
typedef struct gss_name_struct* gss_name_t;
typedef struct gss_cred_id_struct* gss_cred_id_t;
typedef struct gss_ctx_id_struct* gss_ctx_id_t;

struct gss_OID_desc {
  OM_uint32 length;
  void* elements;
};
typedef gss_OID_desc* gss_OID;

struct gss_OID_set_desc {
  size_t count;
  gss_OID elements;
};

struct gss_buffer_desc {
  size_t length;
  void* value;
};
typedef gss_buffer_desc* gss_buffer_t;

struct gss_buffer_set_desc {
  size_t count;
  gss_buffer_desc* elements;
};

struct gss_iov_buffer_desc {
  OM_uint32 type;
  gss_buffer_desc buffer;
};

struct gss_key_value_element_desc {
  const char* key;
  const char* value;
};

struct gss_key_value_set_desc {
  OM_uint32 count;
  gss_key_value_element_desc* elements;
};

}  // extern "C"

constexpr krb5_error_code PROF_NO_RELATION = -1429577725;
constexpr int KRB5_PRINCIPAL_PARSE_ENTERPRISE = 0x4;

constexpr OM_uint32 GSS_S_COMPLETE = 0;
constexpr OM_uint32 GSS_S_CONTINUE_NEEDED = 1;
/// Calling and routine errors: the bits above the supplementary information.
constexpr OM_uint32 GSS_ERROR_MASK = 0xffff0000u;
constexpr int GSS_C_GSS_CODE = 1;
constexpr int GSS_C_MECH_CODE = 2;
constexpr int GSS_C_INITIATE = 1;
constexpr OM_uint32 GSS_C_INDEFINITE = 0xffffffffu;

constexpr OM_uint32 GSS_C_MUTUAL_FLAG = 2;
constexpr OM_uint32 GSS_C_REPLAY_FLAG = 4;
constexpr OM_uint32 GSS_C_SEQUENCE_FLAG = 8;
constexpr OM_uint32 GSS_C_CONF_FLAG = 16;
constexpr OM_uint32 GSS_C_INTEG_FLAG = 32;
constexpr OM_uint32 GSS_C_DCE_STYLE = 0x1000;

constexpr OM_uint32 GSS_IOV_BUFFER_TYPE_DATA = 1;
constexpr OM_uint32 GSS_IOV_BUFFER_TYPE_HEADER = 2;
constexpr OM_uint32 GSS_IOV_BUFFER_TYPE_SIGN_ONLY = 11;

}  // namespace mit
}  // namespace phsync

#endif
