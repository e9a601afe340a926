/** "Did you mean": which word is offered for a mistyped one, and when none is. */

import { describe, expect, it } from 'vitest';
import { similar } from '#src/config/similar.js';

describe('similar', () => {
  const known = ['agent', 'tenant', 'hash', 'verify', 'server', 'servers', 'stateDir'];

  it.each([
    ['agnet', 'agent'],
    ['agent', 'agent'],
    ['tennant', 'tenant'],
    ['verfy', 'verify'],
    ['serves', 'server'],
    ['STATEDIR', 'stateDir'],
    ['state-dir', 'stateDir'],
    ['hsah', 'hash'],
  ])('%s: %s', (word, expected) => {
    expect(similar(word, known)).toBe(expected);
  });

  it.each(['bogus', 'x', '', 'hxxh', 'a'.repeat(1_000_000)])('nothing for %.10s', (word) => {
    expect(similar(word, known)).toBeUndefined();
  });
});
