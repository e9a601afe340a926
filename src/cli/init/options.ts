/** The options of `phsync init` that stand for answers, each an environment variable too, and the draft that they make. */

import { dirname, relative, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { PhsyncError } from '../../hasher/errors.js';
import { ACCOUNT_EXPECTED, type Account, parseAccount } from './account.js';
import { complaintsOf, type Draft, getAt, newConnector, type Path, setAt } from './draft.js';
import { DEFAULT_NAMES, parseReference, REFERENCE_EXPECTED } from './secrets.js';

const REFERENCE = 'env:NAME, file:PATH or credential:NAME';

interface Answer {
  readonly flags: string;
  readonly description: string;
  readonly path: Path;
  /** How its text becomes the value; as it is otherwise. */
  readonly kind?: 'path' | 'reference' | 'number' | 'flag' | 'list';
  readonly choices?: readonly string[];
}

const connector = (...path: Path): Path => ['connectors', 0, ...path];
const directory = (...path: Path): Path => connector('directory', ...path);

const ANSWERS: readonly Answer[] = [
  {
    flags: '--server <host>',
    description: 'the domain controller; where it is left out, DNS names those of the domain',
    path: directory('server'),
  },
  {
    flags: '--address <address>',
    description: 'where the domain controller is, if DNS does not say',
    path: directory('address'),
  },
  {
    flags: '--domain <domain>',
    description: "the domain (default: what follows the first dot of the domain controller's name)",
    path: directory('domain'),
  },
  { flags: '--user <account>', description: 'the account that replicates', path: directory('auth', 'user') },
  {
    flags: '--mechanism <name>',
    description: 'how it logs on (default: negotiate)',
    path: directory('auth', 'mechanism'),
    choices: ['negotiate', 'kerberos', 'ntlm'],
  },
  {
    flags: '--password <reference>',
    description: `where its password is: ${REFERENCE} (default: env:${DEFAULT_NAMES.password.env})`,
    path: directory('auth', 'password'),
    kind: 'reference',
  },
  {
    flags: '--keytab <file>',
    description: 'a keytab in place of the password',
    path: directory('auth', 'keytab'),
    kind: 'path',
  },
  {
    flags: '--credential-cache <name>',
    description: 'a credential cache in place of the password',
    path: directory('auth', 'credentialCache'),
  },
  { flags: '--tenant-url <url>', description: "the tenant's provisioning service", path: ['tenant', 'url'] },
  {
    flags: '--tenant-ca <file>',
    description: "certificate authorities for it, as PEM; the system's otherwise",
    path: ['tenant', 'ca'],
    kind: 'path',
  },
  {
    flags: '--client-id <name>',
    description: 'the name that the tenant knows this agent by',
    path: ['tenant', 'auth', 'clientId'],
  },
  {
    flags: '--client-secret <reference>',
    description: `where the secret with it is: ${REFERENCE} (default: env:${DEFAULT_NAMES.clientSecret.env})`,
    path: ['tenant', 'auth', 'clientSecret'],
    kind: 'reference',
  },
  { flags: '--proxy <url>', description: 'an HTTP proxy on the way to the tenant', path: ['tenant', 'proxy', 'url'] },
  {
    flags: '--state-dir <dir>',
    description: "the agent's own directory (default: ./agent-state; /var/lib/phsync for a file below /etc)",
    path: ['stateDir'],
    kind: 'path',
  },
  { flags: '--name <name>', description: "the connector's name (default: the domain)", path: connector('name') },
  {
    flags: '--include <dn...>',
    description: 'OUs to synchronize, with all below them',
    path: connector('scope', 'include'),
    kind: 'list',
  },
  {
    flags: '--exclude <dn...>',
    description: 'OUs to leave out of these',
    path: connector('scope', 'exclude'),
    kind: 'list',
  },
  {
    flags: '--monitor-port <port>',
    description: 'the loopback port of /healthz, /readyz and /metrics',
    path: ['monitor', 'port'],
    kind: 'number',
  },
  {
    flags: '--staging',
    description: 'staging mode: everything is computed, nothing is sent',
    path: ['staging'],
    kind: 'flag',
  },
];

const longOf = ({ flags }: Answer) => flags.split(' ')[0]!;
const envOf = (long: string) => `PHSYNC_INIT_${long.slice(2).replaceAll('-', '_').toUpperCase()}`;
const ACCOUNT = { flags: '--account <account@dc>', long: '--account' } as const;

function optionOf(flags: string, description: string, choices?: readonly string[]): Option {
  const option = new Option(flags, description);
  if (choices !== undefined) option.choices(choices);
  // A list has no separator that could not stand in a DN, and a flag no value.
  if (!flags.includes('...') && flags.includes('<')) option.env(envOf(option.long!));
  return option;
}

/** Adds the options that stand for answers. */
export function addAnswers(command: Command): Command {
  command.addOption(optionOf(ACCOUNT.flags, 'account and domain controller, e.g. phs.sync@dc1.phs.test'));
  for (const { flags, description, choices } of ANSWERS) command.addOption(optionOf(flags, description, choices));
  return command;
}

/** A path as the command line means it, from the working directory, as agent.yaml means it, from its own. */
function fromConfig(config: string, path: string): string {
  const below = relative(dirname(resolve(config)), resolve(path));
  return below === '' || below.startsWith('..') ? resolve(path) : `./${below}`;
}

function answerOf(answer: Answer, given: unknown, config: string): unknown {
  if (answer.kind === 'path') return fromConfig(config, String(given));
  // NaN for what is no number: the schema says what it expects there.
  if (answer.kind === 'number') return Number(given);
  if (answer.kind !== 'reference') return given;
  const reference = parseReference(String(given));
  if (reference === undefined) {
    // The text is not repeated: it may be the secret itself.
    const option = longOf(answer);
    throw new PhsyncError('usage-init', `${option}: ${REFERENCE_EXPECTED}, not the secret itself`, {
      facts: { option },
    });
  }
  return 'file' in reference ? { file: fromConfig(config, reference.file) } : reference;
}

/** Puts the account, where it replicates from, and what follows from that, into a draft that does not have them. */
export function applyAccount(draft: Draft, { user, server, domain }: Account): void {
  for (const [path, value] of [
    [directory('auth', 'user'), user],
    [directory('server'), server],
    [directory('domain'), domain],
  ] as const) {
    if (value !== undefined && getAt(draft, path) === undefined) setAt(draft, path, value);
  }
}

/** What follows from the answers that there are. */
export function deduce(draft: Draft): void {
  const server = getAt(draft, directory('server'));
  if (typeof server === 'string' && getAt(draft, directory('domain')) === undefined) {
    const domain = /^[^.]*[A-Za-z][^.]*\.(.+\..+)$/.exec(server)?.[1];
    setAt(draft, directory('domain'), domain);
  }
  if (getAt(draft, connector('name')) === undefined) {
    setAt(draft, connector('name'), getAt(draft, directory('domain')));
  }
}

/** The draft that the options make; `config` is where agent.yaml will be. Keys on which they are silent are missing. */
export function draftOf(options: Readonly<Record<string, unknown>>, config: string): Draft {
  const draft: Draft = {
    stateDir: resolve(config).startsWith('/etc/') ? '/var/lib/phsync' : './agent-state',
    tenant: { auth: {} },
    connectors: [newConnector()],
  };
  for (const answer of ANSWERS) {
    const given = options[optionOf(answer.flags, '').attributeName()];
    if (given !== undefined) setAt(draft, answer.path, answerOf(answer, given, config));
  }
  if (typeof options.account === 'string') {
    const account = parseAccount(options.account);
    if (account === undefined) {
      throw new PhsyncError('usage-init', `--account: ${ACCOUNT_EXPECTED}`, { facts: { option: '--account' } });
    }
    applyAccount(draft, account);
  }
  deduce(draft);
  return draft;
}

/** Where the secrets are by default: in environment variables. A keytab or a cache stands for the password. */
export function defaultSecrets(draft: Draft): void {
  const secret: Path = ['tenant', 'auth', 'clientSecret'];
  if (getAt(draft, secret) === undefined) setAt(draft, secret, { env: DEFAULT_NAMES.clientSecret.env });
  const ways = ['password', 'keytab', 'credentialCache'].map((key) => getAt(draft, directory('auth', key)));
  if (ways.every((way) => way === undefined)) {
    setAt(draft, directory('auth', 'password'), { env: DEFAULT_NAMES.password.env });
  }
}

/** Throws PhsyncError `usage-init` with every option that is missing or wrong. */
export function refuseIncomplete(draft: Draft): void {
  const findings = complaintsOf(draft);
  if (findings.length === 0) return;
  const texts = findings.map(({ path, message }) => {
    const answer = ANSWERS.find((each) => each.path.every((key, i) => path[i] === key));
    if (answer === undefined) return `${path.join('.')}: ${message}`;
    const long = longOf(answer);
    const option = `${long}${answer.kind === 'list' || answer.kind === 'flag' ? '' : ` (or ${envOf(long)})`}`;
    return getAt(draft, answer.path) === undefined ? `${option} is missing` : `${option}: ${message}`;
  });
  // The connector's name is the domain's, and wants none of its own.
  const told = texts.filter((text) => !text.startsWith('--name') || texts.length === 1);
  const account = told.some((text) => /^--(user|domain) .*missing$/.test(text));
  const hint = account ? `; --account (or ${envOf(ACCOUNT.long)}) gives user, server and domain at once` : '';
  throw new PhsyncError('usage-init', `${told.join('; ')}${hint}`, {
    facts: { options: told.map((text) => text.split(/[ :]/)[0]).join(' ') },
  });
}
