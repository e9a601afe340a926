import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { SeenFilter } from '#src/agent/seen-filter.js';
import { LabDirectory } from '#src/agent/sources/lab-source.js';

test('never forgets a GUID, and takes few others for one that it has seen', () => {
  const filter = new SeenFilter();
  const guids = Array.from({ length: 100_000 }, () => randomBytes(16));
  const wrong = guids.filter((guid) => filter.addAndTell(guid)).length;
  expect(wrong).toBeLessThan(200);
  expect(guids.every((guid) => filter.addAndTell(guid))).toBe(true);
});

test('GUIDs that differ in one field alone are told apart as well', () => {
  const lab = new LabDirectory({ users: 100_000 });
  const filter = new SeenFilter();
  let wrong = 0;
  for (let index = 0; index < lab.objects; index++) {
    if (filter.addAndTell(lab.guidBytesOf(index))) wrong++;
  }
  expect(wrong).toBeLessThan(200);
});
