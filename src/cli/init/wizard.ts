/** The two ways through `phsync init` on a terminal: express asks what has no default, custom asks for every key. */

import { FILTER_ATTRIBUTES } from '../../agent/config/scope.js';
import { ACCOUNT_EXPECTED, parseAccount } from './account.js';
import { complaintAt, getAt, newConnector, type Path, setAt } from './draft.js';
import { type Interview, nameOf } from './interview.js';
import { applyAccount, deduce } from './options.js';
import { DEFAULT_NAMES, type SecretFile, type SecretName } from './secrets.js';

const CLIENT_SECRET: Path = ['tenant', 'auth', 'clientSecret'];
const DOMAIN_SERVICES: Path = ['domainServices'];
const WRITEBACK: Path = ['passwordWriteback', 'enabled'];
const FIRST: Path = ['connectors', 0];

/** Asks only for what is missing. Secrets that are to be written beside agent.yaml come back. */
export async function express(interview: Interview): Promise<SecretFile[]> {
  const { draft } = interview;
  const missing = (path: Path) => getAt(draft, path) === undefined;
  if (missing([...FIRST, 'directory', 'domain']) || missing([...FIRST, 'directory', 'auth', 'user'])) {
    const answer = await interview.line(
      'Which account replicates, and from which domain controller?',
      'phs.sync@dc1.phs.test',
      (text) => {
        const account = parseAccount(text);
        if (account === undefined) return ACCOUNT_EXPECTED;
        return account.domain === undefined ? 'expected the name of the domain controller, not its address' : undefined;
      },
    );
    applyAccount(draft, parseAccount(answer)!);
    deduce(draft);
    const server = getAt(draft, [...FIRST, 'directory', 'server']);
    const where =
      server === undefined ? 'the domain controllers that DNS names' : `domain controller ${String(server)}`;
    interview.say(`Domain ${String(getAt(draft, [...FIRST, 'directory', 'domain']))}, ${where}`);
  }
  const files = await directorySecret(interview, FIRST, DEFAULT_NAMES.password.file);
  if (missing(['tenant', 'url'])) await interview.text(['tenant', 'url']);
  if (missing(['tenant', 'ca'])) await interview.text(['tenant', 'ca'], { optional: true });
  if (missing(['tenant', 'auth', 'clientId'])) await interview.text(['tenant', 'auth', 'clientId']);
  if (missing(CLIENT_SECRET)) files.push(...(await secret(interview, CLIENT_SECRET, 'clientSecret')));
  return files;
}

/** Asks for everything, with what is known already to be confirmed. */
export async function custom(interview: Interview): Promise<SecretFile[]> {
  await interview.text(['stateDir']);
  await interview.rest([]);
  const monitored = getAt(interview.draft, ['monitor']) !== undefined;
  if (await interview.yes('monitor: /healthz, /readyz and /metrics on a loopback port?', monitored)) {
    await interview.text(['monitor', 'host']);
    await interview.number(['monitor', 'port'], { example: '9464' });
    await interview.rest(['monitor']);
  }
  const files = await tenant(interview);
  await interview.rest(DOMAIN_SERVICES);
  if (Object.values(getAt(interview.draft, DOMAIN_SERVICES) ?? {}).every((value) => value === undefined)) {
    setAt(interview.draft, DOMAIN_SERVICES, undefined);
  }
  await interview.flag(WRITEBACK);
  if (getAt(interview.draft, WRITEBACK) === undefined) setAt(interview.draft, ['passwordWriteback'], undefined);
  for (let i = 0; ; i++) {
    files.push(...(await connector(interview, ['connectors', i], i)));
    if (!(await interview.yes('Another domain?', false))) return files;
    setAt(interview.draft, ['connectors', i + 1], newConnector());
  }
}

async function tenant(interview: Interview): Promise<SecretFile[]> {
  await interview.text(['tenant', 'url']);
  await interview.text(['tenant', 'ca'], { optional: true });
  await interview.text(['tenant', 'auth', 'clientId']);
  const files = await secret(interview, CLIENT_SECRET, 'clientSecret');
  files.push(...(await proxy(interview, ['tenant', 'proxy'])));
  await interview.rest(['tenant']);
  return files;
}

