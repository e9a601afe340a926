/** The addon that speaks Kerberos through the system's GSSAPI (native/gssapi), as TypeScript sees it. */

export interface KerberosRequest {
  /** The domain's realm, in capitals. */
  readonly realm: string;
  /** Addresses of its KDCs, with a port where it is not 88: asked where the administrator's krb5.conf names none. */
  readonly kdcs: readonly string[];
  readonly allowRc4: boolean;
  /** `user@REALM`; undefined with a credential cache: whosever it is. */
  readonly client?: string | undefined;
  /** Whether `client` is a user principal name that the KDC is to look up, with the realm behind it. */
  readonly enterprise?: boolean | undefined;
  /** `ldap/dc1.phs.test@PHS.TEST` */
  readonly service: string;
  /** One of the three. UTF-8, copied. */
  readonly password?: Uint8Array | undefined;
  /** A file. */
  readonly keytab?: string | undefined;
  /** A file, or `TYPE:residual`. */
  readonly credentialCache?: string | undefined;
}

export interface KerberosTickets {
  /** Whose they are, as the KDC calls him. */
  readonly client: string;
  readonly sessionEnctype: number;
  /** With which the service's ticket is encrypted. */
  readonly ticketEnctype: number;
  /** Seconds since 1970. */
  readonly expires: number;
}

/** Errors of these have the properties of `GssapiFailure`. One call at a time. */
export interface GssapiContext {
  /** Asks the KDC for tickets, off the main thread. */
  acquire(): Promise<KerberosTickets>;
  /** GSS_Init_sec_context in DCE style; the peer's token to ours. `flags` are the GSSAPI's ret_flags. */
  step(token: Uint8Array | undefined): Promise<{ token: Uint8Array | undefined; complete: boolean; flags: number }>;
  /** Bytes of `wrap`'s token, for stubs of a multiple of 16 bytes. */
  tokenSize(): number;
  wrap(pdu: Uint8Array, from: number, to: number, signedTo: number): Uint8Array;
  unwrap(pdu: Uint8Array, from: number, to: number, signedTo: number, token: Uint8Array): void;
  mic(message: Uint8Array): Uint8Array;
  verifyMic(message: Uint8Array, mic: Uint8Array): void;
  sessionKey(): { readonly key: Uint8Array; readonly enctype: number };
  /** Frees and wipes; a call that runs keeps all until it has ended. */
  dispose(): void;
}

export interface GssapiAddon {
  /** Undefined where the system's Kerberos libraries can be loaded, else the loader's reason. */
  whyNot(): string | undefined;
  readonly SecurityContext: new (request: KerberosRequest) => GssapiContext;
}

/** What MIT krb5 refused with. */
export interface GssapiFailure {
  readonly message: string;
  readonly stage: 'configuration' | 'credentials' | 'keytab' | 'cache' | 'service-ticket' | 'context' | 'message';
  /** libkrb5's error code, or GSSAPI's minor status. */
  readonly status: number;
  /** GSSAPI's major status; 0 where libkrb5 itself refused. */
  readonly major: number;
  /** e-data of the KDC's KRB-ERROR; empty without. */
  readonly eData: Uint8Array;
  /** The KDC's clock in that error, seconds since 1970; 0 without. */
  readonly kdcTime: number;
}

export function isGssapiFailure(error: unknown): error is Error & GssapiFailure {
  return error instanceof Error && 'stage' in error && 'status' in error && 'kdcTime' in error;
}
