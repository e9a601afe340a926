/** What SPNEGO needs of a mechanism beyond a security context (RFC 4178 5; MS-SPNG 3.3.5.1). */

import type { SecurityContext } from '../rpc/security-context.js';

export interface Mechanism extends SecurityContext {
  /** Dotted object identifier, as in MechTypeList. */
  readonly oid: string;
  /** Others that mean the same, offered behind it: Kerberos has two. */
  readonly alternativeOids?: readonly string[];
  /** The mechListMIC that we send, before any message was sealed. */
  makeMic(message: Uint8Array): Uint8Array;
  /** Checks the peer's; throws a ProtocolError `bad-signature`. */
  checkMic(message: Uint8Array, mic: Uint8Array): void;
}