async function proxy(interview: Interview, at: Path): Promise<SecretFile[]> {
  const given = getAt(interview.draft, at) !== undefined;
  if (!(await interview.yes('tenant.proxy: an HTTP proxy on the way to the tenant?', given))) return [];
  await interview.text([...at, 'url'], { example: 'http://proxy.contoso.com:3128' });
  await interview.text([...at, 'user'], { optional: true });
  if (getAt(interview.draft, [...at, 'user']) === undefined) return [];
  return secret(interview, [...at, 'password'], 'proxyPassword');
}

async function connector(interview: Interview, at: Path, index: number): Promise<SecretFile[]> {
  const { draft } = interview;
  const directory: Path = [...at, 'directory'];
  await interview.text([...directory, 'domain'], { example: 'phs.test' });
  await interview.text([...at, 'name'], { initial: String(getAt(draft, [...directory, 'domain'])) });
  await interview.rest(at);
  await domainControllers(interview, directory);
  const auth: Path = [...directory, 'auth'];
  const mechanism = await interview.choice([...auth, 'mechanism']);
  await interview.text([...auth, 'user'], { example: 'phs.sync', optional: mechanism !== 'ntlm' });
  const name = index === 0 ? DEFAULT_NAMES.password.file : `${DEFAULT_NAMES.password.file}-${index + 1}`;
  const files = await directorySecret(interview, at, name);
  await interview.rest(auth, ['keytab', 'credentialCache', ...(mechanism === 'ntlm' ? ['realm', 'allowRc4'] : [])]);
  await interview.rest(directory, ['server', 'address', 'site']);
  await interview.list([...at, 'scope', 'include'], { example: 'OU=Staff,DC=phs,DC=test' });
  await interview.list([...at, 'scope', 'exclude']);
  await conditions(interview, [...at, 'scope', 'cloudFiltered']);
  await interview.rest([...at, 'scope']);
  if (getAt(draft, WRITEBACK) === true) files.push(...(await writeback(interview, at, index)));
  return files;
}

/** How passwords get back: the account of the directory sets them where no other is named, and it has a password. */
async function writeback(interview: Interview, at: Path, index: number): Promise<SecretFile[]> {
  const { draft } = interview;
  const own: Path = [...at, 'passwordWriteback'];
  await interview.flag([...own, 'enabled']);
  if (getAt(draft, [...own, 'enabled']) === false) return [];
  await interview.rest(own);
  const optional = getAt(draft, [...at, 'directory', 'auth', 'password']) !== undefined;
  await interview.text([...own, 'auth', 'user'], { example: 'phs.writeback', optional });
  if (getAt(draft, [...own, 'auth', 'user']) !== undefined) {
    const name = DEFAULT_NAMES.writebackPassword.file;
    const file = index === 0 ? name : `${name}-${index + 1}`;
    const way = await secretWay(interview, 'Where is the password of the account that sets passwords?', {});
    return secretBy(interview, way, [...own, 'auth', 'password'], 'writebackPassword', file);
  }
  setAt(draft, [...own, 'auth'], undefined);
  if (Object.keys(getAt(draft, own) ?? {}).length === 0) setAt(draft, own, undefined);
  return [];
}

/** `dc1.phs.test`, or `dc1.phs.test=192.0.2.10` where DNS does not say where it is. */
function controller(text: string): unknown {
  const [server, address] = text.split('=');
  return address === undefined ? server : { server, address };
}

async function domainControllers(interview: Interview, directory: Path): Promise<void> {
  const way = await interview.way('Which domain controllers are asked?', {
    one: 'one by name',
    listed: 'a list, in this order',
    dns: 'those that DNS names',
  });
  const address = { example: 'dc1.phs.test; dc2.phs.test=192.0.2.10', parse: controller };
  if (way !== 'one') setAt(interview.draft, [...directory, 'server'], undefined);
  if (way === 'one') {
    await interview.text([...directory, 'server'], { example: 'dc1.phs.test' });
    await interview.text([...directory, 'address'], { optional: true });
  } else if (way === 'listed') {
    await interview.list([...directory, 'servers'], { ...address, optional: false });
  } else {
    await interview.list([...directory, 'preferredServers'], address);
    await interview.text([...directory, 'site'], { optional: true });
  }
  await interview.list([...directory, 'dnsServers'], { example: '192.0.2.10' });
}

