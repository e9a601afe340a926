/** So many users gone at once are most likely a mistake: whether those whom the whole feed does not have are deleted. */

/** Users that are not deleted. */
export interface HeldDeletions {
  readonly gone: number;
  /** Of the managed domain. */
  readonly all: number;
}

export interface DeletionRule {
  readonly deletionThreshold: number;
  readonly allowDeletions: boolean;
}

export const areHeld = ({ gone, all }: HeldDeletions, { deletionThreshold, allowDeletions }: DeletionRule): boolean =>
  !allowDeletions && (gone > deletionThreshold || gone * 2 > all);
