/** Checks of one domain controller: reachable, logon, domain, clock and the account's rights. */

import type { PhsyncError } from '../../hasher/errors.js';
import { NameFormat, NameStatus } from '../../protocol/drsr/crack-names.js';
import type { DrsClient } from '../../protocol/drsr/drs-client.js';
import type { Clock } from '../clock.js';
import type { ConnectorConfig } from '../config.js';
import { accountName } from '../sources/drs-account.js';
import {
  connectDrs,
  type DrsConnection,
  type DrsConnectionOptions,
  errorFacts,
  idleTimeoutOf,
} from '../sources/drs-connection.js';
import type { DrsStage } from '../sources/drs-error-facts.js';
import { drsError } from '../sources/drs-errors.js';
import { type CheckId, type CheckResult, failure, known, ok, type Subject, skipped, warning } from './check.js';
import { directoryTime, judgeSkew } from './clock-skew.js';
import { grantCommands, REPLICATION_RIGHTS } from './grant.js';
import { probeRights, type ReplicationRights } from './rights.js';
import { KERBEROS_LIBRARY } from './runtime.js';
import { judgeOus, missingOus } from './scope-ous.js';

const CONNECT_MS = 5000;
/** Whoever waits at a terminal shall not wait as long as an agent does. */
const IDLE_MS = 10_000;
const TIME_MS = 3000;

const IN_ORDER: readonly CheckId[] = [
  'dc-reachable',
  'dc-logon',
  'dc-clock',
  'dc-domain',
  'right-get-changes',
  'right-get-changes-all',
  'scope-ous',
];

/** `options`: as the agent itself connects to this domain controller. */
export async function checkController(
  options: DrsConnectionOptions,
  { name: connector, scope }: Pick<ConnectorConfig, 'name' | 'scope'>,
  clock: Clock,
): Promise<CheckResult[]> {
  const of: Subject = { connector, server: options.server };
  const results: CheckResult[] = [];
  const [, time] = await Promise.all([
    walk(
      { ...options, timeouts: { connectMs: CONNECT_MS, idleMs: Math.min(idleTimeoutOf(options), IDLE_MS) } },
      scope,
      of,
      results,
    ),
    checkTime(options, of, clock),
  ]);
  // Nothing listens at all: one finding is enough.
  if (results[0]?.status === 'ok') results.push(time);
  const why = 'an earlier check of this domain controller has found something';
  return IN_ORDER.map((id) => results.find((result) => result.id === id) ?? skipped(id, why, of));
}

async function checkTime({ server, address }: DrsConnectionOptions, of: Subject, clock: Clock): Promise<CheckResult> {
  const before = clock.now();
  const time = await directoryTime(address ?? server, TIME_MS);
  if (time === undefined) return skipped('dc-clock', `${server} does not tell its time (LDAP, port 389)`, of);
  return judgeSkew('dc-clock', (before + clock.now()) / 2, time, server, of);
}

async function walk(
  options: DrsConnectionOptions,
  scope: ConnectorConfig['scope'],
  of: Subject,
  results: CheckResult[],
): Promise<void> {
  const { server, domain, auth } = options;
  let fellBack: string | undefined;
  const onNotice: DrsConnectionOptions['onNotice'] = ({ code, message }) => {
    if (code === 'kerberos-fell-back') fellBack = message;
  };
  let connection: DrsConnection;
  try {
    connection = await connectDrs({ ...options, onNotice });
  } catch (error) {
    const cause = known(error);
    const { stage } = cause.facts;
    if ((stage === 'logon' || stage === 'bind') && !SILENT.includes(cause.code)) {
      results.push(ok('dc-reachable', server, {}, of), logonRefused(cause, of));
    } else {
      results.push(notReachable(cause, options, of));
    }
    return;
  }
  const { client, peer } = connection;
  try {
    results.push(ok('dc-reachable', peer, { peer }, of));
    const account = accountName(auth);
    results.push(
      fellBack === undefined
        ? ok('dc-logon', `${account} (${auth.mechanism})`, { account, mechanism: auth.mechanism }, of)
        : warning('dc-logon', fellBack, FELL_BACK, { account, mechanism: 'ntlm' }, of),
    );
    const names = await at('domain', options, () => learnDomain(client, domain));
    if (names === undefined) {
      results.push(
        failure(
          'dc-domain',
          `${server} does not hold the domain ${domain}`,
          'Correct directory.domain, or name a domain controller of that domain.',
          { domain },
          of,
        ),
      );
      return;
    }
    results.push(ok('dc-domain', `${domain} (${names.ncDn}, ${names.netbiosName ?? 'no NetBIOS name'})`, names, of));
    const rights = await at('replicate', options, () => probeRights(client, domain, names.ncDn));
    results.push(...judgeRights(rights, options, names.netbiosName, of));
    const missing = await at('object', options, () => missingOus(client, scope, domain));
    results.push(judgeOus(scope, missing, of));
  } catch (error) {
    const { code, message } = known(error);
    const next = IN_ORDER.find((id) => id !== 'dc-clock' && !results.some((result) => result.id === id));
    if (next !== undefined) {
      results.push(
        failure(next, message, 'Try again; if it stays so, look into the log of the domain controller.', { code }, of),
      );
    }
  } finally {
    connection.close();
  }
}

async function at<T>(stage: DrsStage, options: DrsConnectionOptions, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw drsError(error, errorFacts(options, stage));
  }
}

