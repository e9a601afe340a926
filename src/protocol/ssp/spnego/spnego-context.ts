/** SPNEGO initiator (RFC 4178 5; MS-SPNG): offers mechanisms, guards the choice with mechListMIC, then delegates. */

import { ProtocolError } from '../../errors.js';
import { AuthType, type SecurityContext } from '../../rpc/security-context.js';
import type { Mechanism } from '../mechanism.js';
import {
  decodeNegTokenResp,
  encodeMechTypes,
  encodeNegTokenInit,
  encodeNegTokenResp,
  NegState,
  type NegTokenResp,
} from './tokens.js';

/**
 * The first mechanism's token goes along with the offer; the server may choose another. Both sides then sign the
 * offer, so that nobody in between can have struck the better mechanisms out.
 *
 * @example
 * const security = new SpnegoContext([new NtlmContext(options)]);
 */
export class SpnegoContext implements SecurityContext {
  readonly authType: number = AuthType.spnego;
  readonly #mechanisms: readonly [Mechanism, ...Mechanism[]];
  readonly #mechTypes: Uint8Array;
  #chosen: Mechanism;
  #begun = false;
  #answered = false;
  #micSent = false;
  #micChecked = false;
  #complete = false;

  /** Best mechanism first; they are the context's own from then on. @throws RangeError without any. */
  constructor(mechanisms: readonly Mechanism[]) {
    const [first, ...others] = mechanisms;
    if (first === undefined) {
      throw new RangeError('SPNEGO needs at least one mechanism');
    }
    this.#mechanisms = [first, ...others];
    this.#mechTypes = encodeMechTypes(mechanisms.flatMap(oidsOf));
    this.#chosen = first;
  }

  get signatureSize(): number {
    return this.#chosen.signatureSize;
  }

  get complete(): boolean {
    return this.#complete;
  }

  async step(token: Uint8Array | undefined): Promise<Uint8Array | undefined> {
    if (!this.#begun) {
      this.#begun = true;
      const mechToken = await this.#chosen.step(token);
      if (mechToken === undefined) {
        throw malformed('the first mechanism has no token to begin with');
      }
      return encodeNegTokenInit(this.#mechTypes, mechToken);
    }
    if (token === undefined || this.#complete) {
      throw malformed(this.#complete ? 'a token after the last one' : 'no token where one must be');
    }
    return this.#answer(decodeNegTokenResp(token));
  }

  seal(pdu: Uint8Array, from: number, to: number, signedTo: number): Uint8Array {
    return this.#established().seal(pdu, from, to, signedTo);
  }

  unseal(pdu: Uint8Array, from: number, to: number, signedTo: number, authValue: Uint8Array): void {
    this.#established().unseal(pdu, from, to, signedTo, authValue);
  }

  sessionKey(): Uint8Array {
    return this.#established().sessionKey();
  }

  dispose(): void {
    this.#complete = false;
    for (const mechanism of this.#mechanisms) {
      mechanism.dispose();
    }
  }

  async #answer(reply: NegTokenResp): Promise<Uint8Array | undefined> {
    if (reply.negState === NegState.reject) {
      throw new ProtocolError(
        'logon-failure',
        'the server rejected the SPNEGO negotiation: none of our mechanisms is allowed, or the credentials are wrong',
        { structure: 'NegTokenResp', status: NegState.reject },
      );
    }
    const token = await this.#mechanismToken(reply);
    const mechanism = this.#chosen;
    if (reply.mechListMIC !== undefined) {
      if (!mechanism.complete) {
        throw malformed('a mechListMIC before the mechanism is complete');
      }
      mechanism.checkMic(this.#mechTypes, reply.mechListMIC);
      this.#micChecked = true;
    }
    if (reply.negState === NegState.acceptCompleted) {
      // RFC 4178 5: only where the server took our first choice, and we sent no MIC, may it leave its own out.
      const micNeeded = this.#micSent || mechanism !== this.#mechanisms[0];
      if (!mechanism.complete || token !== undefined || (micNeeded && !this.#micChecked)) {
        throw malformed('accept-completed before the mechanism is complete, or without the mechListMIC due');
      }
      this.#complete = true;
      return undefined;
    }
    if (!mechanism.complete) {
      if (token === undefined) {
        throw malformed('the mechanism has nothing to say, but is not complete');
      }
      return encodeNegTokenResp(token, undefined);
    }
    if (this.#micSent) {
      throw malformed('the server does not complete the negotiation after mechListMIC');
    }
    this.#micSent = true;
    return encodeNegTokenResp(token, mechanism.makeMic(this.#mechTypes));
  }

  /** Takes the server's choice on its first reply, and lets the chosen mechanism step. */
  async #mechanismToken(reply: NegTokenResp): Promise<Uint8Array | undefined> {
    const { supportedMech } = reply;
    if (!this.#answered) {
      this.#answered = true;
      if (supportedMech !== undefined && !oidsOf(this.#chosen).includes(supportedMech)) {
        const chosen = this.#mechanisms.find((mechanism) => oidsOf(mechanism).includes(supportedMech));
        if (chosen === undefined) {
          throw malformed(`the server chose mechanism ${supportedMech}, which was not offered`);
        }
        this.#chosen = chosen;
        return chosen.step(undefined);
      }
    } else if (supportedMech !== undefined && !oidsOf(this.#chosen).includes(supportedMech)) {
      throw malformed(`the server changed its choice to mechanism ${supportedMech}`);
    }
    return this.#chosen.complete && reply.responseToken === undefined
      ? undefined
      : this.#chosen.step(reply.responseToken);
  }

  #established(): Mechanism {
    if (!this.#complete) {
      throw new ProtocolError('no-context', 'SPNEGO: the security context is not established, or was disposed of');
    }
    return this.#chosen;
  }
}

function oidsOf({ oid, alternativeOids = [] }: Mechanism): string[] {
  return [oid, ...alternativeOids];
}

function malformed(message: string): ProtocolError {
  return new ProtocolError('malformed', `SPNEGO: ${message}`, { structure: 'NegTokenResp' });
}
