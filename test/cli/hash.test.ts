/** `phsync hash`, `verify` and `info` as a shell sees them: exit code, stdout, stderr. */

import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { KernelWidth } from '#src/hasher/backend.js';
import { loadNative } from '#src/hasher/native.js';
import orgid from '../vectors/orgid.json' with { type: 'json' };

const root = fileURLToPath(new URL('../..', import.meta.url));
const NT_HASH = '92937945b518814341de3f726500d4ff';
const SALT = '181a3024085fcee2f70e';
const CREDENTIAL = `v1;PPH1_MD4,${SALT},1000,b39525c3bc72a1136fcf7c8a338e0c14313d0450d1a4c98ef0a6ddada3bc5b0a;`;

interface Run {
  readonly input?: string | Uint8Array;
  readonly env?: NodeJS.ProcessEnv;
  readonly from?: string;
}

function phsync(args: readonly string[], { input = '', env = {}, from = root }: Run = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(from, 'dist/cli/main.js'), ...args], {
    input,
    encoding: 'utf8',
    env: { ...process.env, PHSYNC_BACKEND: '', PHSYNC_KERNEL: '', ...env },
    timeout: 100_000,
  });
  return { status, stdout, stderr };
}

describe('phsync hash', () => {
  it.each(orgid)('password from standard input: $source, $salt', ({ password, salt, iterations, hash }) => {
    const args = ['hash', '--password-stdin', '--salt', salt, '--iterations', String(iterations)];
    expect(phsync(args, { input: `${password}\n` })).toEqual({
      status: 0,
      stdout: `v1;PPH1_MD4,${salt},${iterations},${hash};\n`,
      stderr: '',
    });
  });

  it.each([
    ['--nt-hash', ['--nt-hash', NT_HASH.toUpperCase()], ''],
    ['--nt-hash-stdin', ['--nt-hash-stdin'], `${NT_HASH}\r\n`],
    ['a password without a line end', ['--password-stdin'], 'Pa$$w0rd'],
    ['a password with a Windows line end', ['--password-stdin'], 'Pa$$w0rd\r\n'],
    ['the fallback', ['--nt-hash', NT_HASH], '', { PHSYNC_BACKEND: 'fallback' } as NodeJS.ProcessEnv],
  ])('%s', (_, args, input, env = {}) => {
    const run = phsync(['hash', '--salt', SALT, ...args], { input, env });
    expect(run).toEqual({ status: 0, stdout: `${CREDENTIAL}\n`, stderr: '' });
  });

  it('takes off one line end, not two', () => {
    const run = phsync(['hash', '--salt', SALT, '--password-stdin'], { input: 'Pa$$w0rd\n\n' });
    expect([run.status, run.stdout === `${CREDENTIAL}\n`]).toEqual([0, false]);
  });

  it('takes a line end alone for the empty password', () => {
    // MD4 of nothing (RFC 1320, A.5).
    const empty = phsync(['hash', '--salt', SALT, '--nt-hash', '31d6cfe0d16ae931b73c59d7e0c089c0']);
    expect(phsync(['hash', '--salt', SALT, '--password-stdin'], { input: '\n' })).toEqual(empty);
    expect(phsync(['hash', '--password-stdin']).stderr).toBe('phsync: --password-stdin: standard input is empty\n');
  });

  it('prints one JSON document', () => {
    const { status, stdout } = phsync(['hash', '--nt-hash', NT_HASH, '--salt', SALT, '--json']);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      credential: CREDENTIAL,
      salt: SALT,
      iterations: 1000,
      hash: CREDENTIAL.slice(-65, -1),
    });
  });

  it('draws a salt', () => {
    const [one, two] = [0, 1].map(() => phsync(['hash', '--nt-hash', NT_HASH]).stdout);
    expect(one).toMatch(/^v1;PPH1_MD4,[0-9a-f]{20},1000,[0-9a-f]{64};\n$/);
    expect(one).not.toBe(two);
  });

  it.each([
    ['no secret', [], '', 'usage-secret'],
    ['two secrets', ['--nt-hash', NT_HASH, '--password-stdin'], '', 'usage-conflicting-option'],
    ['a short NT hash', ['--nt-hash', NT_HASH.slice(2)], '', 'usage-hex'],
    ['an NT hash that is no hex', ['--nt-hash', `x${NT_HASH.slice(1)}`], '', 'usage-hex'],
    ['a long salt', ['--nt-hash', NT_HASH, '--salt', `${SALT}00`], '', 'usage-hex'],
    ['0 iterations', ['--nt-hash', NT_HASH, '--iterations', '0'], '', 'usage-iterations'],
    ['1e3 iterations', ['--nt-hash', NT_HASH, '--iterations', '1e3'], '', 'usage-iterations'],
    ['1000000 iterations', ['--nt-hash', NT_HASH, '--iterations', '1000000'], '', 'usage-iterations'],
    ['input that is no UTF-8', ['--password-stdin'], Uint8Array.of(0x41, 0xff), 'usage-stdin'],
    ['no input at all', ['--password-stdin'], '', 'usage-stdin'],
    ['too much input', ['--password-stdin'], 'x'.repeat(70_000), 'usage-stdin'],
    ['an unknown option', [`--nt-hahs=${NT_HASH}`], '', 'usage-unknown-option'],
    ['an argument', [NT_HASH], '', 'usage-excess-arguments'],
  ])('exits 2 for %s, without repeating what it was given', (_, args, input, code) => {
    const text = phsync(['hash', ...args], { input });
    expect([text.status, text.stdout]).toEqual([2, '']);
    expect(text.stderr).toMatch(/^phsync: [^\n]+\n$/);
    const json = phsync(['hash', ...args, '--json'], { input });
    expect([json.status, json.stderr, JSON.parse(json.stdout).error.code]).toEqual([2, '', code]);
    for (const output of [text.stderr, json.stdout]) expect(output).not.toContain(NT_HASH.slice(2));
  });
});

