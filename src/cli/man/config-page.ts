/** The manual page of a configuration file, agent.yaml(5) or tenant.yaml(5), from its schema. */

import type { DescribedKey, DescribedNode } from '../../config/describe-schema.js';
import { bold, escaped, filled, heading, tagged, title, verbatim } from './roff.js';

/** What a value is, in a word or two. */
function kindOf(node: DescribedNode): string {
  const { types, values, minimum, maximum, items, alternatives, keys } = node;
  if (isSecret(node)) return 'a secret';
  if (values.length > 0) return values.map(String).join(', ');
  if (items !== undefined) return 'a list';
  if (alternatives.length > 0) return [...new Set(alternatives.map(kindOf))].join(', or ');
  if (keys.length > 0) return 'a mapping';
  const [type = 'anything'] = types;
  if (type === 'boolean') return 'true or false';
  if (type !== 'number' && type !== 'integer') return 'text';
  return minimum === undefined || maximum === undefined ? 'a number' : `${minimum} to ${maximum}`;
}

/** `{ env }`, `{ file }` or `{ credential }`. */
const isSecret = ({ alternatives }: DescribedNode) =>
  alternatives.length > 0 &&
  alternatives.every(({ keys }) => keys.length === 1 && 'env file credential'.includes(keys[0]!.name));

const sentence = (text: string) => (text === '' || /[.:]$/.test(text) ? text : `${text}.`);

function entry({ name, required, node }: DescribedKey, path: string): string[] {
  const full = `${path}${name}`;
  const standard = node.default;
  const rest = [
    `Expected: ${kindOf(node)}.`,
    ...(standard === undefined || typeof standard === 'object' ? [] : [`Default: ${String(standard)}.`]),
    ...(required ? ['Required.'] : []),
  ].join(' ');
  return [...tagged(bold(full), `${sentence(node.description ?? '')} ${rest}`.trim()), ...below(node, full)];
}

function below(node: DescribedNode, path: string): string[] {
  if (isSecret(node)) return [];
  const lists = node.items === undefined ? [] : below(node.items, `${path}[]`);
  const shapes = node.alternatives.flatMap((shape) => below(shape, path));
  return [...node.keys.flatMap((key) => entry(key, `${path}.`)), ...lists, ...shapes];
}

/** What the page is made of. */
export interface ConfigFile {
  /** agent.yaml */
  readonly name: string;
  readonly of: string;
  /** How one comes to have such a file. */
  readonly how: string;
  readonly schema: DescribedNode;
  readonly example: string;
  readonly other: string;
}

/** roff source; `date` as YYYY-MM-DD. */
export function configPage(file: ConfigFile, version: string, date: string): string {
  const { name, of, how, schema, example, other } = file;
  const lines = [
    title(name.toUpperCase(), 5, date, version, 'File Formats'),
    heading('NAME'),
    `${name} \\- configuration of the ${of} of phsync(1)`,
    heading('DESCRIPTION'),
    ...filled(
      'One document of YAML 1.2. An unknown key and a wrong value are refused, with line, key and what was expected. ' +
        'Relative paths count from the file. A secret never stands in it: it is',
    ),
    `${bold('{ env:')} ${escaped('NAME')} ${bold('}')},`,
    'an environment variable,',
    `${bold('{ file:')} ${escaped('PATH')} ${bold('}')},`,
    'a file of UTF\\-8 text, or',
    `${bold('{ credential:')} ${escaped('NAME')} ${bold('}')},`,
    ...filled('a credential of a systemd service (LoadCredential=), which is a file in $CREDENTIALS_DIRECTORY.'),
    '.PP',
    ...filled(how),
    heading('KEYS'),
    ...schema.keys.flatMap((key) => entry(key, '')),
    heading('EXAMPLES'),
    ...verbatim(example),
    heading('SEE ALSO'),
    '.BR phsync (1),',
    `.BR ${other} (5)`,
  ];
  return `${lines.join('\n')}\n`;
}
