/** The error of everything in `protocol`: what a peer sent that it must not, or did not send that it must. */

/** `code` is stable and kebab-case; `offset` and `structure` say where in the peer's bytes. */
export class ProtocolError extends Error {
  override readonly name: string = 'ProtocolError';
  readonly code: string;
  readonly structure: string | undefined;
  readonly offset: number | undefined;
  /** A status number of the peer's (Win32, NTSTATUS or RPC fault), where it sent one. */
  readonly status: number | undefined;

  constructor(
    code: string,
    message: string,
    facts: { structure?: string; offset?: number; status?: number; cause?: unknown } = {},
  ) {
    super(message, facts.cause === undefined ? {} : { cause: facts.cause });
    this.code = code;
    this.structure = facts.structure;
    this.offset = facts.offset;
    this.status = facts.status;
  }
}
