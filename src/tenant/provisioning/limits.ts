/** What the tenant takes in one request; announced in GetCompanyConfiguration, larger batches are refused. */

export const limits = { credentialsPerBatch: 2000, objectsPerBatch: 2000 } as const;

/** Fewest and most iterations of a credential: every sign-in of that user pays for them. */
export const MIN_ITERATIONS = 100;
export const MAX_ITERATIONS = 10_000;
