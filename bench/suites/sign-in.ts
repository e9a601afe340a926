/**
 * `grant_type=password` over TLS with 64 requests under way: the tenant as it is shipped, beside a plain server that
 * awaits `crypto.pbkdf2` for each request. Server, and the load that is measured with, share the machine's cores.
 */

import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { createHasher } from '#src/hasher/create-hasher.js';
import { createProvisioningClient } from '#src/provisioning/client.js';
import { createClientCredentials } from '#src/provisioning/client-credentials.js';
import { type Case, median, quantile, type SuiteOptions } from '../result.js';
import type { LoadResult, LoadTask } from '../sign-in-load.js';
import type { ServerReady, ServerTask } from '../sign-in-server.js';
import { type Site, usage, withTenant } from '../site.js';

const CONNECTIONS = 64;
const DOMAIN = 'bench.test';
const PEOPLE = 2000;
/** Of each server before anything counts: the compiler is done by then, however slow the machine is just now. */
const WARM_UP_SIGN_INS = 12_000;
const WARM_UP_SECONDS = 1;
/** A sample that is too short has too few in its slowest percent. */
const LEAST_SECONDS = 2;

interface Person {
  readonly name: string;
  readonly password: string;
  readonly objectId: string;
  readonly salt: string;
  readonly hash: string;
}

const CLIENT = 'bench';
/** `idTokenAlgorithm: ES256` */
const ES256_CLIENT = 'bench-es256';
const APPLICATIONS = `applications: [{ clientId: ${CLIENT} }, { clientId: ${ES256_CLIENT}, idTokenAlgorithm: ES256 }]`;

interface Asked {
  readonly clientId: string;
  readonly scope: string;
}
/** What is signed: an access token (ES256), or an id token (RS256, or ES256 where the application says so) with it. */
const ASKED: Readonly<Record<string, Asked>> = {
  'access token': { clientId: CLIENT, scope: 'profile' },
  'access and id token': { clientId: CLIENT, scope: 'openid profile' },
  'access and id token (ES256)': { clientId: ES256_CLIENT, scope: 'openid profile' },
};

interface Server {
  readonly name: string;
  readonly pid: number;
  readonly port: number;
  readonly ca: string;
  readonly path: string;
}

interface Measured {
  readonly perSecond: number;
  readonly serverCpuMicroseconds: number;
  readonly latencyMicroseconds: readonly number[];
}

async function makePeople(): Promise<Person[]> {
  const hasher = createHasher({ threads: 1 });
  try {
    const passwords = Array.from({ length: PEOPLE }, () => randomBytes(9).toString('base64'));
    return await Promise.all(
      passwords.map(async (password, i) => {
        const { salt, hash } = await hasher.derive(await hasher.ntHash(password));
        return {
          name: `user${i}@${DOMAIN}`,
          password,
          objectId: randomUUID(),
          salt: Buffer.from(salt).toString('hex'),
          hash: Buffer.from(hash).toString('hex'),
        };
      }),
    );
  } finally {
    await hasher.close();
  }
}

async function provision({ url, tokenUrl, ca, agent }: Site, people: readonly Person[]): Promise<void> {
  const tokens = createClientCredentials({ tokenUrl, ca, ...agent });
  const client = createProvisioningClient({
    url: `${url}/provisioningservice.svc`,
    ca,
    token: (force) => tokens.token(force),
  });
  try {
    await client.provisionAzureADSyncObjects(
      people.map(({ name, objectId }) => ({
        syncObjectType: 'User',
        syncOperation: 'Set' as const,
        propertyValues: new Map([
          ['SourceAnchor', objectId],
          ['userPrincipalName', name],
          ['displayName', name],
        ]),
      })),
    );
    const results = await client.provisionCredentials(
      people.map(({ objectId, salt, hash }) => ({
        changeDate: new Date(),
        cloudAnchor: undefined,
        credentialData: `v1;PPH1_MD4,${salt},1000,${hash};`,
        forcePasswordChangeOnLogon: false,
        sourceAnchor: objectId,
        windowsLegacyCredentials: undefined,
        windowsSupplementalCredentials: undefined,
      })),
    );
    if (results.some(({ result }) => result !== 0)) throw new Error('a credential was not stored');
  } finally {
    await client.close();
    await tokens.close();
  }
}

