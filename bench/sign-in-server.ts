/**
 * What phsync's sign-in is measured beside: a plain HTTPS server that awaits `crypto.pbkdf2` for each request, with the
 * same kind of certificate, the same credentials (in memory) and the same tokens, signed by the same code.
 */

import { generateKeyPairSync, pbkdf2, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:https';
import { promisify } from 'node:util';
import { createMD4 } from 'hash-wasm';
import { signNow } from '#src/tenant/oidc/sign-now.js';
import { signRs256 } from '#src/tenant/oidc/signatures.js';
import type { SigningAlgorithm, SigningKey } from '#src/tenant/oidc/signing-keys.js';
import { personAccessClaims, personIdClaims, TOKEN_LIFETIME, Tokens } from '#src/tenant/oidc/tokens.js';
import { createAuthority, issueServerCertificate } from '#src/tenant/tls/certificates.js';

/** What the parent sends. */
export interface ServerTask {
  /** The client whose id tokens are signed by ES256. */
  readonly es256Client: string;
  readonly people: readonly {
    readonly name: string;
    readonly objectId: string;
    /** Hexadecimal. */
    readonly salt: string;
    readonly hash: string;
  }[];
}

/** What it gets back once the server listens. */
export interface ServerReady {
  readonly port: number;
  readonly ca: string;
}

const TENANT = '00000000-0000-4000-8000-000000000000';
const derive = promisify(pbkdf2);

function makeTokens(): Tokens {
  const keyOf = (alg: SigningAlgorithm): SigningKey => {
    const { privateKey, publicKey } =
      alg === 'RS256'
        ? generateKeyPairSync('rsa', { modulusLength: 2048 })
        : generateKeyPairSync('ec', { namedCurve: 'P-256' });
    return { kid: `bench-${alg}`, alg, privateKey, publicKey, jwk: {}, activeFrom: 0, retiredAt: null };
  };
  const keys = { RS256: keyOf('RS256'), ES256: keyOf('ES256') };
  return new Tokens({
    keys: { current: (alg) => keys[alg], onChange: () => {} },
    tenantId: TENANT,
    issuer: () => `https://127.0.0.1/${TENANT}/v2.0`,
    now: () => new Date(),
    // What is quick at once, since its threads have hashes to do; RS256 takes as long as a hash.
    sign: (alg, key, input) => (alg === 'ES256' ? signNow(alg, key, input) : signRs256(key, input)),
  });
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}

async function serve({ people, es256Client }: ServerTask): Promise<void> {
  const byName = new Map(
    people.map(({ name, objectId, salt, hash }) => [
      name,
      { objectId, salt: Buffer.from(salt, 'hex'), hash: Buffer.from(hash, 'hex') },
    ]),
  );
  const md4 = await createMD4();
  const tokens = makeTokens();
  const answer = async (request: IncomingMessage): Promise<[number, object]> => {
    const form = new URLSearchParams(await bodyOf(request));
    const name = form.get('username') ?? '';
    const user = byName.get(name.toLowerCase());
    if (user === undefined) return [400, { error: 'invalid_grant' }];
    const ntHash = md4
      .init()
      .update(Buffer.from(form.get('password') ?? '', 'utf16le'))
      .digest('hex');
    const derived = await derive(Buffer.from(ntHash.toUpperCase(), 'utf16le'), user.salt, 1000, 32, 'sha256');
    if (!timingSafeEqual(derived, user.hash)) return [400, { error: 'invalid_grant' }];
    const { objectId } = user;
    const person = { objectId, userPrincipalName: name, displayName: name, givenName: null, surname: null, mail: null };
    const clientId = form.get('client_id') ?? '';
    const idTokenAlgorithm = clientId === es256Client ? 'ES256' : 'RS256';
    const scopes = (form.get('scope') ?? '').split(' ');
    const idToken = scopes.includes('openid')
      ? tokens.idToken({ clientId, idTokenAlgorithm }, objectId, personIdClaims(TENANT, person, new Set(scopes)))
      : undefined;
    const claims = personAccessClaims(TENANT, person, { clientId, confidential: false }, scopes, ['pwd']);
    const body = {
      token_type: 'Bearer',
      scope: scopes.join(' '),
      expires_in: TOKEN_LIFETIME,
      access_token: await tokens.accessToken(clientId, objectId, claims),
      ...(idToken === undefined ? {} : { id_token: await idToken }),
    };
    return [200, body];
  };
  const now = new Date();
  const authority = await createAuthority('bench', now);
  const certificate = await issueServerCertificate(authority, ['127.0.0.1'], now);
  const server = createServer({ key: certificate.key, cert: certificate.cert, keepAliveTimeout: 60_000 });
  server.on('request', (request, response) => {
    answer(request).then(
      ([status, body]) => {
        const text = JSON.stringify(body);
        response.writeHead(status, {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(text),
          'cache-control': 'no-store',
        });
        response.end(text);
      },
      (error: unknown) => {
        console.error(error);
        response.writeHead(500).end();
      },
    );
  });
  server.listen(0, '127.0.0.1', () => {
    const { port } = server.address() as { port: number };
    process.send!({ port, ca: authority.cert } satisfies ServerReady);
  });
}

process.on('message', (task: ServerTask) => {
  void serve(task);
});
process.on('disconnect', () => process.exit(0));
process.send!('ready');