describe('phsync verify', () => {
  const args = ['verify', '--credential', CREDENTIAL];

  it.each([
    ['the password', ['--password-stdin'], 'Pa$$w0rd\n', 0],
    ['the NT hash', ['--nt-hash', NT_HASH], '', 0],
    ['another password', ['--password-stdin'], 'pa$$w0rd\n', 1],
    ['another NT hash', ['--nt-hash', NT_HASH.replace('9', '8')], '', 1],
  ])('%s', (_, secret, input, status) => {
    const text = status === 0 ? 'matches\n' : 'does not match\n';
    expect(phsync([...args, ...secret], { input })).toEqual({ status, stdout: text, stderr: '' });
    const json = phsync([...args, ...secret, '--json'], { input });
    expect([json.status, JSON.parse(json.stdout)]).toEqual([status, { matches: status === 0 }]);
  });

  it.each([
    ['no credential', ['verify', '--nt-hash', NT_HASH], 'usage-missing-mandatory-option-value'],
    ['a bad credential', ['verify', '--credential', CREDENTIAL.slice(3), '--nt-hash', NT_HASH], 'usage-credential'],
    ['no secret', args, 'usage-secret'],
  ])('exits 2 for %s', (_, wrong, code) => {
    const { status, stdout, stderr } = phsync([...wrong, '--json']);
    expect([status, stderr, JSON.parse(stdout).error.code]).toEqual([2, '', code]);
    expect(stdout).not.toContain(SALT);
  });
});

describe('phsync info', () => {
  const loaded = loadNative();

  it('tells the backend and the kernels', () => {
    const { status, stdout } = phsync(['info', '--json']);
    const info = JSON.parse(stdout);
    expect(status).toBe(0);
    if ('native' in loaded) {
      const { supported } = loaded.native.kernels;
      // Their order is measured by each process for itself.
      expect(info).toMatchObject({ backend: 'native', kernel: info.kernels[0] });
      expect(info.kernels.toSorted()).toEqual(supported.toSorted());
      const widths: KernelWidth[] = info.widths;
      expect(new Set(widths.map(({ kernel }) => kernel))).toEqual(new Set(supported));
      expect(Math.min(...widths.map(({ nanoseconds }) => nanoseconds))).toBeGreaterThan(0);
    } else {
      expect(info).toMatchObject({ backend: 'fallback', whyNotNative: loaded.whyNot });
    }
    expect(phsync(['info']).stdout).toContain(`backend          ${info.backend}\n`);
  });

  it('says why native is off: asked for, or not loadable', () => {
    const asked = phsync(['info', '--json'], { env: { PHSYNC_BACKEND: 'fallback' } });
    expect(JSON.parse(asked.stdout)).toMatchObject({ backend: 'fallback', kernels: [] });
    expect(JSON.parse(asked.stdout).whyNotNative).toContain('PHSYNC_BACKEND');

    const copy = mkdtempSync(join(tmpdir(), 'phsync-info-'));
    try {
      for (const name of ['dist', 'package.json']) cpSync(join(root, name), join(copy, name), { recursive: true });
      symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
      const { status, stdout } = phsync(['info', '--json'], { from: copy });
      expect([status, JSON.parse(stdout).backend]).toEqual([0, 'fallback']);
      expect(JSON.parse(stdout).whyNotNative).toContain('No native build was found');
      const forced = phsync(['info', '--json'], { from: copy, env: { PHSYNC_BACKEND: 'native' } });
      expect([forced.status, JSON.parse(forced.stdout).error.code]).toEqual([2, 'config-backend']);
    } finally {
      rmSync(copy, { recursive: true });
    }
  });

  it.each([
    [{ PHSYNC_KERNEL: 'avx1024' }, 'config-kernel'],
    [{ PHSYNC_BACKEND: 'wasm' }, 'config-backend'],
  ])('exits 2 for %j', (env, code) => {
    const { status, stdout } = phsync(['info', '--json'], { env });
    expect([status, JSON.parse(stdout).error.code]).toEqual([2, code]);
  });
});

describe('phsync', () => {
  it('tells its version', () => {
    expect(phsync(['--version'])).toMatchObject({ status: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+/) });
  });

  it('helps on a command', () => {
    const { status, stdout } = phsync(['hash', '--help']);
    expect([status, stdout]).toEqual([0, expect.stringContaining('--password-stdin')]);
  });

  it('exits 2 for an unknown command and names the known ones', () => {
    const { status, stdout, stderr } = phsync(['frob']);
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^phsync: unknown command 'frob'; expected one of .*hash.*\n$/);
  });
});