/** DN and NetBIOS name of the domain; undefined where the server does not hold it. */
async function learnDomain(client: DrsClient, domain: string) {
  const ask = async (formatDesired: number) => {
    const [found] = await client.crackNames({
      formatOffered: NameFormat.canonical,
      formatDesired,
      names: [`${domain}/`],
    });
    return found?.status === NameStatus.ok ? found.name : undefined;
  };
  const ncDn = await ask(NameFormat.fqdn1779);
  if (ncDn === undefined) return undefined;
  return { ncDn, netbiosName: (await ask(NameFormat.nt4Account))?.replace(/\\$/, '') };
}

/** No answer says nothing about the account. */
const SILENT: readonly string[] = ['dc-timeout', 'dc-connection-lost'];

function notReachable(error: PhsyncError, { server, address }: DrsConnectionOptions, of: Subject): CheckResult {
  const { code, message, facts } = error;
  const advice: Readonly<Record<string, string>> = {
    'dc-name-unknown':
      address === undefined
        ? `Correct the name, let this machine use the domain's DNS, or give the address: { server: ${server}, address: … }.`
        : 'Correct directory.address in agent.yaml.',
    'dc-no-replication-service': 'Name a domain controller: this server offers no directory replication.',
  };
  const ports = 'TCP 135 and the ports from 49152 on (RPC)';
  return failure(
    'dc-reachable',
    message,
    advice[code] ??
      `Check that ${server} is up, that directory.server and directory.address are right, and that firewalls let ${ports} pass.`,
    {
      code,
      ...(facts.port === undefined ? {} : { port: facts.port }),
      ...(facts.reason === undefined ? {} : { reason: facts.reason }),
    },
    of,
  );
}

const FELL_BACK =
  'Correct what keeps Kerberos from being used, or set directory.auth.mechanism: ntlm; where NTLM is switched off, nothing is synchronized.';

/** Code of a refused logon → what to do. */
const LOGON_ADVICE: Readonly<Record<string, string>> = {
  'dc-logon-failed':
    'Check directory.auth in agent.yaml: user, domain and password; and in the directory that the account is enabled, not locked, not expired, and need not change its password.',
  'dc-logon-wrong-password': 'Correct the password (or the keytab) that directory.auth names.',
  'dc-logon-unknown-user': 'Correct directory.auth.user.',
  'dc-logon-password-expired':
    'Set a new password that never expires, clear "User must change password at next logon", and put it where directory.auth.password reads it.',
  'dc-logon-account-disabled': 'Enable the account in the directory.',
  'dc-logon-account-locked': 'Unlock the account, and find out who else uses it with a wrong password.',
  'dc-logon-account-expired': 'Let the account never expire (accountExpires).',
  'dc-logon-account-revoked': 'Enable and unlock the account in the directory, and let it never expire.',
  'dc-logon-restricted': 'Allow the account to log on from this machine at any hour.',
  'dc-clock-skew': 'Let both machines follow a time server (timedatectl set-ntp true; w32tm /resync).',
  'dc-spn-unknown': "Let directory.server be the domain controller's own full name, and give its address apart.",
  'dc-kdc-unreachable': 'Let firewalls pass port 88 (TCP and UDP) to the domain controllers.',
  'dc-ticket-missing': 'Get a ticket (kinit) as the user that the agent runs as, or use a keytab.',
  'dc-ticket-expired': 'Keep the ticket fresh (k5start, a timer), or use a keytab.',
  'dc-keytab-unusable': 'Write the keytab anew, and let the user that the agent runs as read it.',
  'dc-rc4-refused': 'Let the account have AES keys: set its password anew, and look at msDS-SupportedEncryptionTypes.',
  'dc-kerberos-missing': KERBEROS_LIBRARY,
  'dc-access-denied': 'Let the account use the interface: phsync permissions --grant-command prints how.',
  'config-fips': 'Set allowMd5InFips: true, or log on with Kerberos.',
};

function logonRefused({ code, message, facts }: PhsyncError, of: Subject): CheckResult {
  const { status } = facts;
  return failure(
    'dc-logon',
    message,
    LOGON_ADVICE[code] ??
      'Check directory.auth in agent.yaml, and what the security log of the domain controller says.',
    { code, ...(status === undefined ? {} : { status }) },
    of,
  );
}

/** The two results of what `probeRights` found. */
function judgeRights(
  { getChanges, getChangesAll }: ReplicationRights,
  { domain, auth }: Pick<DrsConnectionOptions, 'domain'> & { readonly auth: Parameters<typeof accountName>[0] },
  netbiosName: string | undefined,
  of: Subject,
): CheckResult[] {
  const user = accountName(auth);
  const dsacls = auth.user === undefined ? undefined : grantCommands(auth.user, domain, netbiosName).dsacls;
  const judge = (id: CheckId, has: boolean, which: 0 | 1) => {
    const { name } = REPLICATION_RIGHTS[which];
    if (has) return ok(id, `${user} has it on ${domain}`, { account: user }, of);
    return failure(
      id,
      `${user} lacks the right "${name}" on ${domain}`,
      dsacls === undefined
        ? 'phsync permissions --grant-command --account NAME prints the commands that grant it.'
        : `As a domain administrator: ${dsacls[which]} (phsync permissions --grant-command prints it for Samba too).`,
      { account: user, right: name },
      of,
    );
  };
  return [
    judge('right-get-changes', getChanges, 0),
    getChangesAll === undefined
      ? skipped('right-get-changes-all', 'cannot be told while the first right is missing; grant both', of)
      : judge('right-get-changes-all', getChangesAll, 1),
  ];
}

/** For a domain controller that others stand in for. */
export function withFailover(result: CheckResult): CheckResult {
  return result.id === 'dc-reachable' && result.status === 'error'
    ? { ...result, status: 'warning', finding: `${result.finding}; another domain controller is used` }
    : result;
}
