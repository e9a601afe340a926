/** Where the secrets of agent.yaml are to be: references as options give them, and files written beside it. */

import type { SecretReference } from '../../config/schemas.js';
import { PhsyncError } from '../../hasher/errors.js';

/** `env:NAME`, `file:PATH` or `credential:NAME`; undefined where the text is none of these. */
export function parseReference(text: string): SecretReference | undefined {
  const [, kind, value] = /^(env|file|credential):(.+)$/.exec(text.trim()) ?? [];
  if (kind === 'env') return { env: value! };
  if (kind === 'file') return { file: value! };
  if (kind === 'credential') return { credential: value! };
  return undefined;
}

export const REFERENCE_EXPECTED = 'expected env:NAME, file:PATH or credential:NAME';

/** A secret that goes into a file of its own beside agent.yaml. */
export interface SecretFile {
  /** Its name there. */
  readonly name: string;
  readonly secret: string;
}

/** Names of the variables, files and credentials that a secret gets by default. */
export const DEFAULT_NAMES = {
  clientSecret: { env: 'PHSYNC_AGENT_SECRET', file: 'client-secret' },
  password: { env: 'PHSYNC_AD_PASSWORD', file: 'ad-password' },
  writebackPassword: { env: 'PHSYNC_WRITEBACK_PASSWORD', file: 'writeback-password' },
  proxyPassword: { env: 'PHSYNC_PROXY_PASSWORD', file: 'proxy-password' },
} as const;
export type SecretName = keyof typeof DEFAULT_NAMES;

/** Every reference to an environment variable in `value`, with where it stands. */
function references(value: unknown): { env?: string; file?: string }[] {
  if (typeof value !== 'object' || value === null) return [];
  const own = typeof (value as { env?: unknown }).env === 'string' ? [value as { env?: string; file?: string }] : [];
  return [...own, ...Object.values(value).flatMap(references)];
}

/**
 * Turns the references to environment variables in `draft` into files beside agent.yaml, and returns what these hold.
 * Throws PhsyncError `config-secret` where a variable is not set.
 */
export function secretsFromEnvironment(draft: object, env: Readonly<NodeJS.ProcessEnv>): SecretFile[] {
  const files = new Map<string, SecretFile>();
  for (const reference of references(draft)) {
    const variable = reference.env!;
    const secret = env[variable];
    if (secret === undefined || secret === '') {
      throw new PhsyncError('config-secret', `--write-secrets: the environment variable ${variable} is not set`, {
        facts: { env: variable },
      });
    }
    const standard = Object.values(DEFAULT_NAMES).find((names) => names.env === variable);
    const name = standard?.file ?? variable.toLowerCase().replaceAll('_', '-');
    files.set(name, { name, secret });
    delete reference.env;
    reference.file = `./${name}`;
  }
  return [...files.values()];
}
