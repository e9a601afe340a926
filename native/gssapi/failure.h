// What a Kerberos library refuses with, carried from the thread that met it to JavaScript.
#ifndef PHSYNC_GSSAPI_FAILURE_H_
#define PHSYNC_GSSAPI_FAILURE_H_

#include <stdint.h>

#include <string>
#include <vector>

namespace phsync {

struct Failure {
  /// Where: `configuration`, `credentials`, `service-ticket`, `context` or `message`.
  const char* stage;
  /// libkrb5's error code, or GSSAPI's minor status.
  int32_t code;
  /// GSSAPI's major status, 0 where libkrb5 itself refused.
  uint32_t major;
  std::string message;
  /// Of the KRB-ERROR that the KDC sent, where it sent one: e-data, and its time in seconds since 1970 (0: none).
  std::vector<uint8_t> e_data;
  uint32_t kdc_time;
};

}  // namespace phsync

#endif
