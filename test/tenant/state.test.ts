/** The state directory and the certificates in it: modes, renewal, damage, and what a TLS client makes of them. */

import { spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openStateDir } from '#src/tenant/state-dir.js';
import { withStateLock } from '#src/tenant/state-lock.js';
import { hostsOf, keepAutoTls, readConfiguredTls } from '#src/tenant/tls/server-tls.js';
import { startTestTenant, temporaryDirectory, testHasher } from './harness.js';

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
beforeEach(async () => {
  directory = await temporaryDirectory();
});
afterEach(() => directory.remove());

const modeOf = async (...path: string[]) => (await stat(join(directory.path, ...path))).mode & 0o777;
const now = new Date();
const later = (days: number) => new Date(now.getTime() + days * 24 * 60 * 60 * 1000);

describe('the state directory', () => {
  it('is made private, with its parents, and leaves no trace of the trial', async () => {
    const path = join(directory.path, 'a', 'b');
    await openStateDir(path);
    expect(await modeOf('a', 'b')).toBe(0o700);
    expect(await readdir(path)).toEqual([]);
  });

  it('is made private when it is empty or the tenant’s own', async () => {
    await chmod(directory.path, 0o755);
    await openStateDir(directory.path);
    expect(await modeOf()).toBe(0o700);
    await chmod(directory.path, 0o755);
    await writeFile(join(directory.path, 'tenant.sqlite'), '');
    await openStateDir(directory.path);
    expect(await modeOf()).toBe(0o700);
  });

  it('is not taken from somebody else', async () => {
    await chmod(directory.path, 0o755);
    await writeFile(join(directory.path, 'letters.txt'), '');
    await expect(openStateDir(directory.path)).rejects.toMatchObject({ code: 'state-directory' });
    expect(await modeOf()).toBe(0o755);
  });

  it('must be one that can be written', async () => {
    await writeFile(join(directory.path, 'file'), '');
    await expect(openStateDir(join(directory.path, 'file', 'below'))).rejects.toMatchObject({
      code: 'state-directory',
    });
    await expect(openStateDir('/sys/phsync')).rejects.toMatchObject({ code: 'state-directory' });
  });
});

describe('tls: auto', () => {
  it('makes an authority and a certificate for every local name, with private keys private', async () => {
    const { cert, caPath } = await keepAutoTls(directory.path, 'dc1.phs.test', now);
    const server = new X509Certificate(cert);
    const authority = new X509Certificate(await readFile(caPath!));
    expect(authority.ca).toBe(true);
    expect(authority.verify(authority.publicKey)).toBe(true);
    expect(server.ca).toBe(false);
    expect(server.verify(authority.publicKey)).toBe(true);
    expect(server.checkIssued(authority)).toBe(true);
    for (const name of ['dc1.phs.test', 'localhost']) expect(server.checkHost(name)).toBe(name);
    for (const address of ['127.0.0.1', '::1']) expect(server.checkIP(address)).toBe(address);
    expect(server.checkHost('other.test')).toBeUndefined();
    expect(server.publicKey.asymmetricKeyDetails?.namedCurve).toBe('prime256v1');
    for (const key of ['ca-key.pem', 'key.pem']) expect(await modeOf(key)).toBe(0o600);
  });

  it('keeps what it made, and renews the server’s certificate alone when it is due', async () => {
    const first = await keepAutoTls(directory.path, '127.0.0.1', now);
    const authority = await readFile(first.caPath!, 'utf8');
    expect(await keepAutoTls(directory.path, '127.0.0.1', later(300))).toEqual(first);
    const renewed = await keepAutoTls(directory.path, '127.0.0.1', later(370));
    expect(renewed.cert).not.toBe(first.cert);
    expect(await readFile(first.caPath!, 'utf8')).toBe(authority);
    expect(new X509Certificate(renewed.cert).verify(new X509Certificate(authority).publicKey)).toBe(true);
    expect(Date.parse(new X509Certificate(renewed.cert).validTo)).toBeGreaterThan(later(700).getTime());
    expect(await keepAutoTls(directory.path, '127.0.0.1', later(370))).toEqual(renewed);
  });

  it('renews for a new name and for a damaged or missing certificate or key', async () => {
    let last = await keepAutoTls(directory.path, '127.0.0.1', now);
    const changes: (() => Promise<unknown>)[] = [
      () => writeFile(join(directory.path, 'cert.pem'), 'damaged'),
      () => writeFile(join(directory.path, 'key.pem'), 'damaged'),
      () => rm(join(directory.path, 'key.pem')),
      () => rm(join(directory.path, 'cert.pem')),
    ];
    for (const change of changes) {
      await change();
      const next = await keepAutoTls(directory.path, '127.0.0.1', now);
      expect(next.cert).not.toBe(last.cert);
      last = next;
    }
    const named = await keepAutoTls(directory.path, 'tenant.example', now);
    expect(new X509Certificate(named.cert).checkHost('tenant.example')).toBe('tenant.example');
  });

  it('does not replace an authority of which half is lost or damaged', async () => {
    const { caPath } = await keepAutoTls(directory.path, '127.0.0.1', now);
    const keyPath = join(directory.path, 'ca-key.pem');
    const key = await readFile(keyPath);
    await rm(keyPath);
    await expect(keepAutoTls(directory.path, '127.0.0.1', now)).rejects.toMatchObject({ code: 'tls-state' });
    await writeFile(keyPath, key);
    await writeFile(caPath!, 'damaged');
    await expect(keepAutoTls(directory.path, '127.0.0.1', now)).rejects.toMatchObject({ code: 'tls-state' });
  });

  it('makes a new authority when the old one has ended', async () => {
    const first = await keepAutoTls(directory.path, '127.0.0.1', now);
    const authority = await readFile(first.caPath!, 'utf8');
    const next = await keepAutoTls(directory.path, '127.0.0.1', later(3660));
    expect(await readFile(next.caPath!, 'utf8')).not.toBe(authority);
    expect(next.cert).not.toBe(first.cert);
  });

  it('names the host of the public URL', async () => {
    const hasher = testHasher();
    for (const host of ['sign-in.example', '[2001:db8::7]', '192.0.2.7']) {
      const config = { publicUrl: `https://${host}:8443/` };
      const tenant = await startTestTenant({ stateDir: directory.path, hasher, config });
      await tenant.close();
      const cert = new X509Certificate(await readFile(join(directory.path, 'cert.pem')));
      const name = host.replace(/[[\]]/g, '');
      expect(cert.checkHost(name) ?? cert.checkIP(name)).toBe(name);
      expect(cert.checkHost('localhost')).toBe('localhost');
    }
    await hasher.close();
  });

  it('names this machine where it listens on every address', () => {
    for (const wildcard of ['0.0.0.0', '::']) {
      expect(hostsOf(wildcard)).not.toContain(wildcard);
      expect(hostsOf(wildcard)).toEqual(expect.arrayContaining(['localhost', '127.0.0.1', '::1']));
    }
  });
});

