/** What a message may make the reader do. */

export interface NbfxLimits {
  /** The whole message. */
  readonly maxBytes: number;
  /** Open elements. */
  readonly maxDepth: number;
  /** Attributes and namespace declarations of one element. */
  readonly maxAttributes: number;
  /** Namespace declarations in scope: each name is looked up among them. */
  readonly maxNamespaces: number;
  /** Bytes of a name, prefix or namespace. */
  readonly maxNameBytes: number;
  /** Bytes of one text record or comment, and characters of one element's text. */
  readonly maxTextBytes: number;
  /** Elements of the message: one of four bytes may become an object of two hundred. */
  readonly maxElements: number;
  /** Items of all Array records together: each is a whole element for one byte or more. */
  readonly maxArrayItems: number;
}

export const DEFAULT_LIMITS: NbfxLimits = {
  maxBytes: 32 * 2 ** 20,
  maxDepth: 64,
  maxAttributes: 64,
  maxNamespaces: 128,
  maxNameBytes: 1024,
  maxTextBytes: 2 ** 20,
  maxElements: 1_000_000,
  maxArrayItems: 65_536,
};
