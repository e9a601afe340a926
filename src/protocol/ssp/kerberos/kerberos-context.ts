/** Kerberos as a security context of DCE/RPC, through the system's GSSAPI (RFC 4121; MS-RPCE 2.2.1.1.7; MS-KILE 3.4.5). */

import { ProtocolError } from '../../errors.js';
import { AuthType } from '../../rpc/security-context.js';
import type { Mechanism } from '../mechanism.js';
import { enctypeName, isAllowed } from './enctypes.js';
import { type GssapiAddon, type GssapiContext, isGssapiFailure, type KerberosRequest } from './gssapi.js';
import { kerberosError } from './refusals.js';
import { Turns } from './turns.js';

export interface KerberosOptions extends Omit<KerberosRequest, 'password'> {
  readonly gssapi: GssapiAddon;
  readonly password?: string | undefined;
  readonly now: () => Date;
}

/** mutual_state, replay_det, sequence, conf, integ and DCE style: all are asked for, and none may be missing. */
const REQUIRED_FLAGS = 0x2 | 0x4 | 0x8 | 0x10 | 0x20 | 0x1000;

/**
 * libuv's pool has four threads, and each that waits for a silent KDC does so for half a minute: one is left for the
 * files and names that all else in the process waits for.
 */
const acquiring = new Turns(3);

/**
 * One Kerberos authentication with mutual authentication, and the sealing with signed headers that follows it.
 *
 * @example
 * const security = new KerberosContext({ gssapi, realm: 'PHS.TEST', kdcs: ['127.0.0.1'], client: 'phs.sync@PHS.TEST', password, … });
 * await security.acquire(); // or leave it to the first step
 * const client = await RpcClient.connect(transport, { interfaceId, version: 4, security });
 */
export class KerberosContext implements Mechanism {
  readonly oid = '1.2.840.48018.1.2.2';
  readonly alternativeOids = ['1.2.840.113554.1.2.2'];
  readonly authType: number = AuthType.kerberos;
  readonly #now: () => Date;
  readonly #allowRc4: boolean;
  readonly #service: string;
  /** Whose tickets a credential cache must hold. */
  readonly #owner: string | undefined;
  #context: GssapiContext | undefined;
  #acquired: Promise<void> | undefined;
  #expires: Date | undefined;
  #complete = false;
  #signatureSize = 0;

  /**
   * @throws ProtocolError `kerberos-missing` where the system's libraries cannot be loaded.
   * @throws RangeError for a password with a NUL.
   */
  constructor(options: KerberosOptions) {
    const { gssapi, password, now, ...request } = options;
    const whyNot = gssapi.whyNot();
    if (whyNot !== undefined) {
      throw new ProtocolError('kerberos-missing', `the system's Kerberos libraries cannot be loaded: ${whyNot}`, {
        structure: 'Kerberos',
      });
    }
    this.#now = now;
    this.#allowRc4 = request.allowRc4;
    this.#service = request.service;
    this.#owner = request.credentialCache === undefined || request.enterprise ? undefined : request.client;
    if (password === undefined) {
      this.#context = new gssapi.SecurityContext(request);
      return;
    }
    const bytes = new TextEncoder().encode(password);
    try {
      this.#context = new gssapi.SecurityContext({ ...request, password: bytes });
    } finally {
      bytes.fill(0);
    }
  }

  get complete(): boolean {
    return this.#complete;
  }

  get signatureSize(): number {
    return this.#signatureSize;
  }

  /** When the service's ticket ends, by the KDC's clock; undefined before it is there. */
  get expires(): Date | undefined {
    return this.#expires;
  }

  /**
   * Gets the tickets, once: `step` waits for it. Rejects with a ProtocolError `logon-*`, `clock-skew`, `spn-unknown`,
   * `kdc-unreachable`, `ticket-missing`, `ticket-expired`, `keytab-unusable`, `rc4-refused`, `no-common-enctype` or
   * `kerberos-failed`.
   */
  acquire(): Promise<void> {
    this.#acquired ??= this.#acquire();
    return this.#acquired;
  }