async function child<Task extends object>(
  file: string,
  task: Task,
): Promise<{ process: ChildProcess; first: unknown }> {
  const started = fork(fileURLToPath(new URL(file, import.meta.url)));
  await once(started, 'message');
  const answer = Promise.race([
    once(started, 'message').then(([message]: unknown[]) => message),
    once(started, 'exit').then(() => Promise.reject(new Error(`${file} ended`))),
  ]);
  started.send(task);
  return { process: started, first: await answer };
}

async function load(task: LoadTask): Promise<LoadResult> {
  const { process: loader, first } = await child('../sign-in-load.js', task);
  loader.disconnect();
  return first as LoadResult;
}

async function warmUp({ port, ca, path }: Server, asked: Asked, people: readonly Person[]): Promise<void> {
  const task = { port, ca, path, ...asked, people, connections: CONNECTIONS, seconds: WARM_UP_SECONDS };
  for (let left = WARM_UP_SIGN_INS; left > 0; left -= (await load(task)).signIns);
}

async function measureOne(
  { port, ca, path, pid }: Server,
  asked: Asked,
  people: readonly Person[],
  seconds: number,
): Promise<Measured> {
  const task = { port, ca, path, ...asked, people, connections: CONNECTIONS };
  const before = usage(pid)!.cpuSeconds;
  const { signIns, seconds: took, latencyMicroseconds } = await load({ ...task, seconds });
  return {
    perSecond: signIns / took,
    serverCpuMicroseconds: ((usage(pid)!.cpuSeconds - before) * 1e6) / signIns,
    latencyMicroseconds,
  };
}

export async function signIn({ rounds, seconds, say }: SuiteOptions): Promise<Case[]> {
  const people = await makePeople();
  const plain = await child<ServerTask>('../sign-in-server.js', { people, es256Client: ES256_CLIENT });
  try {
    const measure = async (site: Site) => {
      await provision(site, people);
      const { port, ca } = plain.first as ServerReady;
      const servers: readonly Server[] = [
        {
          name: 'phsync',
          pid: site.pid,
          port: Number(new URL(site.url).port),
          ca: site.ca,
          path: new URL(site.tokenUrl).pathname,
        },
        { name: 'await crypto.pbkdf2', pid: plain.process.pid!, port, ca, path: '/token' },
      ];
      for (const server of servers) await warmUp(server, ASKED['access and id token']!, people);
      const all = new Map<string, Measured[]>();
      for (let round = 0; round < rounds; round++) {
        for (const [what, asked] of Object.entries(ASKED)) {
          // The one that comes second must not always be the same.
          for (const server of round % 2 === 0 ? servers : servers.toReversed()) {
            const measured = await measureOne(server, asked, people, Math.max(seconds, LEAST_SECONDS));
            const name = `${server.name}, ${what}`;
            all.set(name, [...(all.get(name) ?? []), measured]);
            const cpu = `${measured.serverCpuMicroseconds.toFixed(0)} µs CPU of the server each`;
            say(`round ${round + 1} of ${rounds}: ${name}: ${Math.round(measured.perSecond)}/s, ${cpu}`);
          }
        }
      }
      return Object.keys(ASKED).flatMap((what) => casesOf(what, all));
    };
    return await withTenant(DOMAIN, {}, measure, '{ type: sqlite }', APPLICATIONS);
  } finally {
    plain.process.disconnect();
  }
}

function casesOf(what: string, all: ReadonlyMap<string, readonly Measured[]>): Case[] {
  const [ours, theirs] = [`phsync, ${what}`, `await crypto.pbkdf2, ${what}`] as const;
  return [ours, theirs].map((name): Case => {
    const measured = all.get(name)!;
    const rates = measured.map(({ perSecond }) => perSecond);
    const latencies = measured.flatMap(({ latencyMicroseconds }) => [...latencyMicroseconds]);
    const other = all.get(theirs)!;
    return {
      name,
      kernel: undefined,
      threads: CONNECTIONS,
      perSecond: median(rates),
      ratios: name === ours ? { [theirs]: median(rates.map((rate, round) => rate / other[round]!.perSecond)) } : {},
      samples: rates,
      clock: 'wall',
      ...(name === ours ? { reference: theirs } : {}),
      more: {
        medianMicroseconds: quantile(latencies, 0.5),
        p99Microseconds: quantile(latencies, 0.99),
        serverCpuMicroseconds: median(measured.map(({ serverCpuMicroseconds }) => serverCpuMicroseconds)),
      },
    };
  });
}
