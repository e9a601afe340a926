/** The diagnosis of one object: where it is, whether it is synchronized, and what would be sent of it now. */

import { pino } from 'pino';
import { PhsyncError } from '../../hasher/errors.js';
import { guidFromText, guidToText } from '../../protocol/dtyp/guid.js';
import { createLegacySealer } from '../../provisioning/legacy-sealer.js';
import type { AgentConfig, ConnectorConfig } from '../config.js';
import { isBelow, parseDn } from '../dn.js';
import type { DomainServicesOffer } from '../domain-services/offer.js';
import { type SealedKeys, sealKeys } from '../domain-services/seal-unit.js';
import { createScope } from '../scope.js';
import type { DirectoryObject, DirectorySource } from '../source.js';
import { openSource } from '../sources/open-source.js';
import type { StateReader } from '../state/reader.js';
import { type CheckResult, failure, known } from './check.js';
import { checkConfiguration } from './configuration.js';
import { checkEnabled, checkStaging } from './connector.js';
import { checkObjectKeys } from './domain-services.js';
import { domainDn } from './grant.js';
import { checkInTenant, checkResults, checkRetry } from './object-state.js';
import type { ObjectUnderTest } from './object-under-test.js';
import { checkAccount, checkPassword, checkScope } from './object-user.js';
import { checkStateDirectory } from './state-directory.js';
import { chosen, type DiagnosisOptions, policyOf } from './system.js';
import { checkTenant } from './tenant.js';

export interface ObjectDiagnosisOptions extends DiagnosisOptions {
  readonly dn: string;
}

/** @throws PhsyncError `usage-dn`, `usage-connector` */
export async function diagnoseObject(file: string, options: ObjectDiagnosisOptions): Promise<CheckResult[]> {
  const { result, config } = await checkConfiguration(file);
  if (config === undefined) return [result];
  const connector = connectorOf(config, options.dn, options.connector);
  // What the tenant was told, in staging mode too.
  const { reader, results: state } = await checkStateDirectory(config.stateDir, { now: options.clock.now() });
  try {
    const tenant = await checkTenant(config.tenant, { ...options, policy: await policyOf(config) });
    const { company, domainServices } = tenant;
    const found = await findObject(connector, config, options, reader, domainServices);
    const around = [...state, checkStaging(config.staging), checkEnabled(connector, true), ...tenant.results].filter(
      ({ status }) => status === 'warning' || status === 'error',
    );
    if ('missing' in found) return [found.missing, ...around];
    const { staging } = config;
    return [
      ...checkObject({ ...found, connector, reader, company, domainServices, staging, now: options.clock.now() }),
      ...around,
    ];
  } finally {
    reader?.close();
  }
}

/** The checks of an object that is there. */
export function checkObject(under: ObjectUnderTest): CheckResult[] {
  const { object, connector } = under;
  const of = { connector: connector.name };
  const { guid, dn, objectClass, sAMAccountName, userPrincipalName } = object;
  const found: CheckResult = {
    id: 'object',
    title: 'Object in the directory',
    ...of,
    status: 'ok',
    finding: `${dn} (${objectClass ?? 'of unknown class'}, ${sAMAccountName ?? 'no account name'})`,
    facts: { dn, guid, objectClass, sAMAccountName, userPrincipalName, directory: under.source.description },
  };
  const scope = createScope(connector.scope);
  const inScope = scope.why(object) === undefined;
  return [
    found,
    checkScope(under, scope),
    checkInTenant(under, inScope),
    checkPassword(under, inScope),
    ...[checkObjectKeys(under, inScope) ?? []].flat(),
    checkRetry(under),
    ...(inScope ? [checkAccount(under)] : []),
    checkResults(under),
  ];
}

