/** Checks of password write-back: on in the tenant, an agent that asks, LDAP over TLS, and the right to reset passwords. */

import { type BerWriter, type Client, Control, type Entry } from 'ldapts';
import type { PhsyncError } from '../../hasher/errors.js';
import { sidToText } from '../../protocol/dtyp/sid.js';
import { type CompanyConfiguration, DirSyncFeature } from '../../provisioning/types.js';
import type { Clock } from '../clock.js';
import type { AgentConfig } from '../config.js';
import { openTenantClient } from '../tenant-client.js';
import { ldapOptions, type WritebackConnector } from '../write-back/handle.js';
import { bindName, closeLdap, explain, type LdapOptions, openLdap } from '../write-back/ldap-session.js';
import { openWritebackTenant } from '../write-back/tenant.js';
import { type CheckResult, failure, known, ok, type Subject, skipped, warning } from './check.js';
import { domainDn } from './grant.js';
import { allowsExtendedRight, RESET_PASSWORD } from './security-descriptor.js';

const STEP_MS = 8000;

interface Options {
  readonly env: Readonly<NodeJS.ProcessEnv>;
  readonly clock: Clock;
}

/** The feature, and whether the tenant hears of an agent; `domains`: which it should serve. */
export async function checkWritebackInTenant(
  config: AgentConfig,
  domains: readonly string[],
  company: CompanyConfiguration | undefined,
  agentRuns: boolean | undefined,
  options: Options,
): Promise<CheckResult[]> {
  if (company === undefined) {
    const why = 'an earlier check of the tenant has found something';
    return [skipped('writeback-feature', why), skipped('writeback-agent', why)];
  }
  const isOn = (company.dirSyncFeatures & DirSyncFeature.PasswordWriteBack) !== 0;
  const feature = isOn
    ? ok('writeback-feature', 'on')
    : failure(
        'writeback-feature',
        'password write-back is off in the tenant: people cannot change synchronized passwords there',
        'Have an administrator of the tenant turn the feature PasswordWriteBack on (passwordWritebackEnabled of ' +
          'onPremisesDirectorySynchronization in Microsoft Graph), or take passwordWriteback out of agent.yaml.',
      );
  return [feature, await checkRegistered(config, domains, agentRuns, options)];
}

async function checkRegistered(
  config: AgentConfig,
  domains: readonly string[],
  agentRuns: boolean | undefined,
  { env, clock }: Options,
): Promise<CheckResult> {
  const client = await openTenantClient(config.tenant, { env, clock });
  const tenant = openWritebackTenant(config.tenant.url, client, () => clock.now());
  try {
    const { agents } = await tenant.agents();
    const missing = domains.filter((domain) => !agents.some(({ domains: served }) => served.includes(domain)));
    const facts = { agents: agents.length, missing };
    if (missing.length === 0)
      return ok('writeback-agent', `${agents.length} ask the tenant for ${domains.join(', ')}`, facts);
    const advice = agentRuns
      ? 'Let the agent take up its configuration (systemctl reload phsync), and look for the events 32005 and 32014.'
      : 'Start the agent as a service (systemctl start phsync).';
    return failure(
      'writeback-agent',
      `the tenant hears of no agent that sets passwords of ${missing.join(', ')}`,
      advice,
      facts,
    );
  } catch (error) {
    const { code, message } = known(error);
    return failure('writeback-agent', message, 'Check that the tenant is one that offers password write-back.', {
      code,
    });
  } finally {
    await tenant.close();
    await client.close();
  }
}

/** LDAP over TLS with each domain controller of the connector, and the right at the first that lets the account in. */
export async function checkWritebackDirectory(connector: WritebackConnector, { env }: Options): Promise<CheckResult[]> {
  const of: Subject = { connector: connector.name };
  let controllers: LdapOptions[];
  try {
    controllers = await ldapOptions(connector, { env, random: () => 0 }, STEP_MS);
  } catch (error) {
    const { code, message } = known(error);
    return [
      failure('writeback-ldap', message, 'Correct passwordWriteback of this connector in agent.yaml.', { code }, of),
      skipped('writeback-right', 'no domain controller can be asked', of),
    ];
  }
  const each = await Promise.all(controllers.map((options) => checkLdap(options, of)));
  const anyWell = each.some(({ result }) => result.status === 'ok');
  const right = each.find((checked) => checked.right !== undefined)?.right;
  return [
    ...each.map(
      ({ result }): CheckResult =>
        anyWell && result.status === 'error'
          ? { ...result, status: 'warning', finding: `${result.finding}; another domain controller is used` }
          : result,
    ),
    right ?? skipped('writeback-right', 'no domain controller lets the account log on', of),
  ];
}

