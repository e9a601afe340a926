/** Attacks below the endpoints: slow and oversize requests, several in one, framing that two servers read differently (RFC 9112 6.3, 11.2). */

import { connect as connectTcp } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestTenant, type TestTenant, temporaryDirectory, testHasher } from '../harness.js';
import { listen, open, say, statuses } from './wire.js';

const TIMEOUTS = { handshake: 2000, head: 1500, request: 2500, check: 100 };
/** Much longer than any of them: a busy machine is late to notice. */
const LATE = 15_000;

const hasher = testHasher();
let directories: Awaited<ReturnType<typeof temporaryDirectory>>[];
let tenant: TestTenant;
/** Cuts slow connections soon. */
let impatient: TestTenant;

beforeAll(async () => {
  directories = await Promise.all([temporaryDirectory(), temporaryDirectory()]);
  const [stateDir = '', second = ''] = directories.map(({ path }) => path);
  tenant = await startTestTenant({ stateDir, hasher });
  impatient = await startTestTenant({ stateDir: second, hasher, timeouts: TIMEOUTS });
});
afterAll(async () => {
  await Promise.all([tenant, impatient].map((each) => each.close()));
  await hasher.close();
  await Promise.all(directories.map((directory) => directory.remove()));
});

const HEALTH = 'GET /health HTTP/1.1\r\nHost: x\r\n\r\n';
const LAST = 'GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
const head = (...lines: readonly string[]) => [...lines, '', ''].join('\r\n');
const FORM = 'Content-Type: application/x-www-form-urlencoded';
const TOKEN = 'POST /common/oauth2/v2.0/token HTTP/1.1';
const PROVISION = 'POST /provisioningservice.svc HTTP/1.1';
const SOAP = 'Content-Type: application/soap+msbin1';

describe('a slow connection is cut', () => {
  /** Sends a piece every 50 ms for as long as it may. */
  const drip = async (beginning: string, piece: string) => {
    const socket = await open(impatient);
    socket.write(beginning);
    const dripping = setInterval(() => socket.writable && socket.write(piece), 50);
    const heard = await listen(socket, LATE);
    clearInterval(dripping);
    return heard;
  };

  it.concurrent('that says nothing', async () => {
    const heard = await listen(await open(impatient), LATE);
    expect(heard.closed).toBe(true);
  });

  it.concurrent('that never gets to TLS', async () => {
    const socket = connectTcp({ host: '127.0.0.1', port: impatient.port });
    const closed = await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(false), LATE);
      socket.resume().once('close', () => {
        clearTimeout(timer);
        resolve(true);
      });
      socket.once('error', () => undefined);
    });
    socket.destroy();
    expect(closed).toBe(true);
  });

  it.concurrent.each([
    ['the first line', 'GE', 'E'],
    ['a header', 'GET /health HTTP/1.1\r\nHost: x\r\nX: ', 'x'],
    ['headers', 'GET /health HTTP/1.1\r\nHost: x\r\n', 'a: b\r\n'],
    ['a form', head(TOKEN, 'Host: x', FORM, 'Content-Length: 16000'), 'a'],
    ['a form in chunks', head(TOKEN, 'Host: x', FORM, 'Transfer-Encoding: chunked'), '1\r\na\r\n'],
    ['the size of a chunk', head(TOKEN, 'Host: x', FORM, 'Transfer-Encoding: chunked'), '0'],
    ["an agent's message", head(PROVISION, 'Host: x', SOAP, 'Content-Length: 1000000'), 'V'],
    ["an agent's message in chunks", head(PROVISION, 'Host: x', SOAP, 'Transfer-Encoding: chunked'), '1\r\nV\r\n'],
    ['an interaction’s form', head('POST /sign-in/x/name HTTP/1.1', 'Host: x', FORM, 'Content-Length: 9000'), 'a'],
    ['Graph', head('POST /v1.0/users HTTP/1.1', 'Host: x', 'Content-Length: 9000'), '{'],
  ])('that drips %s', async (_what, beginning, piece) => {
    const heard = await drip(beginning, piece);
    expect(heard.closed).toBe(true);
    // Told that it is late, that it may not, or that this is no request; never served.
    expect(statuses(heard).every((status) => status >= 400 && status < 500)).toBe(true);
  });

  it('and does not keep others waiting meanwhile', async () => {
    const sockets = await Promise.all(Array.from({ length: 50 }, () => open(tenant)));
    for (const socket of sockets) {
      socket.on('error', () => undefined).write('GET /health HTTP/1.1\r\nHost: x\r\nX: ');
    }
    const reply = await tenant.get('/health');
    for (const socket of sockets) socket.destroy();
    expect(reply.status).toBe(200);
  });
});