/** The connector whose domain the DN lies in: the deepest, of two for one domain the one that is enabled. */
export function connectorOf(config: AgentConfig, dn: string, name: string | undefined): ConnectorConfig {
  const parts = parseDn(dn);
  if (parts === undefined) {
    throw new PhsyncError('usage-dn', `--dn: expected a distinguished name, e.g. CN=Ann,OU=Staff,DC=contoso,DC=com`, {
      facts: { dn },
    });
  }
  const candidates = chosen(config, name);
  const suffix = ({ directory }: ConnectorConfig) => parseDn(domainDn(directory.domain)) ?? [];
  const [found] = candidates
    .filter((connector) => isBelow(parts, suffix(connector)))
    .sort((a, b) => suffix(b).length - suffix(a).length || Number(b.enabled) - Number(a.enabled));
  if (found !== undefined) return found;
  const domains = candidates.map(({ directory }) => domainDn(directory.domain)).join('; ');
  throw new PhsyncError('usage-dn', `--dn: ${dn} lies in the domain of no connector: expected one below ${domains}`, {
    facts: { dn },
  });
}

type Found =
  | {
      readonly object: DirectoryObject;
      readonly guid: Uint8Array;
      readonly source: ObjectUnderTest['source'];
      readonly keys: SealedKeys | undefined;
    }
  | { readonly missing: CheckResult };

async function findObject(
  connector: ConnectorConfig,
  { allowMd5InFips }: AgentConfig,
  { env, dn }: ObjectDiagnosisOptions,
  reader: StateReader | undefined,
  offer: DomainServicesOffer | undefined,
): Promise<Found> {
  const of = { connector: connector.name };
  try {
    const log = pino({ level: 'silent' });
    const source = await openSource(connector, { env, log, allowMd5InFips });
    try {
      const wanted = { supplementalCredentials: offer?.kind === 'on' && offer.kerberos };
      const { objects, sessionKeys } = await source.object({ dn }, undefined, wanted);
      const [object] = objects;
      if (object !== undefined && !object.deleted) {
        const keys = offer?.kind === 'on' ? await sealOne(object, sessionKeys, offer, allowMd5InFips) : undefined;
        return { object, guid: guidFromText(object.guid), source, keys };
      }
      return { missing: await notThere(source, connector, dn, reader) };
    } finally {
      await source.close();
    }
  } catch (error) {
    const { code, message } = known(error);
    const advice = 'phsync diagnose without --dn tells more about the directory.';
    return { missing: failure('object', message, advice, { code }, of) };
  }
}

/** As a cycle would: what comes of it is looked at, and sent to nobody. */
async function sealOne(
  object: DirectoryObject,
  sessionKeys: readonly Uint8Array[],
  offer: Extract<DomainServicesOffer, { kind: 'on' }>,
  allowMd5InFips: boolean,
): Promise<SealedKeys | undefined> {
  if (!object.unicodePwd?.length) return undefined;
  const sealer = createLegacySealer({ threads: 1, allowMd5InFips });
  try {
    const [keys] = await sealKeys([object], sessionKeys, sealer, offer);
    return keys;
  } finally {
    await sealer.close();
  }
}

/** Nothing of this name: it may have had it before. */
async function notThere(
  source: DirectorySource,
  { name }: ConnectorConfig,
  dn: string,
  reader: StateReader | undefined,
): Promise<CheckResult> {
  const of = { connector: name };
  for (const guid of reader?.guidsAt(name, dn) ?? []) {
    const text = guidToText(guid);
    const [object] = (await source.object({ guid: text })).objects;
    if (object === undefined || object.deleted) {
      return failure(
        'object',
        `${dn} was deleted from the directory`,
        'Restore it (Active Directory recycle bin) if it shall be synchronized again.',
        { dn, guid: text, deleted: true },
        of,
      );
    }
    return failure(
      'object',
      `${dn} was renamed or moved: it is ${object.dn} now`,
      `Ask for it by its new name: --dn "${object.dn}"`,
      { dn, guid: text, newDn: object.dn },
      of,
    );
  }
  return failure(
    'object',
    `${source.description} has no object ${dn}`,
    'Check the distinguished name; one that holds a comma is written CN=Able\\, Ann,OU=…',
    { dn },
    of,
  );
}
