/** Questions on a terminal, one key of agent.yaml each: asked in the schema's words, and answered to its satisfaction. */

import { type CANCEL_SYMBOL, cancel, confirm, isCancel, log, password, select, text } from '@clack/prompts';
import { PhsyncError } from '../../hasher/errors.js';
import { complaintAt, type Draft, getAt, keysAt, nodeAt, type Path, setAt } from './draft.js';

export interface Asked {
  /** In place of the schema's words. */
  readonly message?: string;
  /** What is there to be changed; the draft's value or the schema's default otherwise. */
  readonly initial?: string;
  /** What an answer may look like. */
  readonly example?: string;
  /** The answer may be left empty; by default where the schema says so. */
  readonly optional?: boolean;
  /** The value of an answer, undefined where it cannot be read; by default the text itself. */
  readonly parse?: (answer: string) => unknown;
  /** What is expected of an answer that `parse` cannot read. */
  readonly expected?: string;
}

/** `connectors.directory.domain`. */
export const nameOf = (path: Path): string => path.filter((part) => typeof part === 'string').join('.');

/** Ctrl-C, or the end of the input. */
function given<Value>(answer: Value | typeof CANCEL_SYMBOL): Value {
  if (!isCancel(answer)) return answer;
  cancel('Nothing was written.');
  throw new PhsyncError('init-cancelled', 'given up, and nothing was written');
}

export class Interview {
  readonly #asked = new Set<string>();

  constructor(readonly draft: Draft) {}

  #message(path: Path, message: string | undefined): string {
    this.#asked.add(path.join('.'));
    return `${nameOf(path)}: ${message ?? nodeAt(path).description ?? ''}`;
  }

  /** Asks for every plain value of the mapping at `path` that was not asked for yet, but for these. */
  async rest(path: Path, except: readonly string[] = []): Promise<void> {
    for (const name of keysAt(path)) {
      const key: Path = [...path, name];
      if (this.#asked.has(key.join('.')) || except.includes(name)) continue;
      const { types, values } = nodeAt(key);
      if (types.includes('boolean')) await this.flag(key);
      else if (values.length > 1) await this.choice(key);
      else if (types.includes('number') || types.includes('integer')) await this.number(key, { optional: true });
      else if (types.includes('string') && values.length === 0) await this.text(key, { optional: true });
    }
  }

  /** A line of text, kept at `path`; an empty one and the default take the key away. */
  async text(path: Path, asked: Asked = {}): Promise<void> {
    const node = nodeAt(path);
    const kept = getAt(this.draft, path) ?? node.default;
    const initialValue = asked.initial ?? (kept === undefined || typeof kept === 'object' ? '' : String(kept));
    const parse = asked.parse ?? ((answer: string) => answer);
    const value = (answer = ''): unknown => (answer.trim() === '' ? undefined : parse(answer.trim()));
    const answer = given(
      await text({
        message: this.#message(path, asked.message),
        initialValue,
        placeholder: asked.example ?? (asked.optional ? 'empty for none' : ''),
        validate: (line = '') => {
          if (line.trim() === '') return asked.optional ? undefined : 'expected an answer';
          if (value(line) === undefined) return asked.expected ?? 'this cannot be understood';
          return complaintAt(this.draft, path, value(line));
        },
      }),
    );
    const found = value(answer);
    setAt(this.draft, path, found === node.default ? undefined : found);
  }

  number(path: Path, asked: Asked = {}): Promise<void> {
    // NaN for what is no number: the schema says what it expects.
    return this.text(path, { parse: Number, ...asked });
  }

  /** Texts between semicolons: DNs have commas of their own. */
  async list(path: Path, asked: Asked = {}): Promise<void> {
    const parse = asked.parse ?? ((part: string) => part);
    await this.text(path, {
      optional: true,
      ...asked,
      message: `${asked.message ?? nodeAt(path).description ?? ''} Several are separated by semicolons.`,
      initial: ((getAt(this.draft, path) ?? []) as unknown[]).join('; '),
      parse: (answer) =>
        answer
          .split(';')
          .map((part) => part.trim())
          .filter((part) => part !== '')
          .map(parse),
    });
    // An empty list stands in the file, where there may be one: the mapping around it is not to be empty.
    if (getAt(this.draft, path) === undefined && Array.isArray(nodeAt(path).default)) setAt(this.draft, path, []);
  }

  /** Yes or no; the default is not written. */
  async flag(path: Path): Promise<void> {
    const node = nodeAt(path);
    const initialValue = (getAt(this.draft, path) ?? node.default) === true;
    const answer = given(await confirm({ message: this.#message(path, undefined), initialValue }));
    setAt(this.draft, path, answer === (node.default ?? false) ? undefined : answer);
  }

  /** One of the values that the schema allows; the default is not written. */
  async choice(path: Path): Promise<string> {
    const node = nodeAt(path);
    const options = node.values.map((value) => ({ value: String(value) }));
    const initialValue = String(getAt(this.draft, path) ?? node.default);
    const answer = given(await select({ message: this.#message(path, undefined), options, initialValue }));
    setAt(this.draft, path, answer === node.default ? undefined : answer);
    return answer;
  }

  /** One of several ways, which is no key by itself. */
  async way<Name extends string>(message: string, ways: Readonly<Record<Name, string>>): Promise<Name> {
    const options = (Object.entries(ways) as [Name, string][]).map(([value, label]) => ({
      value: value as string,
      label,
    }));
    return given(await select({ message, options })) as Name;
  }

  async yes(message: string, initialValue: boolean): Promise<boolean> {
    return given(await confirm({ message, initialValue }));
  }

  /** A line of text that is no key; `validate` says what is wrong with it. */
  async line(message: string, example: string, validate: (answer: string) => string | undefined): Promise<string> {
    return given(
      await text({ message, placeholder: example, validate: (answer = '') => validate(answer.trim()) }),
    ).trim();
  }

  /** Shown as dots. */
  async secret(message: string): Promise<string> {
    return given(
      await password({ message, validate: (answer = '') => (answer === '' ? 'expected an answer' : undefined) }),
    );
  }

  say(message: string): void {
    log.info(message);
  }
}
