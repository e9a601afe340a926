/** The diagnosis of the whole system: every check, those that wait for somebody side by side. */

import { PhsyncError } from '../../hasher/errors.js';
import type { Clock } from '../clock.js';
import type { AgentConfig, ConnectorConfig } from '../config.js';
import type { DomainServicesPolicy } from '../domain-services/offer.js';
import { readPolicy } from '../domain-services/policy.js';
import { loadGssapi } from '../sources/gssapi-addon.js';
import type { WritebackConnector } from '../write-back/handle.js';
import { writebackConnectors } from '../write-back/write-back.js';
import { type CheckResult, known } from './check.js';
import { checkConfiguration, checkSecrets } from './configuration.js';
import { checkConnectorState, checkEnabled, checkStaging } from './connector.js';
import { checkControllers } from './controllers.js';
import { checkKeysSent } from './domain-services.js';
import { checkFips, checkGssapi, checkHasher, checkNode } from './runtime.js';
import { checkStateDirectory } from './state-directory.js';
import { checkTenant } from './tenant.js';
import { checkWritebackDirectory, checkWritebackInTenant } from './write-back.js';

export interface DiagnosisOptions {
  readonly clock: Clock;
  readonly env: Readonly<NodeJS.ProcessEnv>;
  /** This connector alone. */
  readonly connector?: string | undefined;
}

/** The agent as a whole first, then connector by connector. @throws PhsyncError `usage-connector` */
export async function diagnoseSystem(file: string, options: DiagnosisOptions): Promise<CheckResult[]> {
  const { result, config } = await checkConfiguration(file);
  if (config === undefined) return [result, checkNode(), await checkHasher(false)];
  const connectors = chosen(config, options.connector);
  const { clock, env } = options;
  const { allowMd5InFips, tenant, stateDir, staging } = config;
  const state = await checkStateDirectory(stateDir, { now: clock.now(), staging });
  try {
    const [secrets, hasher, tenantChecks, controllers] = await Promise.all([
      checkSecrets(config, env),
      checkHasher(allowMd5InFips),
      checkTenant(tenant, { env, clock, policy: await policyOf(config) }),
      Promise.all(connectors.map((connector) => checkControllers(connector, { clock, env, allowMd5InFips }))),
    ]);
    const gssapi = checkGssapi(config, () => loadGssapi().whyNot());
    const { reader, agentRuns } = state;
    const anyEnabled = config.connectors.some(({ enabled }) => enabled);
    const writingBack = connectors.filter((connector): connector is WritebackConnector =>
      writebackConnectors(config).some(({ name }) => name === connector.name),
    );
    const [writeback, directories] = await Promise.all([
      writingBack.length === 0
        ? []
        : checkWritebackInTenant(
            config,
            writingBack.map(({ directory }) => directory.domain),
            tenantChecks.company,
            agentRuns,
            { env, clock },
          ),
      Promise.all(connectors.map((connector) => checkDirectory(connector, writingBack, { env, clock }))),
    ]);
    const shared = { reader, agentRuns, company: tenantChecks.company, staging, now: clock.now() };
    return [
      result,
      secrets,
      checkNode(),
      hasher,
      checkFips(allowMd5InFips),
      ...(gssapi === undefined ? [] : [gssapi]),
      ...state.results,
      ...tenantChecks.results,
      ...writeback,
      checkStaging(staging),
      ...connectors.flatMap((connector, i) => [
        checkEnabled(connector, anyEnabled),
        ...(connector.enabled
          ? [
              ...checkConnectorState(connector, shared),
              ...[checkKeysSent(reader, connector.name, tenantChecks.domainServices) ?? []].flat(),
              ...controllers[i]!,
              ...directories[i]!,
            ]
          : []),
      ]),
    ];
  } finally {
    state.reader?.close();
  }
}

async function checkDirectory(
  { name }: ConnectorConfig,
  writingBack: readonly WritebackConnector[],
  options: Pick<DiagnosisOptions, 'env' | 'clock'>,
): Promise<CheckResult[]> {
  const connector = writingBack.find((each) => each.name === name);
  return connector === undefined ? [] : checkWritebackDirectory(connector, options);
}

/** Undefined where its file cannot be read, which the check of secrets says. */
export async function policyOf(config: AgentConfig): Promise<DomainServicesPolicy | undefined> {
  try {
    return await readPolicy(config);
  } catch (error) {
    known(error);
    return undefined;
  }
}

/** @throws PhsyncError `usage-connector` */
export function chosen({ connectors }: AgentConfig, name: string | undefined): readonly ConnectorConfig[] {
  if (name === undefined) return connectors;
  const found = connectors.filter((connector) => connector.name === name);
  if (found.length > 0) return found;
  const names = connectors.map((connector) => connector.name).join(', ');
  throw new PhsyncError('usage-connector', `--connector: no connector ${name}; expected one of ${names}`, {
    facts: { connector: name },
  });
}
