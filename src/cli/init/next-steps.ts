/** What to do once agent.yaml is there, as commands. */

import { type Draft, getAt } from './draft.js';

export interface Step {
  readonly what: string;
  readonly command: string;
}

const quoted = (text: string) => (/^[\w./:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

/** Environment variables that the configuration names, in its order, each once. */
export function variablesOf(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  const { env } = value as { env?: unknown };
  const own = typeof env === 'string' ? [env] : [];
  return [...new Set([...own, ...Object.values(value).flatMap(variablesOf)])];
}

export function nextSteps(draft: Draft, config: string): Step[] {
  const file = quoted(config);
  const variables = variablesOf([getAt(draft, ['tenant']), getAt(draft, ['connectors'])]);
  return [
    ...variables.map((name) => ({
      what: `The secret, for the commands below; the service gets it by another way, see \`phsync help systemd\``,
      command: `read -rs ${name} && export ${name}`,
    })),
    {
      what: "Commands for a domain's administrator that give the account its two rights",
      command: `phsync permissions --config ${file} --grant-command`,
    },
    { what: 'Is everything there?', command: `phsync diagnose --config ${file}` },
    {
      what: 'One cycle that sends nothing: who would be synchronized?',
      command: `phsync agent --config ${file} --once --dry-run`,
    },
    {
      what: 'The service (systemd)',
      command: `phsync systemd --config ${file} > /etc/systemd/system/phsync.service`,
    },
  ];
}
