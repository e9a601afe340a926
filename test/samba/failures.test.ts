/** What goes wrong between agent and domain controller: each a clear error, and the next run goes on from the cookie. */

import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { CycleReport } from '#src/agent/agent.js';
import { createDrsSource } from '#src/agent/sources/drs-source.js';
import { decodeCookie } from '#src/protocol/drsr/cookie.js';
import { describeDc, facts, special, users } from './dc.js';
import { type DirectoryOptions, Site, upnOf } from './harness.js';
import { TroubledDc } from './proxy.js';

describeDc('an agent that cannot replicate', () => {
  let site: Site;
  beforeAll(async () => {
    site = await Site.start();
  });
  afterAll(() => site?.stop());

  /** A run that fails: exit 3, one error with this code, and nothing of a secret in it. */
  async function failing(options: DirectoryOptions, code: string): Promise<string> {
    const run = await site.agentOnce(options);
    expect(run.code).toBe(3);
    expect(run.done).toBe(false);
    expect(run.error?.code).toBe(code);
    for (const secret of ['Sync.Passw0rd.1', options.password ?? 'Sync.Passw0rd.1']) {
      expect(`${run.stdout}${run.stderr}`).not.toContain(secret);
    }
    return run.error!.message;
  }

  it.each(['no-rights', 'changes-without-all'])('for want of permissions (%s) names both of them', async (kind) => {
    const { name, password } = special(kind);
    const message = await failing({ user: name, password: password! }, 'dc-access-denied');
    expect(message).toMatch(/"Replicating Directory Changes"/);
    expect(message).toMatch(/"Replicating Directory Changes All"/);
    expect(message).toContain(name);
    expect(message).toContain(facts().dnsDomain);
  });

  it('for a wrong password names the account', async () => {
    const message = await failing({ password: 'Wrong.Passw0rd' }, 'dc-logon-failed');
    expect(message).toContain(special('sync-account').name);
  });

  it('for an account that does not exist names it', async () => {
    expect(await failing({ user: 'phs.nobody' }, 'dc-logon-failed')).toContain('phs.nobody');
  });

  it('for a closed port names address and port', async () => {
    expect(await failing({ address: '127.255.1.1' }, 'dc-unreachable')).toMatch(/127\.255\.1\.1.*135.*ECONNREFUSED/);
  });

  it('for a name without an address names it', async () => {
    const server = 'dc9.does-not-exist.invalid';
    expect(await failing({ server, address: null }, 'dc-name-unknown')).toContain(server);
  });

  it('for a domain that the controller does not hold names it', async () => {
    expect(await failing({ more: { domain: 'other.test' } }, 'dc-wrong-domain')).toContain('other.test');
  });

  it('says the same in words without --json', async () => {
    const { name, password } = special('no-rights');
    const run = await site.agentOnce({ user: name, password: password!, words: true });
    expect(run.code).toBe(3);
    expect(run.stdout).toBe('');
    expect(run.stderr).toMatch(
      /^phsync: connector phs\.test: .*"Replicating Directory Changes" .*"Replicating Directory Changes All"/m,
    );
  });

  it('exits with 2 for a configuration that is wrong, and names the key', async () => {
    const run = await site.agentOnce({ more: { nonsense: 1 } });
    expect(run.code).toBe(2);
    expect(run.error?.code).toBe('config-invalid');
    expect(run.error?.message).toMatch(/nonsense/);
  });

  it('succeeds as soon as the cause is gone', async () => {
    const run = await site.agentOnce();
    expect(run.code).toBe(0);
    const { name, password } = special('plain');
    expect(await site.signIn(upnOf(name), password!)).toBe(0);
  });
});

/** How far the agent's stored cookie reaches. */
function storedUsn(site: Site): bigint {
  const db = new Database(join(site.agentState, 'agent.sqlite'), { readonly: true });
  const cookie = db.prepare('SELECT cookie FROM connector').pluck().get() as Uint8Array;
  db.close();
  return decodeCookie(cookie).usn.usnHighObjUpdate;
}

/** Many pages, some of which are settled when the connection breaks; and a short patience. */
const SMALL_PAGES = { pageSize: 200, timeoutSeconds: 5 };

