/** Configuration files: what is refused, with which place and words, and what never appears in them. */

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { loadConfig, parseConfig } from '#src/config/load-config.js';
import type { ConfigSchemas } from '#src/config/schemas.js';
import { resolveSecret } from '#src/config/secrets.js';
import { PhsyncError } from '#src/hasher/errors.js';

const schema = ({ path, secret }: ConfigSchemas) =>
  z.strictObject({
    stateDir: path,
    port: z.number().int().min(1).max(65535),
    tls: z.literal('auto').default('auto'),
    agents: z.array(z.strictObject({ clientId: z.string(), clientSecret: secret })).default([]),
  });

const parse = (text: string) => parseConfig(text, '/etc/phsync/tenant.yaml', schema);

function refusal(work: () => unknown): PhsyncError {
  try {
    work();
  } catch (error) {
    if (error instanceof PhsyncError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'phsync-config-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

describe('a configuration file', () => {
  it('comes out checked, with defaults, its paths counted from the file', async () => {
    const file = join(directory, 'good.yaml');
    await writeFile(file, 'stateDir: ./state\nport: 8443\nagents: [{ clientId: a, clientSecret: { file: s } }]\n');
    expect(await loadConfig(file, schema)).toEqual({
      stateDir: join(directory, 'state'),
      port: 8443,
      tls: 'auto',
      agents: [{ clientId: 'a', clientSecret: { file: join(directory, 's') } }],
    });
  });

  it.each([
    ['an unknown key', 'stateDir: x\nport: 1\nbogus: 1\n', 'line 3: bogus: unknown key'],
    [
      'an unknown key deep down',
      'stateDir: x\nport: 1\nagents:\n  - clientId: a\n    clientSecret: { env: A }\n    x: 1\n',
      'line 6: agents[0].x: unknown key',
    ],
    ['a mistyped key', 'statedir: x\nport: 1\n', 'line 1: statedir: unknown key; did you mean stateDir?'],
    [
      'a mistyped key deep down',
      'stateDir: x\nport: 1\nagents:\n  - clientId: a\n    clientSercet: { env: A }\n',
      'line 5: agents[0].clientSercet: unknown key; did you mean clientSecret?',
    ],
    ['a wrong type', 'stateDir: x\nport: "80"\n', 'line 2: port: expected number, received string'],
    ['a value out of range', 'port: 70000\nstateDir: x\n', 'line 1: port: expected number to be <=65535'],
    ['a missing key', 'stateDir: x\n', 'port: expected number, but it is missing'],
    ['an empty path', 'stateDir: ""\nport: 1\n', 'line 1: stateDir: expected a path, but it is empty'],
    ['a wrong word', 'stateDir: x\nport: 1\ntls: off\n', 'line 3: tls: expected "auto"'],
    ['an empty file', '', 'stateDir: expected a path'],
    ['a list', '- a\n', 'the document: expected object, received array'],
  ])('refuses %s with its place', (_name, text, expected) => {
    const error = refusal(() => parse(text));
    expect(error.code).toBe('config-invalid');
    expect(error.message).toContain('/etc/phsync/tenant.yaml: ');
    expect(error.message).toContain(expected);
  });

  it('names every finding at once', () => {
    const { message } = refusal(() => parse('port: x\nbogus: 1\n'));
    expect(message).toContain('stateDir');
    expect(message).toContain('port');
    expect(message).toContain('bogus');
  });

  it.each([
    ['stateDir: [1, 2\nport: 1\n', 2],
    ['stateDir: x\n\tport: 1\n', 2],
    ['stateDir: x\nport: 1\nport: 2\n', 3],
  ])('says where YAML ends: %j', (text, line) => {
    const error = refusal(() => parse(text));
    expect(error.code).toBe('config-syntax');
    expect(error.facts.line).toBe(line);
    expect(error.message).toMatch(new RegExp(`^/etc/phsync/tenant.yaml:${line}:\\d+: not valid YAML`));
  });

  it('does not unfold aliases without end', () => {
    const bomb = [
      'a: &a [x,x,x,x,x,x,x,x,x]',
      ...'bcdefghi'.split('').map((name, i) => `${name}: &${name} [${Array(9).fill(`*${'abcdefgh'[i]}`).join(',')}]`),
    ];
    expect(refusal(() => parse(`${bomb.join('\n')}\n`)).code).toBe('config-syntax');
  });

  it('never repeats a secret that was written inline', () => {
    const text = (value: string) => `stateDir: x\nport: 1\nagents: [{ clientId: a, clientSecret: ${value} }]\n`;
    for (const value of ['hunter2', '{ value: hunter2 }', '{ env: "hunter2!" }', '{ env: A, file: hunter2 }']) {
      const error = refusal(() => parse(text(value)));
      expect(error.message).toMatch(
        /agents\[0\]\.clientSecret(: expected \{ env: NAME \} or|\.env: expected the name of an env)/,
      );
      expect(JSON.stringify([error.message, error.facts])).not.toContain('hunter2');
    }
    // Broken YAML around a secret: the parser would quote it.
    expect(refusal(() => parse('clientSecret: "hunter2\n')).message).not.toContain('hunter2');
  });

  it.each([
    ['missing', 'no such file'],
    ['', 'it is a directory'],
  ])('cannot be read: %j', async (name, reason) => {
    const error = await loadConfig(join(directory, name), schema).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(PhsyncError);
    expect(error.code).toBe('config-unreadable');
    expect(error.message).toContain(reason);
  });
});

describe('a secret', () => {
  it('comes from the environment', async () => {
    expect(await resolveSecret({ env: 'A' }, 'x', { A: ' with spaces ' })).toBe(' with spaces ');
  });

  it('comes from a file, without the line end', async () => {
    const file = join(directory, 'secret');
    for (const [content, secret] of [
      ['päss\n', 'päss'],
      ['a\r\n', 'a'],
      ['a\n\n', 'a\n'],
      ['plain', 'plain'],
      ['\ufeffmarked\r\n', 'marked'],
    ] as const) {
      await writeFile(file, content);
      expect(await resolveSecret({ file }, 'x')).toBe(secret);
    }
  });

  it('comes from the credentials of a service, of which systemd names the directory', async () => {
    await writeFile(join(directory, 'ad-password'), 'päss\n');
    const env = { CREDENTIALS_DIRECTORY: directory };
    expect(await resolveSecret({ credential: 'ad-password' }, 'x', env)).toBe('päss');
    for (const [name, variables, words] of [
      ['ad-password', {}, 'CREDENTIALS_DIRECTORY is not set'],
      ['nowhere', env, 'nowhere: no such file'],
    ] as const) {
      const error = await resolveSecret({ credential: name }, 'auth.password', variables).catch((thrown) => thrown);
      expect(error.code).toBe('config-secret');
      expect(error.message).toContain('auth.password');
      expect(error.message).toContain(words);
    }
    for (const name of ['..', '.', 'a/b', '']) {
      const text = `stateDir: x\nport: 1\nagents: [{ clientId: a, clientSecret: { credential: "${name}" } }]\n`;
      expect(refusal(() => parse(text)).message).toContain('expected the name of a credential');
    }
  });

  it('that is not there is named by its use and its place', async () => {
    const empty = join(directory, 'empty');
    await writeFile(empty, '\n');
    await mkdir(join(directory, 'folder'));
    const [wide, latin] = [join(directory, 'utf-16'), join(directory, 'latin-1')];
    await writeFile(wide, 'hunter2\r\n', 'utf16le');
    await writeFile(latin, 'h\u00fcnter2', 'latin1');
    for (const [reference, words] of [
      [{ env: 'NOT_SET' }, 'NOT_SET is not set'],
      [{ env: 'EMPTY' }, 'EMPTY is empty'],
      [{ file: join(directory, 'nowhere') }, 'nowhere: no such file'],
      [{ file: join(directory, 'folder') }, 'folder: it is a directory'],
      [{ file: empty }, 'is empty'],
      [{ file: wide }, 'is not UTF-8 text'],
      [{ file: latin }, 'is not UTF-8 text'],
    ] as const) {
      const error = await resolveSecret(reference, 'agents[0].clientSecret', { EMPTY: '' }).catch((thrown) => thrown);
      expect(error.code).toBe('config-secret');
      expect(error.message).toContain('agents[0].clientSecret');
      expect(error.message).toContain(words);
    }
  });
});
