import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { LabDirectory } from '#src/agent/sources/lab-source.js';
import { SeenFilter } from '#src/agent/state/seen-filter.js';

/** How many were taken for one that was added before. */
function addAll(filter: SeenFilter, guids: Iterable<Uint8Array>): number {
  let wrong = 0;
  for (const guid of guids) {
    if (filter.has(guid)) wrong++;
    filter.add(guid);
  }
  return wrong;
}

test('never forgets a GUID, and takes few others for one that it has seen', () => {
  const filter = new SeenFilter();
  const guids = Array.from({ length: 100_000 }, () => randomBytes(16));
  expect(addAll(filter, guids)).toBeLessThan(100);
  expect(guids.every((guid) => filter.has(guid))).toBe(true);
});

test('GUIDs that differ in one field alone are told apart as well', () => {
  const lab = new LabDirectory({ users: 100_000 });
  const guids = Array.from({ length: lab.objects }, (_, index) => lab.guidBytesOf(index));
  expect(addAll(new SeenFilter(), guids)).toBeLessThan(100);
});
