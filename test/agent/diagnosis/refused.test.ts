/** The diagnosis where the tenant, a real one, refuses users: what the last cycle, the queue and the keys come to, and the advice. */

import { afterEach, expect, test } from 'vitest';
import { checkConnectorState } from '#src/agent/diagnosis/connector.js';
import { checkKeysSent } from '#src/agent/diagnosis/domain-services.js';
import { checkInTenant, checkRetry } from '#src/agent/diagnosis/object-state.js';
import type { ObjectUnderTest } from '#src/agent/diagnosis/object-under-test.js';
import type { DirectoryObject, DirectorySource } from '#src/agent/source.js';
import { type LabDirectory, LabSource } from '#src/agent/sources/lab-source.js';
import { openStateReader, type StateReader } from '#src/agent/state/reader.js';
import { sourceAnchorOf } from '#src/agent/user-properties.js';
import { guidFromText } from '#src/protocol/dtyp/guid.js';
import { AgentDomains } from '#src/tenant/agent-domains.js';
import { handOverAll } from '#src/tenant/provisioning/hand-over.js';
import { createCertificate } from '../../provisioning/certificates.js';
import { ADMIN, serviceOf } from '../../tenant/domain-services/site.js';
import { connector, DOMAIN, TestSite } from '../site.js';

const USERS = 12;

let site: TestSite;
afterEach(() => site?.stop());

function looked<T>(look: (reader: StateReader) => T): T {
  const reader = openStateReader(site.stateDir)!;
  try {
    return look(reader);
  } finally {
    reader.close();
  }
}

const found = () =>
  looked((reader) => {
    const options = { reader, now: Date.now(), agentRuns: true, company: undefined, staging: false };
    const checks = checkConnectorState(connector(), options);
    const of = (id: string) => checks.find((check) => check.id === id)!;
    return { last: of('last-cycle'), queue: of('retry-queue'), keys: checkKeysSent(reader, 'lab', undefined) };
  });

/** The lab's source, with those of a domain that the tenant does not have for whom `isForeign` holds. */
function source(lab: LabDirectory, isForeign: (n: number) => boolean): DirectorySource {
  const plain = new LabSource(lab);
  const names = Array.from({ length: USERS }, (_, n) => lab.userPrincipalNameOf(lab.userIndex(n)));
  const renamed = (object: DirectoryObject): DirectoryObject => {
    const n = names.indexOf(object.userPrincipalName ?? '');
    return n >= 0 && isForeign(n) ? { ...object, userPrincipalName: `u${n}@elsewhere.test` } : object;
  };
  const page = <P extends { readonly objects: readonly DirectoryObject[] }>(each: P): P => ({
    ...each,
    objects: each.objects.map(renamed),
  });
  return {
    ...{ kind: plain.kind, description: plain.description, domain: plain.domain, close: () => plain.close() },
    object: async (...args: Parameters<LabSource['object']>) => page(await plain.object(...args)),
    async *pages(...args: Parameters<LabSource['pages']>) {
      for await (const each of plain.pages(...args)) yield page(each);
    },
  };
}

test('a cycle of which every user was refused is an error, one of some a warning, and keys that wait are not all there', async () => {
  site = await TestSite.start();
  const certificate = await createCertificate(2048);
  await serviceOf(site.tenant.store).enable({ domainName: 'aadds.lab.test', certificate: certificate.der }, ADMIN);
  const lab = site.lab({ users: USERS });
  let isForeign = (_: number) => true;
  const agent = site.agent(lab, { openSource: async () => source(lab, (n) => isForeign(n)) });
  try {
    expect(await site.sync(agent)).toMatchObject({ failed: USERS, credentialsSent: 0, retryQueue: USERS });
    const all = found();
    expect(all.last).toMatchObject({ status: 'error', facts: { inScope: USERS, failed: USERS } });
    expect(all.last.finding).toContain('12 users looked at, 0 passwords sent, 12 failed: every one');
    expect(all.keys).toMatchObject({ status: 'warning', facts: { waiting: USERS } });
    expect(all.keys!.finding).toMatch(/^not yet: 12 objects of the retry queue to go; every other password/);
    expect(all.queue.advice).not.toContain('owns this user');

    isForeign = (n) => n === 0;
    expect(await site.sync(agent, true)).toMatchObject({ retryQueue: 1 });
    expect(found()).toMatchObject({ last: { status: 'warning' }, keys: { status: 'warning', facts: { waiting: 1 } } });

    isForeign = () => false;
    expect(await site.sync(agent, true)).toMatchObject({ retryQueue: 0, failed: 0 });
    const none = found();
    expect([none.last.status, none.keys!.status]).toEqual(['ok', 'ok']);
    expect(none.keys!.finding).toMatch(/^every password with its keys since/);
  } finally {
    await agent.close();
  }
});

test('users who belong to another agent are told to be, with the command that hands one over', async () => {
  site = await TestSite.start(['more.test'], ['agent-2']);
  const lab = site.lab({ users: USERS });
  const agent = site.agent(lab);
  try {
    expect(await site.sync(agent)).toMatchObject({ failed: 0 });
    const agents = new AgentDomains([
      { clientId: 'agent-1', domains: [DOMAIN] },
      { clientId: 'agent-2', domains: [DOMAIN, 'more.test'] },
    ]);
    const receiver = { clientId: 'agent-2', domain: DOMAIN };
    await handOverAll(site.tenant.store.database, 'agent-1', receiver, agents, () => new Date());
    expect(await site.sync(agent, true)).toMatchObject({ retryQueue: USERS });
  } finally {
    await agent.close();
  }
  const { queue } = found();
  expect(queue.advice).toMatch(
    /^Another agent owns this user\. .*\(phsync tenant hand-over --config tenant\.yaml --anchor ANCHOR --to /,
  );
  expect(queue.advice).toContain("leave the user out of this connector's scope");
  const lists: DirectoryObject[] = (await new LabSource(lab).pages(undefined).next()).value!.objects;
  const object = lists.find(
    ({ userPrincipalName }) => userPrincipalName === lab.userPrincipalNameOf(lab.userIndex(0)),
  )!;
  const guid = guidFromText(object.guid);
  looked((reader) => {
    const under = { object, guid, reader, connector: connector(), now: Date.now(), staging: false } as ObjectUnderTest;
    expect(checkRetry(under).advice).toContain(`--anchor ${sourceAnchorOf(guid)} --to`);
    expect(checkInTenant(under, true).status).toBe('ok');
  });
});
