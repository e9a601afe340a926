/** `phsync events`: the event log of the last seven days, from the agent's state. */

import { Command, InvalidArgumentError } from 'commander';
import { type AgentConfig, loadAgentConfig } from '../agent/config.js';
import { EVENTS, type EventNumber } from '../agent/events/event.js';
import type { StoredEvent } from '../agent/state/events.js';
import { openStateReader } from '../agent/state/reader.js';
import { PhsyncError } from '../hasher/errors.js';
import { printJson } from './output.js';
import { withConfig } from './required-config.js';

interface Options {
  readonly config: string;
  readonly connector?: string;
  readonly number?: readonly number[];
  readonly hours?: number;
  readonly limit: number;
  readonly json?: true;
}

const DEFAULT_LIMIT = 100;
/** As many as the state keeps. */
const MAX_LIMIT = 100_000;
const MAX_HOURS = 168;

async function run(options: Options): Promise<void> {
  const config = await loadAgentConfig(options.config);
  const events = read(config, options);
  if (options.json) {
    printJson({ events: events.map(toJson) });
    return;
  }
  for (const event of events) process.stdout.write(`${toLine(event)}\n`);
}

/** The oldest first, as in a log. */
function read({ stateDir, connectors }: AgentConfig, { connector, number, hours, limit }: Options): StoredEvent[] {
  if (connector !== undefined && !connectors.some(({ name }) => name === connector)) {
    const known = connectors.map(({ name }) => name).join(', ');
    throw new PhsyncError('usage-connector', `no connector is named ${connector}: configured are ${known}`);
  }
  const reader = openStateReader(stateDir);
  if (reader === undefined) {
    throw new PhsyncError('state-missing', `no agent has run with the stateDir ${stateDir} yet`);
  }
  try {
    return reader
      .events(limit, {
        ...(number === undefined ? {} : { numbers: number }),
        ...(connector === undefined ? {} : { connector }),
        ...(hours === undefined ? {} : { since: Date.now() - hours * 3_600_000 }),
      })
      .reverse();
  } finally {
    reader.close();
  }
}

function toJson({ at, number, connector, fields }: StoredEvent) {
  const { level, text } = meaning(number);
  return { time: new Date(at).toISOString(), number, level, text, connector, ...fields };
}

/** `2026-03-01T09:14:02.118Z  605 warning      phs.test  added to the retry queue  dn=… reason=…` */
function toLine({ at, number, connector = '-', fields }: StoredEvent): string {
  const { level, text } = meaning(number);
  const { partitionName: _, ...own } = fields;
  const values = Object.entries(own).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return [new Date(at).toISOString(), `${number} ${level.padEnd(11)}`, connector, text, values.join(' ')]
    .join('  ')
    .trimEnd();
}

/** A later version may have written a number that this one does not know. */
function meaning(number: number): { readonly level: string; readonly text: string } {
  return EVENTS[number as EventNumber] ?? { level: 'unknown', text: '' };
}

function whole(what: string, most: number) {
  return (text: string): number => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < 1 || value > most) {
      throw new InvalidArgumentError(`expected ${what} from 1 to ${most}`);
    }
    return value;
  };
}

function numbersOption(text: string): number[] {
  const numbers = text.split(',').map(Number);
  if (numbers.some((number) => !Object.hasOwn(EVENTS, number))) {
    throw new InvalidArgumentError('expected numbers of events, such as 605,611');
  }
  return numbers;
}

const AFTER_HELP = `
The oldest come first. The agent keeps its events for seven days; what each number means and what to do about it stands in
events.md. Works while an agent runs, and contacts nobody.

Examples:
  phsync events --config agent.yaml --hours 24
  phsync events --config agent.yaml --number 611,652,655 --connector phs.test`;

export function command(): Command {
  return new Command('events')
    .description('the event log of the last seven days')
    .option('--config <file>', 'agent.yaml')
    .option('--connector <name>', 'events of this connector alone')
    .option('--number <list>', 'events with these numbers alone, such as 605,611', numbersOption)
    .option('--hours <n>', 'events of the last hours alone', whole('a number of hours', MAX_HOURS))
    .option('--limit <n>', 'the newest so many', whole('a number', MAX_LIMIT), DEFAULT_LIMIT)
    .option('--json', 'print one JSON document')
    .addHelpText('after', AFTER_HELP)
    .action((options: Partial<Options> & { readonly limit: number }, command: Command) =>
      run(withConfig(options, command)),
    );
}
