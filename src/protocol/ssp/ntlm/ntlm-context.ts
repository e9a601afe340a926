/** NTLMSSP client: connection-oriented NTLMv2 with MIC, key exchange and sealing (MS-NLMP 3.1.5.1). */

import { timingSafeEqual } from 'node:crypto';
import { FIPS_CODE, fipsRefusal } from '../../../crypto/fips.js';
import { hmacMd5 } from '../../../crypto/md5.js';
import { Rc4 } from '../../../crypto/rc4.js';
import { secretCopy } from '../../../crypto/secret-bytes.js';
import { dateToFiletime } from '../../dtyp/time.js';
import { ProtocolError } from '../../errors.js';
import { AuthType } from '../../rpc/security-context.js';
import type { Mechanism } from '../mechanism.js';
import { AV_FLAG_MIC, AvId, type AvPair, encodeAvPairs, findAvPair, parseAvPairs } from './av-pairs.js';
import { CLIENT_FLAGS, NegotiateFlag, REQUIRED_FLAGS } from './flags.js';
import { clientChallengeStructure, computeResponse, NTOWFv1, NTOWFv2, unicode } from './keys.js';
import { MessageStream, SIGNATURE_SIZE } from './message-stream.js';
import { type Challenge, encodeAuthenticate, encodeNegotiate, parseChallenge, setMic } from './messages.js';

export interface NtlmOptions {
  /** Account name; a UPN (`user@domain`) goes with an empty domain. */
  readonly user: string;
  /** NetBIOS or DNS name of the account's domain. */
  readonly domain: string;
  /** The password, or its NT hash (16 bytes, copied). */
  readonly password: string | { readonly ntHash: Uint8Array };
  /** Our own name, as the DC logs it. Default: empty. */
  readonly workstation?: string;
  /** SPN of the service, e.g. `ldap/dc1.phs.test`; the DC may check it. */
  readonly targetName?: string;
  /** `n` new bytes from a CSPRNG, ours from then on. */
  readonly random: (n: number) => Uint8Array;
  readonly now: () => Date;
  /** Whether NTLM may be spoken in FIPS mode, which refuses MD4, MD5 and RC4. Default: no. */
  readonly allowMd5InFips?: boolean | undefined;
}

const MAX_NAME = 256;

/**
 * One NTLM authentication and the sealing that follows it. 128-bit keys and extended session security are required,
 * NTLMv1 and LM are never spoken.
 *
 * @example
 * const security = new NtlmContext({ user: 'phs.sync', domain: 'PHS', password, random: randomBytes, now: () => new Date() });
 * const client = await RpcClient.connect(transport, { interfaceId, version: 4, security });
 */
export class NtlmContext implements Mechanism {
  readonly oid = '1.3.6.1.4.1.311.2.2.10';
  readonly authType: number = AuthType.ntlm;
  readonly signatureSize = SIGNATURE_SIZE;
  readonly #options: Omit<NtlmOptions, 'password'>;
  #responseKeyNT: Uint8Array | undefined;
  #negotiate: Uint8Array | undefined;
  #exportedSessionKey: Uint8Array | undefined;
  #outgoing: MessageStream | undefined;
  #incoming: MessageStream | undefined;

  /**
   * @throws RangeError for an NT hash that is not 16 bytes, or a name above 256 characters.
   * @throws ProtocolError `config-fips` in FIPS mode, unless `allowMd5InFips` is set.
   */
  constructor(options: NtlmOptions) {
    const { password, ...rest } = options;
    const refusal = fipsRefusal('NTLM', 'MD4, MD5 and RC4', rest.allowMd5InFips);
    if (refusal !== undefined) throw new ProtocolError(FIPS_CODE, refusal);
    for (const [what, name] of Object.entries({
      user: rest.user,
      domain: rest.domain,
      workstation: rest.workstation,
    })) {
      if (name !== undefined && name.length > MAX_NAME) {
        throw new RangeError(`${what} has at most ${MAX_NAME} characters, not ${name.length}`);
      }
    }
    this.#options = rest;
    const ntHash = typeof password === 'string' ? NTOWFv1(password) : password.ntHash;
    if (ntHash.length !== 16) {
      throw new RangeError(`an NT hash has 16 bytes, not ${ntHash.length}`);
    }
    this.#responseKeyNT = NTOWFv2(ntHash, rest.user, rest.domain);
    if (typeof password === 'string') {
      ntHash.fill(0);
    }
  }

