/** Users and OUs that move or are renamed: replication shows the object that moved, and nothing of what lies below. */

import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeDc, facts, modify } from './dc.js';
import { Site, upnOf } from './harness.js';

const UNKNOWN_USER = 50034;
const NAME = 'phs.wanderer';
const PASSWORD = 'Far.And.Wide.1';

describeDc('who moves', () => {
  let site: Site;
  const inside = () => `OU=Wander Inside,${facts().baseDn}`;
  const outside = () => `OU=Wander Outside,${facts().baseDn}`;
  const add = (dn: string, lines: string) => modify(`dn: ${dn}\nchangetype: add\n${lines}\n\n`);
  const move = (rdn: string, from: string, to: string, newRdn = rdn) =>
    modify(`dn: ${rdn},${from}\nchangetype: modrdn\nnewrdn: ${newRdn}\ndeleteoldrdn: 1\nnewsuperior: ${to}\n\n`);
  const sync = async () => {
    const run = await site.agentOnce({ scope: { include: [inside()] } });
    expect(run.error).toBeUndefined();
    return run.report;
  };
  const signIn = () => site.signIn(upnOf(NAME), PASSWORD);

  beforeAll(async () => {
    site = await Site.start();
    for (const dn of [inside(), outside(), `OU=Team,${inside()}`]) add(dn, 'objectClass: organizationalUnit');
    add(
      `CN=${NAME},${inside()}`,
      `objectClass: user\nsAMAccountName: ${NAME}\nuserAccountControl: 512\n` +
        `unicodePwd:: ${Buffer.from(`"${PASSWORD}"`, 'utf16le').toString('base64')}`,
    );
    await sync();
  });
  afterAll(async () => {
    await site?.stop();
    // Other tests count this domain's users.
    for (const dn of [`CN=Renamed,OU=Team,${inside()}`, `OU=Team,${inside()}`, inside(), outside()]) {
      modify(`dn: ${dn}\nchangetype: delete\n\n`);
    }
  });

  it('a user, out of the included OU and in again', async () => {
    expect(await signIn()).toBe(0);
    move(`CN=${NAME}`, inside(), outside());
    expect(await sync()).toMatchObject({ deleted: 1, failed: 0 });
    expect(await signIn()).toBe(UNKNOWN_USER);
    move(`CN=${NAME}`, outside(), `OU=Team,${inside()}`);
    expect(await sync()).toMatchObject({ created: 1, credentialsSent: 1, failed: 0 });
    expect(await signIn()).toBe(0);
  });

  it('a user who is only renamed', async () => {
    move(`CN=${NAME}`, `OU=Team,${inside()}`, `OU=Team,${inside()}`, 'CN=Renamed');
    expect(await sync()).toMatchObject({ updated: 1, credentialsSent: 0, failed: 0 });
    expect(await signIn()).toBe(0);
  });

  it('an OU, with the user below', async () => {
    move('OU=Team', inside(), outside());
    expect(await sync()).toMatchObject({ deleted: 1, failed: 0 });
    expect(await signIn()).toBe(UNKNOWN_USER);
    move('OU=Team', outside(), inside());
    expect(await sync()).toMatchObject({ created: 1, credentialsSent: 1, failed: 0 });
    expect(await signIn()).toBe(0);
    expect(await sync()).toMatchObject({ seen: 0 });
  });
});