describe('an oversize request is refused', () => {
  it.each([
    ['headers', [`GET /health HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`], [431]],
    ['many headers', [`GET /health HTTP/1.1\r\nHost: x\r\n${'a: b\r\n'.repeat(10_000)}\r\n`], [431]],
    ['an address', [`GET /${'x'.repeat(40_000)} HTTP/1.1\r\nHost: x\r\n\r\n`], [431]],
    ['a form, as announced', [head(TOKEN, 'Host: x', FORM, 'Content-Length: 100000000')], [413]],
    [
      'a form in chunks',
      [head(TOKEN, 'Host: x', FORM, 'Transfer-Encoding: chunked'), `5000\r\n${'a'.repeat(0x5000)}\r\n`],
      [413],
    ],
    ['a message, as announced', [head(PROVISION, 'Host: x', SOAP, 'Content-Length: 100000000')], [413]],
    [
      'a chunk of all there is',
      [head(TOKEN, 'Host: x', FORM, 'Transfer-Encoding: chunked'), `${'f'.repeat(20)}\r\n`],
      [400],
    ],
    [
      'what is said about a chunk',
      [head(TOKEN, 'Host: x', FORM, 'Transfer-Encoding: chunked'), `1;${'x'.repeat(40_000)}\r\n`],
      [413],
    ],
  ] as const)('%s', async (_what, pieces, expected) => {
    const heard = await say(tenant, pieces.join(''), LATE);
    // The token endpoint has 400 and AADSTS90013 for bodies that it does not read.
    expect(statuses(heard).map((status) => (status === 400 ? expected[0] : status))).toEqual(expected);
    expect(heard.closed).toBe(true);
  });
});