interface Checked {
  readonly result: CheckResult;
  readonly right?: CheckResult;
}

async function checkLdap(options: LdapOptions, { connector }: Subject): Promise<Checked> {
  const { server, tls, user, domain } = options;
  const of = { connector, server };
  let client: Client;
  try {
    client = await openLdap(options);
  } catch (error) {
    return { result: ldapRefused(known(error), of) };
  }
  try {
    const account = bindName(user, domain);
    const result = ok('writeback-ldap', `${account} logs on (${tls})`, { account, tls }, of);
    return { result, right: await checkRight(client, domain, account, of) };
  } catch (error) {
    const { message } = explain(error, options, 'request');
    return { result: ok('writeback-ldap', `${tls}`, { tls }, of), right: skipped('writeback-right', message, of) };
  } finally {
    await closeLdap(client);
  }
}

function ldapRefused({ code, message }: PhsyncError, of: Subject): CheckResult {
  const advice: Readonly<Record<string, string>> = {
    'ldap-tls':
      "Name the certificate of the authority that has signed the domain controller's in passwordWriteback.ca; a Windows " +
      'domain controller offers LDAPS once it has a certificate for server authentication that names it.',
    'ldap-logon': 'Correct passwordWriteback.auth of this connector (directory.auth without it), or the account.',
  };
  return failure(
    'writeback-ldap',
    message,
    advice[code] ?? 'Check that firewalls let port 636 pass (389 with tls: starttls), and that the name is right.',
    { code },
    of,
  );
}

/** LDAP_SERVER_SD_FLAGS_OID (MS-ADTS 3.1.1.3.4.1.11) for the DACL alone: all of it only administrators may read. */
class DaclOnly extends Control {
  constructor() {
    super('1.2.840.113556.1.4.801', { critical: true });
  }

  /** SDFlagsRequestValue ::= SEQUENCE { Flags INTEGER }, DACL_SECURITY_INFORMATION. */
  override writeControl(writer: BerWriter): void {
    writer.writeBuffer(Buffer.from([0x30, 0x03, 0x02, 0x01, 0x04]), 0x04);
  }
}

const NOBODY =
  'no ordinary user can be seen whose permissions could be looked at; for a change with the old password none is needed';

/** By the permissions of one user, who stands for all that inherit them. */
async function checkRight(client: Client, domain: string, account: string, of: Subject): Promise<CheckResult> {
  const { searchEntries: roots } = await client.search('', {
    scope: 'base',
    attributes: ['tokenGroups'],
    explicitBufferAttributes: ['tokenGroups'],
  });
  const sids = new Set(buffersOf(roots[0], 'tokenGroups').map((sid) => sidToText(sid)));
  const example = await firstUser(client, domain);
  const [descriptor] = buffersOf(example, 'nTSecurityDescriptor');
  if (sids.size === 0 || example === undefined || descriptor === undefined)
    return skipped('writeback-right', NOBODY, of);
  const facts = { account, example: example.dn };
  if (allowsExtendedRight(descriptor, RESET_PASSWORD, sids)) {
    return ok('writeback-right', `${account} may reset passwords, by the example of ${example.dn}`, facts, of);
  }
  return warning(
    'writeback-right',
    `${account} may not reset passwords, by the example of ${example.dn}; people who show the old one can change theirs all the same`,
    'For resets: phsync permissions --grant-command --write-back prints the commands.',
    facts,
    of,
  );
}

/** An ordinary one: no administrator, and nothing of the system's own. */
async function firstUser(client: Client, domain: string): Promise<Entry | undefined> {
  const found = client.searchPaginated(
    domainDn(domain),
    {
      filter: '(&(objectClass=user)(!(objectClass=computer))(!(adminCount=1))(!(isCriticalSystemObject=TRUE)))',
      attributes: ['nTSecurityDescriptor'],
      explicitBufferAttributes: ['nTSecurityDescriptor'],
      paged: { pageSize: 1 },
    },
    new DaclOnly(),
  );
  for await (const { searchEntries } of found) return searchEntries[0];
  return undefined;
}

function buffersOf(entry: Entry | undefined, name: string): Buffer[] {
  return [entry?.[name] ?? []].flat().filter((value) => Buffer.isBuffer(value));
}