  get complete(): boolean {
    return this.#outgoing !== undefined;
  }

  /** NEGOTIATE, then AUTHENTICATE for the CHALLENGE. The server says nothing after it: then we are complete. */
  async step(token: Uint8Array | undefined): Promise<Uint8Array | undefined> {
    if (this.#negotiate === undefined) {
      if (token !== undefined) {
        throw new ProtocolError('malformed', 'NTLM: the client speaks first, but the peer sent a token', {
          structure: 'NEGOTIATE_MESSAGE',
        });
      }
      // A copy: the caller may encrypt or overwrite what it gets, the MIC needs these bytes.
      this.#negotiate = encodeNegotiate();
      return this.#negotiate.slice();
    }
    if (this.#responseKeyNT === undefined || token === undefined) {
      throw new ProtocolError(
        'malformed',
        `NTLM: ${token === undefined ? 'no CHALLENGE_MESSAGE where one must be' : 'a message after the last one'}`,
        { structure: 'CHALLENGE_MESSAGE' },
      );
    }
    return this.#authenticate(this.#negotiate, this.#responseKeyNT, token);
  }

  seal(pdu: Uint8Array, from: number, to: number, signedTo: number): Uint8Array {
    return established(this.#outgoing).seal(pdu, from, to, signedTo);
  }

  unseal(pdu: Uint8Array, from: number, to: number, signedTo: number, authValue: Uint8Array): void {
    compare(established(this.#incoming).unseal(pdu, from, to, signedTo), authValue);
  }

  makeMic(message: Uint8Array): Uint8Array {
    return established(this.#outgoing).mic(message);
  }

  checkMic(message: Uint8Array, mic: Uint8Array): void {
    compare(established(this.#incoming).mic(message), mic);
  }

  sessionKey(): Uint8Array {
    return secretCopy(established(this.#exportedSessionKey));
  }

  dispose(): void {
    this.#responseKeyNT?.fill(0);
    this.#exportedSessionKey?.fill(0);
    this.#outgoing?.wipe();
    this.#incoming?.wipe();
    this.#responseKeyNT = undefined;
    this.#exportedSessionKey = undefined;
    this.#outgoing = undefined;
    this.#incoming = undefined;
  }

  #authenticate(negotiate: Uint8Array, responseKeyNT: Uint8Array, challengeMessage: Uint8Array): Uint8Array {
    const challenge = parseChallenge(challengeMessage);
    requireFlags(challenge);
    const flags = CLIENT_FLAGS & challenge.flags;
    const received = parseAvPairs(challenge.targetInfo);
    // MS-NLMP 3.1.5.1.2: with integrity or confidentiality both names must be there.
    for (const [id, name] of [
      [AvId.nbComputerName, 'MsvAvNbComputerName'],
      [AvId.nbDomainName, 'MsvAvNbDomainName'],
    ] as const) {
      if (findAvPair(received, id) === undefined) {
        throw malformed(`TargetInfo has no ${name}`);
      }
    }
    const timestamp = findAvPair(received, AvId.timestamp);
    const temp = clientChallengeStructureFor(received, timestamp, this.#options);
    const response = computeResponse(responseKeyNT, challenge.serverChallenge, temp.clientChallenge, temp.bytes);
    const keyExchange = (flags & NegotiateFlag.keyExchange) !== 0;
    const sessionKey = keyExchange ? plain(this.#options.random(16)) : secretCopy(response.sessionBaseKey);
    const encryptedRandomSessionKey = keyExchange ? secretCopy(sessionKey) : new Uint8Array(0);
    if (keyExchange) {
      // KXKEY with extended session security and NTLMv2 is the SessionBaseKey itself (3.4.5.1).
      const rc4 = new Rc4(response.sessionBaseKey);
      rc4.process(encryptedRandomSessionKey);
      rc4.wipe();
    }
    response.sessionBaseKey.fill(0);
    const message = encodeAuthenticate({
      // With a timestamp the LM response is not sent (3.1.5.1.2).
      lmChallengeResponse: timestamp === undefined ? response.lmChallengeResponse : new Uint8Array(24),
      ntChallengeResponse: response.ntChallengeResponse,
      domainName: unicode(this.#options.domain),
      userName: unicode(this.#options.user),
      workstation: unicode(this.#options.workstation ?? ''),
      encryptedRandomSessionKey,
      flags,
    });
    if (timestamp !== undefined) {
      setMic(message, hmacMd5(sessionKey, negotiate, challengeMessage, message));
    }
    responseKeyNT.fill(0);
    this.#responseKeyNT = undefined;
    this.#exportedSessionKey = sessionKey;
    this.#outgoing = new MessageStream(sessionKey, 'client-to-server', keyExchange);
    this.#incoming = new MessageStream(sessionKey, 'server-to-client', keyExchange);
    return message;
  }
}

/** `temp` of 3.3.2: the server's AV_PAIRs, and ours when it is new enough to send a timestamp. */
function clientChallengeStructureFor(
  received: readonly AvPair[],
  timestamp: Uint8Array | undefined,
  options: Pick<NtlmOptions, 'random' | 'now' | 'targetName'>,
): { readonly bytes: Uint8Array; readonly clientChallenge: Uint8Array } {
  const clientChallenge = plain(options.random(8));
  const time = new Uint8Array(8);
  let pairs = received;
  if (timestamp === undefined) {
    new DataView(time.buffer).setBigUint64(0, dateToFiletime(options.now()), true);
  } else {
    time.set(timestamp);
    pairs = withOurs(received, options.targetName);
  }
  return { bytes: clientChallengeStructure(time, clientChallenge, encodeAvPairs(pairs)), clientChallenge };
}

/** MsvAvFlags says that a MIC follows; no channel bindings (16 zeros); the SPN where there is one. */
function withOurs(received: readonly AvPair[], targetName: string | undefined): AvPair[] {
  const flags = new Uint8Array(4);
  flags.set(findAvPair(received, AvId.flags) ?? []);
  flags[0] = flags[0]! | AV_FLAG_MIC;
  const ours: readonly number[] = [AvId.flags, AvId.channelBindings, AvId.targetName];
  const pairs = received.filter((pair) => !ours.includes(pair.id));
  pairs.push({ id: AvId.flags, value: flags }, { id: AvId.channelBindings, value: new Uint8Array(16) });
  if (targetName !== undefined) {
    pairs.push({ id: AvId.targetName, value: unicode(targetName) });
  }
  return pairs;
}

function requireFlags(challenge: Challenge): void {
  const missing = REQUIRED_FLAGS.filter(([flag]) => (challenge.flags & NegotiateFlag[flag]) === 0);
  if (missing.length > 0) {
    throw new ProtocolError(
      'weak-security',
      `the server does not offer ${missing.map(([, name]) => name).join(', ')}: no NTLMv2 with 128-bit sealing`,
      { structure: 'CHALLENGE_MESSAGE' },
    );
  }
}

function compare(expected: Uint8Array, received: Uint8Array): void {
  if (received.length !== expected.length || !timingSafeEqual(received, expected)) {
    throw new ProtocolError('bad-signature', 'NTLM: the signature does not fit the message: altered or out of order', {
      structure: 'NTLMSSP_MESSAGE_SIGNATURE',
    });
  }
}

/** The same memory as a Uint8Array, whose `slice` copies: a Buffer's does not. */
function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

function established<T>(value: T | undefined): T {
  if (value === undefined) {
    throw new ProtocolError('no-context', 'NTLM: the security context is not established, or was disposed of');
  }
  return value;
}

function malformed(message: string): ProtocolError {
  return new ProtocolError('malformed', `CHALLENGE_MESSAGE: ${message}`, { structure: 'CHALLENGE_MESSAGE' });
}