/** The password, or what stands for it. */
async function directorySecret(interview: Interview, at: Path, file: string): Promise<SecretFile[]> {
  const auth: Path = [...at, 'directory', 'auth'];
  const { draft } = interview;
  if (['password', 'keytab', 'credentialCache'].some((key) => getAt(draft, [...auth, key]) !== undefined)) return [];
  const kerberos =
    getAt(draft, [...auth, 'mechanism']) === 'ntlm' || getAt(draft, [...auth, 'mechanism']) === undefined
      ? {}
      : { keytab: 'a keytab (Kerberos)', credentialCache: 'a credential cache (Kerberos)' };
  const way = await secretWay(interview, "Where is the account's password?", kerberos);
  if (way === 'keytab') await interview.text([...auth, 'keytab'], { example: './phs.sync.keytab' });
  else if (way === 'credentialCache')
    await interview.text([...auth, 'credentialCache'], { example: 'FILE:/run/phsync/krb5cc' });
  else return secretBy(interview, way, [...auth, 'password'], 'password', file);
  return [];
}

const SECRET_WAYS = {
  write: 'typed in now: written to a file of mode 0600 beside agent.yaml',
  file: 'in a file',
  env: 'in an environment variable',
  credential: 'in a credential of the systemd service (LoadCredential=)',
} as const;

const secretWay = <Name extends string>(
  interview: Interview,
  message: string,
  more: Readonly<Partial<Record<Name, string>>>,
) =>
  interview.way<keyof typeof SECRET_WAYS | Name>(message, { ...SECRET_WAYS, ...more } as Record<
    keyof typeof SECRET_WAYS | Name,
    string
  >);

async function secret(interview: Interview, path: Path, name: Exclude<SecretName, 'password'>): Promise<SecretFile[]> {
  const way = await secretWay(interview, `Where is ${path.join('.')}?`, {});
  return secretBy(interview, way, path, name, DEFAULT_NAMES[name].file);
}

async function secretBy(
  interview: Interview,
  way: keyof typeof SECRET_WAYS,
  path: Path,
  name: SecretName,
  file: string,
): Promise<SecretFile[]> {
  if (way === 'write') {
    const typed = await interview.secret(`${nameOf(path)}:`);
    setAt(interview.draft, path, { file: `./${file}` });
    return [{ name: file, secret: typed }];
  }
  const initial = way === 'env' ? DEFAULT_NAMES[name].env : way === 'file' ? `./${file}` : file;
  await interview.text(path, {
    message: { env: 'Name of the variable', file: 'Path of the file', credential: 'Name of the credential' }[way],
    initial,
    parse: (answer) => ({ [way]: answer }),
  });
  return [];
}

const OPERATORS = ['equals', 'notEquals', 'startsWith', 'contains', 'present'] as const;

/** `department equals Sales`, or `extensionAttribute1 present true`. */
function condition(text: string): Record<string, unknown> | undefined {
  const [, attribute, operator, value] = /^(\S+)\s+(\S+)\s+(.+)$/.exec(text) ?? [];
  const known = OPERATORS.find((each) => each === operator);
  if (attribute === undefined || known === undefined) return undefined;
  return { attribute, [known]: known === 'present' ? value === 'true' : value };
}

async function conditions(interview: Interview, path: Path): Promise<void> {
  const found: unknown[] = [];
  for (;;) {
    const message = `scope.cloudFiltered: condition ${found.length + 1} of those who are not in the tenant at all (empty: no more)`;
    const answer = await interview.line(message, 'department equals Sales', (text) => {
      if (text === '') return undefined;
      const parsed = condition(text);
      if (parsed === undefined)
        return `expected ATTRIBUTE ${OPERATORS.join('|')} VALUE, ATTRIBUTE one of ${FILTER_ATTRIBUTES.join(', ')}`;
      return complaintAt(interview.draft, path, [...found, parsed]);
    });
    if (answer === '') break;
    found.push(condition(answer));
  }
  setAt(interview.draft, path, found.length === 0 ? undefined : found);
}
