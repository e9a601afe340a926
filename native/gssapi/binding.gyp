{
  # A package of its own below the first addon: where the one cannot be built, the other still can. It is linked with
  # no Kerberos library: it opens libkrb5.so.3 and libgssapi_krb5.so.2 when it is first asked for a ticket.
  'targets': [
    {
      'target_name': 'phsync_gssapi',
      'conditions': [
        ['OS=="linux"', {
          'sources': ['addon.cc', 'library.cc', 'overlay_profile.cc', 'security_context.cc', 'tickets.cc'],
          'dependencies': [
            "<!(node -p \"require('node-addon-api').targets\"):node_addon_api_except_all",
          ],
          # A worker that is cut off while it waits for a KDC takes no answer any more, and no exception either.
          'defines': ['NAPI_VERSION=8', 'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS'],
          'cflags_cc': ['-std=c++17', '-Wall', '-Wextra'],
          'cflags': ['-fPIC', '-fvisibility=hidden'],
          # nodelete: the libraries that it opens stay as well, and their locks are global.
          'ldflags': ['-Wl,--exclude-libs,ALL', '-Wl,-z,nodelete'],
          'libraries': ['-ldl'],
        }, {
          'type': 'none',
        }],
      ],
    },
  ],
}
