/** DirSyncFeatures for people: names in place of a bit mask. */

import { expect, it } from 'vitest';
import { dirSyncFeatureNames } from '#src/provisioning/types.js';

it.each([
  [0, []],
  [1, ['PasswordHashSync']],
  // A value with a bit that nobody has named.
  [
    41017,
    [
      'PasswordHashSync',
      'DuplicateUPNResiliency',
      'EnableSoftMatchOnUpn',
      'DuplicateProxyAddressResiliency',
      'SynchronizeUpnForManagedUsers',
      '32768',
    ],
  ],
  [2 ** 30 + 64, ['64', '1073741824']],
])('%i', (features, names) => {
  expect(dirSyncFeatureNames(features)).toEqual(names);
});
