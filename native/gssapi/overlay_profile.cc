// A profile of libkrb5 (profile.h) whose values come from the overlay or else from the system's files.
#include "overlay_profile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <memory>

namespace phsync {
namespace {

struct Profile {
  const Library* library;
  Overlay overlay;
  mit::profile_t system;

  ~Profile() { library->profile_release(system); }
};
/// libkrb5 copies a profile and frees the original and the copy on their own.
using Handle = std::shared_ptr<Profile>;

using Values = std::vector<std::string>;

char* duplicate(const std::string& text) {
  char* copy = static_cast<char*>(malloc(text.size() + 1));
  if (copy != nullptr) memcpy(copy, text.c_str(), text.size() + 1);
  return copy;
}

void free_values(void*, char** values) {
  for (char** value = values; *value != nullptr; value++) free(*value);
  free(values);
}

bool is(const char* const* names, std::initializer_list<const char*> path) {
  for (const char* name : path) {
    if (*names == nullptr || strcmp(*names++, name) != 0) return false;
  }
  return *names == nullptr;
}

/// What the overlay says; `system` is what the files say, first values first.
Values decide(const Overlay& overlay, const char* const* names, const Values& system) {
  const auto unless_said = [&](const Values& ours) { return system.empty() ? ours : system; };
  if (is(names, {"realms", overlay.realm.c_str(), "kdc"})) return unless_said(overlay.kdcs);
  if (is(names, {"libdefaults", "default_realm"})) return unless_said({overlay.realm});
  // Tickets of Active Directory are too long for UDP, which would be tried first and long.
  if (is(names, {"libdefaults", "udp_preference_limit"})) return unless_said({"1"});
  // A clock that is wrong is to be told, not put up with: libkrb5 would take the KDC's.
  if (is(names, {"libdefaults", "kdc_timesync"})) return unless_said({"0"});
  // Of libkrb5 1.22 and later. Unloading waits for the thread that waits for a silent KDC.
  if (is(names, {"libdefaults", "request_timeout"})) return unless_said({"20"});
  if (overlay.allow_rc4) {
    if (is(names, {"libdefaults", "allow_rc4"})) return {"true"};
    return system;
  }
  if (is(names, {"libdefaults", "permitted_enctypes"})) return {(system.empty() ? "DEFAULT" : system[0]) + " -rc4 -des3"};
  // Where they are set they limit what is asked for; else that is what is permitted.
  for (const char* relation : {"default_tkt_enctypes", "default_tgs_enctypes"}) {
    if (is(names, {"libdefaults", relation}) && !system.empty()) return {system[0] + " -rc4 -des3"};
  }
  return system;
}

long get_values(void* data, const char* const* names, char*** out) {
  const Profile& profile = **static_cast<Handle*>(data);
  char** found = nullptr;
  const long error = profile.library->profile_get_values(profile.system, names, &found);
  Values system;
  if (error == 0) {
    for (char** value = found; *value != nullptr; value++) system.emplace_back(*value);
    profile.library->profile_free_list(found);
  }
  const Values values = decide(profile.overlay, names, system);
  if (values.empty()) return error == 0 ? mit::PROF_NO_RELATION : error;
  char** list = static_cast<char**>(calloc(values.size() + 1, sizeof(char*)));
  if (list == nullptr) return ENOMEM;
  for (size_t i = 0; i < values.size(); i++) {
    list[i] = duplicate(values[i]);
    if (list[i] == nullptr) {
      free_values(nullptr, list);
      return ENOMEM;
    }
  }
  *out = list;
  return 0;
}

long copy(void* data, void** out) {
  *out = new Handle(*static_cast<Handle*>(data));
  return 0;
}

void cleanup(void* data) { delete static_cast<Handle*>(data); }

mit::profile_t system_profile(const Library& library, mit::krb5_error_code* error) {
  mit::krb5_context context = nullptr;
  mit::profile_t profile = nullptr;
  *error = library.krb5_init_context(&context);
  if (*error != 0) return nullptr;
  *error = library.krb5_get_profile(context, &profile);
  library.krb5_free_context(context);
  return *error == 0 ? profile : nullptr;
}

}  // namespace

mit::krb5_error_code init_context(const Library& library, const Overlay& overlay, mit::krb5_context* context) {
  mit::krb5_error_code error = 0;
  const mit::profile_t system = system_profile(library, &error);
  if (error != 0) return error;
  Handle* handle = new Handle(new Profile{&library, overlay, system});
  mit::profile_vtable methods = {};
  methods.minor_ver = 1;
  methods.get_values = get_values;
  methods.free_values = free_values;
  methods.cleanup = cleanup;
  methods.copy = copy;
  mit::profile_t profile = nullptr;
  error = static_cast<mit::krb5_error_code>(library.profile_init_vtable(&methods, handle, &profile));
  if (error != 0) {
    delete handle;
    return error;
  }
  error = library.krb5_init_context_profile(profile, 0, context);
  library.profile_release(profile);
  return error;
}

}  // namespace phsync