describeDc('a domain controller that fails in the middle of a page', () => {
  let wholeReplication: number;
  let wholeReport: CycleReport;

  beforeAll(async () => {
    const site = await Site.start();
    const proxy = await TroubledDc.start();
    try {
      const run = await site.agentOnce({ address: proxy.address, more: SMALL_PAGES });
      expect(run.error).toBeUndefined();
      wholeReport = run.report;
      wholeReplication = proxy.replicated;
    } finally {
      proxy.close();
      await site.stop();
    }
  });

  it('sends several pages otherwise', () => {
    expect(wholeReport.pages).toBeGreaterThan(9);
    expect(wholeReplication).toBeGreaterThan(500_000);
  });

  it.each([
    ['cut', 0.7, 'dc-connection-lost'],
    ['stall', 0.7, 'dc-timeout'],
    ['cut', 0.35, 'dc-connection-lost'],
  ] as const)(
    '(%s after %d of all bytes) gives a clear error; the next run continues from the cookie',
    async (then, part, code) => {
      const site = await Site.start();
      const proxy = await TroubledDc.start({ afterBytes: Math.round(wholeReplication * part), then });
      try {
        const broken = await site.agentOnce({ address: proxy.address, more: SMALL_PAGES });
        expect(broken.code).toBe(3);
        expect(broken.error?.code).toBe(code);
        expect(broken.error?.message).toContain(proxy.address);
        // What was settled stays settled, page by page; the page that broke off is not.
        const { pages } = broken.report;
        expect(pages).toBeGreaterThan(0);
        expect(pages).toBeLessThan(wholeReport.pages - 2);
        expect(broken.report.credentialsSent).toBeGreaterThan(0);
        expect(storedUsn(site)).toBeGreaterThan(0n);

        const next = await site.agentOnce({ more: SMALL_PAGES });
        expect(next.error).toBeUndefined();
        expect(next.code).toBe(0);
        // Asked with the cookie, Samba looks through all objects again on a new connection (usnHighPropUpdate moves with
        // the last page alone); what was settled is not sent again for that.
        expect(broken.report.created + next.report.created).toBe(wholeReport.created);
        expect(broken.report.credentialsSent + next.report.credentialsSent).toBe(wholeReport.credentialsSent);
        expect(next.report.failed + next.report.retryQueue).toBe(0);
        const everybody = users().filter((user) => user.kind === 'bulk');
        const codes = await site.signInAll(
          everybody
            .filter((_, i) => i % 7 === 0)
            .map(({ name, password }) => ({ upn: upnOf(name), password: password! })),
        );
        expect(new Set(codes)).toEqual(new Set([0]));
      } finally {
        proxy.close();
        await site.stop();
      }
    },
  );
});

describeDc('the pages of a domain controller', () => {
  it('are asked for one ahead, while the page before is worked on, and no further', async () => {
    const proxy = await TroubledDc.start();
    const { dnsHostName, dnsDomain } = facts();
    const { name: user, password } = special('sync-account');
    const source = await createDrsSource({
      server: dnsHostName,
      address: proxy.address,
      domain: dnsDomain,
      pageSize: 40,
      auth: { mechanism: 'ntlm', user, password: password! },
    });
    const before = proxy.asked;
    const asked = () => proxy.asked - before;
    try {
      const pages = source.pages(undefined)[Symbol.asyncIterator]();
      const first = await pages.next();
      expect(first.value).toMatchObject({ more: true });
      // The page itself, the one that is on its way, and the one that the server is at then.
      await expect.poll(asked).toBe(3);
      await setTimeout(500);
      expect(asked()).toBe(3);
      const second = await pages.next();
      await expect.poll(asked).toBe(4);
      const guids = new Set(
        [first, second].flatMap(({ value }) => value.objects.map(({ guid }: { guid: string }) => guid)),
      );
      // The domain's head may stand in both.
      expect(guids.size).toBeGreaterThanOrEqual(first.value.objects.length + second.value.objects.length - 1);
      // What was asked for and is no longer wanted stands in nobody's way.
      await pages.return?.(undefined);
      const { guid } = first.value.objects.at(-1);
      expect((await source.object({ guid })).objects[0]?.guid).toBe(guid);
    } finally {
      await source.close();
      proxy.close();
    }
  });
});
