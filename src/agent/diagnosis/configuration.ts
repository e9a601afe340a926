/** Checks of the configuration itself: readable, valid, and every secret that it names to be had. */

import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { fileErrorText } from '../../config/file-error.js';
import { resolveSecret } from '../../config/secrets.js';
import { PhsyncError } from '../../hasher/errors.js';
import { type AgentConfig, loadAgentConfig } from '../config.js';
import { readCa } from '../tenant-client.js';
import { type CheckResult, counted, failure, known, ok } from './check.js';

/** `config` is undefined where the file cannot be used: then nothing else can be told. */
export async function checkConfiguration(
  file: string,
): Promise<{ readonly result: CheckResult; readonly config: AgentConfig | undefined }> {
  try {
    const config = await loadAgentConfig(file);
    const { connectors } = config;
    return { config, result: ok('configuration', `${file}: ${counted(connectors.length, 'connector')}`, { file }) };
  } catch (error) {
    if (!(error instanceof PhsyncError && error.code.startsWith('config-'))) throw error;
    const { code, message, facts } = error;
    const advice =
      code === 'config-unreadable'
        ? 'Name the right file with --config, and run this as a user who may read it.'
        : 'Correct the file; `phsync agent --help` and `phsync init` show how it looks.';
    return { config: undefined, result: failure('configuration', message, advice, { ...facts, code }) };
  }
}

/** All secrets and keytabs, and the certificates of `tenant.ca`. */
export async function checkSecrets(config: AgentConfig, env: Readonly<NodeJS.ProcessEnv>): Promise<CheckResult> {
  const { tenant, connectors } = config;
  const wanted: (() => Promise<unknown>)[] = [
    () => resolveSecret(tenant.auth.clientSecret, 'tenant.auth.clientSecret', env),
  ];
  const { ca, proxy } = tenant;
  if (ca !== undefined) wanted.push(() => readCa(ca));
  const proxyPassword = proxy?.password;
  if (proxyPassword !== undefined) wanted.push(() => resolveSecret(proxyPassword, 'tenant.proxy.password', env));
  for (const [i, { enabled, directory }] of connectors.entries()) {
    if (!enabled || directory.type !== 'drs') continue;
    const { password, keytab } = directory.auth;
    if (keytab !== undefined) wanted.push(() => readable(keytab, `connectors[${i}].directory.auth.keytab`));
    if (password !== undefined) {
      wanted.push(() => resolveSecret(password, `connectors[${i}].directory.auth.password`, env));
    }
  }
  const missing: string[] = [];
  for (const read of wanted) {
    try {
      await read();
    } catch (error) {
      missing.push(known(error).message);
    }
  }
  if (missing.length === 0) return ok('secrets', `all ${wanted.length} can be read`, { count: wanted.length });
  return failure(
    'secrets',
    missing.join('; '),
    'Run this as the user and with the environment that the agent has, or correct the reference in agent.yaml.',
    { missing },
  );
}

/** @throws PhsyncError `config-secret` */
async function readable(file: string, name: string): Promise<void> {
  try {
    await access(file, constants.R_OK);
  } catch (cause) {
    throw new PhsyncError('config-secret', `${name}: cannot read the keytab ${file}: ${fileErrorText(cause)}`, {
      cause,
      facts: { file },
    });
  }
}