  async step(token: Uint8Array | undefined): Promise<Uint8Array | undefined> {
    await this.acquire();
    const context = this.#existing();
    if (this.#complete) throw malformed('a token after the last one');
    const answer = await this.#guarded(() => context.step(token));
    // Disposed of meanwhile.
    this.#existing();
    if (answer.complete) this.#establish(context, answer.flags);
    return answer.token;
  }

  seal(pdu: Uint8Array, from: number, to: number, signedTo: number): Uint8Array {
    return this.#call((context) => context.wrap(pdu, from, to, signedTo));
  }

  unseal(pdu: Uint8Array, from: number, to: number, signedTo: number, authValue: Uint8Array): void {
    this.#call((context) => context.unwrap(pdu, from, to, signedTo, authValue));
  }

  makeMic(message: Uint8Array): Uint8Array {
    return this.#call((context) => context.mic(message));
  }

  checkMic(message: Uint8Array, mic: Uint8Array): void {
    this.#call((context) => context.verifyMic(message, mic));
  }

  sessionKey(): Uint8Array {
    return this.#call((context) => context.sessionKey().key);
  }

  dispose(): void {
    this.#complete = false;
    this.#context?.dispose();
    this.#context = undefined;
  }

  async #acquire(): Promise<void> {
    const { client, sessionEnctype, ticketEnctype, expires } = await this.#guarded(() =>
      // Disposed of meanwhile, it rejects at its turn.
      acquiring.run(async () => this.#existing().acquire()),
    );
    if (this.#owner !== undefined && client.toLowerCase() !== this.#owner.toLowerCase()) {
      throw new ProtocolError('ticket-missing', `Kerberos: the tickets are ${client}'s, and not ${this.#owner}'s`, {
        structure: 'Kerberos',
      });
    }
    this.#checkEnctype(sessionEnctype, `the session key of the ticket for ${this.#service}`);
    this.#checkEnctype(ticketEnctype, `the ticket for ${this.#service}`);
    this.#expires = new Date(expires * 1000);
  }

  #establish(context: GssapiContext, flags: number): void {
    const missing = REQUIRED_FLAGS & ~flags;
    if (missing !== 0) {
      throw new ProtocolError(
        'weak-security',
        `Kerberos: the context lacks what was asked for (flags 0x${missing.toString(16)})`,
        { structure: 'AP-REP' },
      );
    }
    // The acceptor chooses a subkey of its own (RFC 4120 5.5.2), whose type nobody has seen before.
    const { key, enctype } = context.sessionKey();
    key.fill(0);
    this.#checkEnctype(enctype, "the connection's session key");
    this.#signatureSize = context.tokenSize();
    this.#complete = true;
  }

  #checkEnctype(enctype: number, what: string): void {
    if (isAllowed(enctype, this.#allowRc4)) return;
    throw new ProtocolError('rc4-refused', `Kerberos: ${what} is of ${enctypeName(enctype)}, and AES is demanded`, {
      structure: 'EncryptionKey',
    });
  }

  #call<T>(run: (context: GssapiContext) => T): T {
    if (!this.#complete) throw disposed();
    const context = this.#existing();
    try {
      return run(context);
    } catch (error) {
      throw this.#translated(error);
    }
  }

  async #guarded<T>(run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      throw this.#translated(error);
    }
  }

  #translated(error: unknown): unknown {
    return isGssapiFailure(error) ? kerberosError(error, this.#now()) : error;
  }

  #existing(): GssapiContext {
    if (this.#context === undefined) throw disposed();
    return this.#context;
  }
}

function disposed(): ProtocolError {
  return new ProtocolError('no-context', 'Kerberos: the security context is not established, or was disposed of');
}

function malformed(message: string): ProtocolError {
  return new ProtocolError('malformed', `Kerberos: ${message}`, { structure: 'AP-REP' });
}
