/** The one error class of phsync's own: stable code, facts as fields, cause kept, never a secret. */

export interface PhsyncErrorOptions extends ErrorOptions {
  /** Facts for machines: names, numbers, offsets. Never a hash, key or password. */
  readonly facts?: Readonly<Record<string, string | number | boolean | undefined>>;
}

/**
 * `TypeError` says a wrong kind of argument, `RangeError` a wrong value; everything that the world does wrong is
 * this. `code` is kebab-case and stable; the message names what, where and what was expected.
 */
export class PhsyncError extends Error {
  /** `PhsyncError` */
  override readonly name: string = 'PhsyncError';
  /** Which error it is, for programs: kebab-case, and the same in every version. */
  readonly code: string;
  /** Names, numbers and offsets that belong to it. Never a hash, key or password. */
  readonly facts: Readonly<Record<string, string | number | boolean | undefined>>;

  constructor(code: string, message: string, options: PhsyncErrorOptions = {}) {
    super(message, options);
    this.code = code;
    this.facts = options.facts ?? {};
  }
}
