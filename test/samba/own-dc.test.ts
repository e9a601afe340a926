/** A domain controller of a test's own is what own-dc.ts says of it. */

import { connect } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeDc } from './dc.js';
import { OwnDc } from './own-dc.js';

const answers = (host: string, port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = connect({ host, port });
    const end = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
  });

describeDc('a domain controller of its own', () => {
  let dc: OwnDc;
  beforeAll(async () => {
    dc = await OwnDc.start({ realm: 'SECOND.TEST', host: 'dc7', smbConf: ['ntlm auth = disabled'], users: 3 });
  });
  afterAll(() => dc?.close());

  it('is named as asked', () => {
    expect(dc.facts).toMatchObject({
      dnsHostName: 'dc7.second.test',
      netbiosDomain: 'SECOND',
      baseDn: 'DC=second,DC=test',
    });
    expect(dc.users.filter(({ kind }) => kind === 'bulk')).toHaveLength(3);
  });

  it('takes changes, and is stopped, killed and started again with them', async () => {
    const { dn } = dc.special('plain');
    dc.setPasswords([{ dn, password: 'Another.Passw0rd' }]);
    const { host, invocationId } = dc.facts;
    for (const end of ['stop', 'kill'] as const) {
      await dc[end]();
      expect(await answers(host, 135)).toBe(false);
      await dc.restart();
      expect(await answers(host, 135)).toBe(true);
    }
    expect(dc.facts.invocationId).toBe(invocationId);
  });
});