describe('framing that can be read in two ways is refused, and nothing behind it is served', () => {
  const SMUGGLED = HEALTH;
  it.each([
    [
      'a length and chunks',
      head(TOKEN, 'Host: x', FORM, 'Content-Length: 4', 'Transfer-Encoding: chunked'),
      '0\r\n\r\n',
    ],
    [
      'chunks and a length',
      head(TOKEN, 'Host: x', FORM, 'Transfer-Encoding: chunked', 'Content-Length: 4'),
      '0\r\n\r\n',
    ],
    ['two lengths', head(TOKEN, 'Host: x', FORM, 'Content-Length: 4', 'Content-Length: 5'), 'a=bc'],
    ['lengths in a list', head(TOKEN, 'Host: x', FORM, 'Content-Length: 4, 5'), 'a=bc'],
    ['a length with a sign', head(TOKEN, 'Host: x', FORM, 'Content-Length: +4'), 'a=bc'],
    ['a negative length', head(TOKEN, 'Host: x', FORM, 'Content-Length: -4'), 'a=bc'],
    ['a length in hexadecimal', head(TOKEN, 'Host: x', FORM, 'Content-Length: 0x4'), 'a=bc'],
    ['a coding that is none', head(TOKEN, 'Host: x', FORM, 'Transfer-Encoding: xchunked'), '0\r\n\r\n'],
    ['chunks that are not last', head(TOKEN, 'Host: x', FORM, 'Transfer-Encoding: chunked, identity'), '0\r\n\r\n'],
    ['chunks twice', head(TOKEN, 'Host: x', FORM, 'Transfer-Encoding: chunked', 'Transfer-Encoding: x'), '0\r\n\r\n'],
    ['a space before the colon', head(TOKEN, 'Host: x', FORM, 'Transfer-Encoding : chunked'), '0\r\n\r\n'],
    [
      'a header over two lines',
      head(TOKEN, 'Host: x', FORM, 'Transfer-Encoding:\r\n chunked', 'Content-Length: 4'),
      '',
    ],
    ['a carriage return alone', head(TOKEN, 'Host: x', `${FORM}\rTransfer-Encoding: chunked`), '0\r\n\r\n'],
    ['NUL in a header', head(TOKEN, 'Host: x', FORM, 'X: a\0b'), ''],
    ['a chunk’s size with a sign', head(TOKEN, 'Host: x', FORM, 'Transfer-Encoding: chunked'), '+1\r\na\r\n0\r\n\r\n'],
    ['a chunk without its end', head(TOKEN, 'Host: x', FORM, 'Transfer-Encoding: chunked'), '1\r\naX0\r\n\r\n'],
    ['no name of the host', head(TOKEN, FORM, 'Content-Length: 0'), ''],
    ['a version that is none', head('GET /health HTTP/9.9', 'Host: x'), ''],
  ])('%s', async (_what, beginning, body) => {
    const heard = await say(tenant, beginning + body + SMUGGLED, LATE);
    expect(statuses(heard)).toEqual([400]);
    expect(heard.closed).toBe(true);
    expect(heard.text).not.toContain('"ok"');
  });

  it('a body where none is expected is no request', async () => {
    const withBody = head('GET /health HTTP/1.1', 'Host: x', `Content-Length: ${HEALTH.length}`) + HEALTH;
    const heard = await say(tenant, withBody + LAST, LATE);
    expect(statuses(heard)).toHaveLength(2);
  });

  it('requests one behind the other are answered in their order, each its own', async () => {
    const form = 'grant_type=password&client_id=app&username=a%40phs.test&password=wrong';
    const token = (tenantName: string) =>
      head(`POST /${tenantName}/oauth2/v2.0/token HTTP/1.1`, 'Host: x', FORM, `Content-Length: ${form.length}`) + form;
    const heard = await say(tenant, token('common') + HEALTH + token('nowhere.example') + LAST, LATE);
    expect(statuses(heard)).toEqual([400, 200, 400, 200]);
    expect(heard.text.indexOf('AADSTS50126')).toBeLessThan(heard.text.indexOf('AADSTS90002'));
  });
});

describe('the name that a request calls the server by', () => {
  it.each([
    ['a Host', head('GET PATH HTTP/1.1', 'Connection: close', 'Host: evil.example')],
    [
      'forwarded names',
      head(
        'GET PATH HTTP/1.1',
        'Connection: close',
        'Host: x',
        'X-Forwarded-Host: evil.example',
        'Forwarded: host=evil.example',
      ),
    ],
    ['a whole address', head('GET https://evil.examplePATH HTTP/1.1', 'Connection: close', 'Host: evil.example')],
    [
      'another address in a header',
      head(
        'GET PATH HTTP/1.1',
        'Connection: close',
        'Host: x',
        'X-Original-URL: https://evil.example/',
        'X-Rewrite-URL: /x',
      ),
    ],
  ])('comes to stand in no answer: %s', async (_what, request) => {
    for (const path of [
      '/common/v2.0/.well-known/openid-configuration',
      '/common/discovery/instance',
      '/common/oauth2/v2.0/authorize?client_id=app&redirect_uri=https://a.example/&response_type=code&scope=openid',
      '/common/oauth2/v2.0/deviceauth',
      '/common/oauth2/v2.0/logout',
      '/v1.0/users',
      '/nowhere',
    ]) {
      const heard = await say(tenant, request.replace('PATH', path), LATE);
      expect(statuses(heard)).toHaveLength(1);
      expect(heard.text).not.toContain('evil.example');
    }
  });
});
