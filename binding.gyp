{
  # One static library per ISA with only its own flags: what a kernel shares with another would be linked once, with the
  # flags of whichever came first.
  'variables': {
    'conditions': [
      ['target_arch=="x64"', { 'x86%': 1 }, { 'x86%': 0 }],
      ['target_arch=="arm64"', { 'arm64%': 1 }, { 'arm64%': 0 }],
    ],
  },
  'target_defaults': {
    'cflags_cc': ['-std=c++17', '-Wall', '-Wextra'],
    # node's common.gypi sets it for profilers; kernels need the register, and nobody unwinds through them.
    'cflags!': ['-fno-omit-frame-pointer'],
    'cflags': ['-fPIC', '-fvisibility=hidden'],
    'xcode_settings': {
      'CLANG_CXX_LANGUAGE_STANDARD': 'c++17',
      'CLANG_CXX_LIBRARY': 'libc++',
      'MACOSX_DEPLOYMENT_TARGET': '11.0',
      'GCC_SYMBOLS_PRIVATE_EXTERN': 'YES',
      'GCC_OPTIMIZATION_LEVEL': '3',
    },
    'msvs_settings': {
      'VCCLCompilerTool': { 'AdditionalOptions': ['/std:c++17', '/utf-8'] },
    },
  },
  'targets': [
    {
      'target_name': 'phsync_portable',
      'type': 'static_library',
      'sources': ['native/kernels/portable/kernel_portable.cc'],
    },
    {
      'target_name': 'phsync',
      'sources': [
        'native/addon.cc',
        'native/cpu_features.cc',
        'native/dispatch.cc',
        'native/envelopes.cc',
        'native/hash_batch.cc',
        'native/measure.cc',
        'native/orgid_batch.cc',
        'native/rc4.cc',
        'native/rid_des.cc',
      ],
      'dependencies': [
        "<!(node -p \"require('node-addon-api').targets\"):node_addon_api_except_all",
        'phsync_portable',
      ],
      'defines': ['NAPI_VERSION=8'],
      'conditions': [
        ['x86==1', {
          'defines': ['PHSYNC_X86_KERNELS'],
          'dependencies': ['phsync_sse41', 'phsync_avx2', 'phsync_avx512', 'phsync_shani'],
        }],
        ['arm64==1', {
          'defines': ['PHSYNC_ARM64_KERNELS'],
          'dependencies': ['phsync_neon', 'phsync_armsha2'],
        }],
        # nodelete: Node.js unloads an addon with the last thread that loaded it, and the next one would measure anew
        # and leave behind, once more, what workers may still use while the process ends.
        ['OS=="linux"', { 'ldflags': ['-Wl,--exclude-libs,ALL', '-Wl,-z,nodelete'] }],
      ],
    },
  ],
  'conditions': [
    ['x86==1', {
      'targets': [
        {
          'target_name': 'phsync_sse41',
          'type': 'static_library',
          'sources': ['native/kernels/sse41/kernel_sse41.cc'],
          'cflags': ['-msse4.1'],
          'xcode_settings': { 'OTHER_CPLUSPLUSFLAGS': ['-msse4.1'] },
        },
        {
          'target_name': 'phsync_avx2',
          'type': 'static_library',
          'sources': ['native/kernels/avx2/kernel_avx2.cc'],
          'cflags': ['-mavx2'],
          'xcode_settings': { 'OTHER_CPLUSPLUSFLAGS': ['-mavx2'] },
          'msvs_settings': { 'VCCLCompilerTool': { 'AdditionalOptions': ['/arch:AVX2'] } },
        },
        {
          'target_name': 'phsync_shani',
          'type': 'static_library',
          'sources': ['native/kernels/shani/kernel_shani.cc'],
          'cflags': ['-mssse3', '-msse4.1', '-msha'],
          'xcode_settings': { 'OTHER_CPLUSPLUSFLAGS': ['-mssse3', '-msse4.1', '-msha'] },
        },
        {
          'target_name': 'phsync_avx512',
          'type': 'static_library',
          'sources': ['native/kernels/avx512/kernel_avx512.cc'],
          # GCC 12's own avx512fintrin.h trips its warning.
          'cflags': ['-mavx512f', '-mavx512bw', '-mavx512vl', '-Wno-maybe-uninitialized', '-Wno-uninitialized'],
          'xcode_settings': { 'OTHER_CPLUSPLUSFLAGS': ['-mavx512f', '-mavx512bw', '-mavx512vl'] },
          'msvs_settings': { 'VCCLCompilerTool': { 'AdditionalOptions': ['/arch:AVX512'] } },
        },
      ],
    }],
    ['arm64==1', {
      'targets': [
        {
          'target_name': 'phsync_neon',
          'type': 'static_library',
          'sources': ['native/kernels/neon/kernel_neon.cc'],
        },
        {
          'target_name': 'phsync_armsha2',
          'type': 'static_library',
          'sources': ['native/kernels/armsha2/kernel_armsha2.cc'],
          # Not +sha2: GCC 12's own arm_neon.h asks for AES too before it lets the SHA-256 intrinsics in.
          'cflags': ['-march=armv8-a+crypto'],
          'xcode_settings': { 'OTHER_CPLUSPLUSFLAGS': ['-march=armv8-a+crypto'] },
        },
      ],
    }],
  ],
}
