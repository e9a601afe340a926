/** What to do once agent.yaml is there, as commands. */

import { dirname, join, resolve } from 'node:path';
import { type Draft, getAt } from './draft.js';

export interface Step {
  readonly what: string;
  readonly command: string;
}

const quoted = (text: string) => (/^[\w./:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

interface Secret {
  /** Whose it is, in words. */
  readonly what: string;
  readonly kind: 'env' | 'credential';
  readonly name: string;
}

const OWNERS: Readonly<Record<string, string>> = {
  clientSecret: "the agent's client secret at the tenant",
  password: "the directory account's password",
  proxy: "the proxy's password",
  passwordWriteback: 'the password of the account that sets passwords',
};
/** Whatever the keys below are called. */
const LASTING: ReadonlySet<string> = new Set([OWNERS.proxy!, OWNERS.passwordWriteback!]);

/** The environment variables and credentials that the configuration names, in its order, each once. */
function secretsIn(value: unknown, owner = 'the secret'): Secret[] {
  if (typeof value !== 'object' || value === null) return [];
  const { env, credential } = value as Record<string, unknown>;
  if (typeof env === 'string') return [{ what: owner, kind: 'env', name: env }];
  if (typeof credential === 'string') return [{ what: owner, kind: 'credential', name: credential }];
  const all = Object.entries(value).flatMap(([key, child]) =>
    secretsIn(child, LASTING.has(owner) ? owner : OWNERS[key]),
  );
  return [...new Map(all.map((secret) => [`${secret.kind} ${secret.name}`, secret])).values()];
}

function stepOf({ what, kind, name }: Secret, folder: string): Step {
  if (kind === 'env') {
    return {
      what: `${name}: ${what}, for the commands below; the service gets it by another way, see \`phsync help systemd\``,
      command: `read -rs ${name} && export ${name}`,
    };
  }
  const file = quoted(join(folder, name));
  return {
    what: `${file}: ${what}, in a file that only root reads; systemd hands it to the service`,
    command: `(umask 077; read -rs SECRET && printf %s "$SECRET" > ${file})`,
  };
}

export function nextSteps(draft: Draft, config: string): Step[] {
  const file = quoted(config);
  const folder = dirname(resolve(config));
  const secrets = secretsIn([getAt(draft, ['tenant']), getAt(draft, ['connectors'])]);
  // What systemd does for the service: these commands run by hand.
  const handed = secrets.some(({ kind }) => kind === 'credential') ? `CREDENTIALS_DIRECTORY=${quoted(folder)} ` : '';
  return [
    ...secrets.map((secret) => stepOf(secret, folder)),
    {
      what: "Commands for a domain's administrator that give the account its two rights",
      command: `${handed}phsync permissions --config ${file} --grant-command`,
    },
    ...(getAt(draft, ['passwordWriteback', 'enabled']) === true
      ? [
          {
            what: 'And those that let the account that sets passwords reset them; who shows the old one needs none',
            command: `${handed}phsync permissions --config ${file} --grant-command --write-back`,
          },
        ]
      : []),
    { what: 'Is everything there?', command: `${handed}phsync diagnose --config ${file}` },
    {
      what: 'One cycle that sends nothing: who would be synchronized?',
      command: `${handed}phsync agent --config ${file} --once --dry-run`,
    },
    {
      what: 'The service (systemd)',
      command: `phsync systemd --config ${file} > /etc/systemd/system/phsync.service`,
    },
  ];
}