describe('tenants that start at once on one new directory', () => {
  it('share one authority and one token key', { timeout: 240_000 }, async () => {
    const hasher = testHasher();
    const start = () => startTestTenant({ stateDir: directory.path, hasher });
    const tenants = await Promise.all([start(), start(), start()]);
    const keys = await Promise.all(tenants.map(async ({ get }) => (await get('/common/discovery/v2.0/keys')).text));
    expect(new Set(keys).size).toBe(1);
    expect(new Set(tenants.map(({ tenantId }) => tenantId)).size).toBe(1);
    await Promise.all(tenants.map((tenant) => tenant.close()));
    // Finds authority and key that belong together, else it throws.
    const { cert, caPath } = await keepAutoTls(directory.path, '127.0.0.1', new Date());
    expect(new X509Certificate(cert).verify(new X509Certificate(await readFile(caPath!)).publicKey)).toBe(true);
    for (const name of await readdir(directory.path)) {
      if (name !== 'ca.pem') expect(await modeOf(name)).toBe(0o600);
    }
    await hasher.close();
  });

  it('take their turns, and do not wait for one that died', { timeout: 60_000 }, async () => {
    let inside = 0;
    const work = async () => {
      expect(++inside).toBe(1);
      await sleep(30);
      inside--;
    };
    await Promise.all([1, 2, 3].map(() => withStateLock(directory.path, work)));
    const module = new URL('../../dist/tenant/state-lock.js', import.meta.url).href;
    const script = `
      const { withStateLock } = await import(${JSON.stringify(module)});
      await withStateLock(process.argv[1], async () => {
        process.stdout.write('locked');
        await new Promise((resolve) => setTimeout(resolve, 60_000));
      });`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script, directory.path]);
    await once(child.stdout, 'data');
    let entered = false;
    const waiting = withStateLock(directory.path, async () => {
      entered = true;
    });
    await sleep(200);
    expect(entered).toBe(false);
    child.kill('SIGKILL');
    await waiting;
    expect(entered).toBe(true);
  });
});

describe('a configured certificate', () => {
  it('is taken when it fits, and refused with the file when not', async () => {
    const { cert, key } = await keepAutoTls(directory.path, '127.0.0.1', now);
    const paths = { cert: join(directory.path, 'cert.pem'), key: join(directory.path, 'key.pem') };
    expect(await readConfiguredTls(paths)).toEqual({ cert, key, caPath: undefined });
    const refused = async (changed: Partial<typeof paths>) =>
      expect(await readConfiguredTls({ ...paths, ...changed }).catch((error) => error)).toMatchObject({
        code: 'config-tls',
        message: expect.stringContaining(Object.values(changed)[0]!),
      });
    await refused({ cert: join(directory.path, 'nowhere.pem') });
    await refused({ key: join(directory.path, 'ca-key.pem') });
    await mkdir(join(directory.path, 'folder'));
    await refused({ key: join(directory.path, 'folder') });
  });
});
