import { describe, expect, it } from 'vitest';
import { StandstillGuard } from '#src/agent/sources/drs-standstill.js';

const at = (usn: bigint) => ({ usnHighObjUpdate: usn, usnReserved: 0n, usnHighPropUpdate: 7n });

describe('StandstillGuard', () => {
  it('lets a server go on that moves now and then', () => {
    const guard = new StandstillGuard(at(0n));
    for (let i = 0; i < 1000; i++) guard.check(at(BigInt(Math.floor(i / 90))), true);
  });

  it('refuses the hundredth reply in a row that stands where the one before stood', () => {
    const guard = new StandstillGuard(at(5n));
    for (let i = 0; i < 99; i++) guard.check(at(5n), true);
    expect(() => guard.check(at(5n), true)).toThrow(
      expect.objectContaining({
        name: 'ProtocolError',
        code: 'no-progress',
        message: expect.stringContaining('USN 5'),
      }),
    );
  });

  it('has nothing against a last reply that changes nothing', () => {
    const guard = new StandstillGuard(at(5n));
    for (let i = 0; i < 500; i++) guard.check(at(5n), false);
  });
});
