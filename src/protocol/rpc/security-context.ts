/** What DCE/RPC knows of security (C706 13; MS-RPCE 2.2.1.1.7): one interface, of which NTLM and SPNEGO are two. */

/** auth_type of the sec_trailer (MS-RPCE 2.2.1.1.7). */
export const AuthType = { none: 0, spnego: 9, ntlm: 10, kerberos: 16 } as const;
/** auth_level of the sec_trailer (MS-RPCE 2.2.1.1.8). */
export const AuthLevel = { none: 1, connect: 2, call: 3, packet: 4, integrity: 5, privacy: 6 } as const;

export interface SecurityContext {
  readonly authType: number;
  /** Bytes of every auth_value that `seal` yields (16 for NTLM). */
  readonly signatureSize: number;
  /** True once both sides agree; `seal`, `unseal` and `sessionKey` work from then on. */
  readonly complete: boolean;
  /**
   * Takes the peer's token (undefined at first), yields ours (undefined when nothing is left to say).
   * Rejects with a ProtocolError on a malformed token.
   */
  step(token: Uint8Array | undefined): Promise<Uint8Array | undefined>;
  /**
   * Packet privacy: encrypts `pdu[from, to)` in place and returns the auth_value, which signs `pdu[0, signedTo)`:
   * from the common header to the end of the sec_trailer (MS-RPCE 3.3.1.5.2.2).
   */
  seal(pdu: Uint8Array, from: number, to: number, signedTo: number): Uint8Array;
  /** The reverse, in place; throws a ProtocolError `bad-signature` when the auth_value does not fit. */
  unseal(pdu: Uint8Array, from: number, to: number, signedTo: number, authValue: Uint8Array): void;
  /** The key that DRS secrets are enveloped with: NTLM's ExportedSessionKey, Kerberos' session key. A copy. */
  sessionKey(): Uint8Array;
  /** Wipes every key. */
  dispose(): void;
}
