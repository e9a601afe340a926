/** samba_writer as a process: one request at a time, an answer to each, an end that is noticed. */

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import type { Logger } from 'pino';
import { fileErrorText } from '../../config/file-error.js';
import { PhsyncError } from '../../hasher/errors.js';
import { packageHome } from '../../hasher/package-home.js';
import { DocumentReader, frame } from './frames.js';

export interface HelperOptions {
  /** A python3 that has Samba's modules: the distribution's, not one from elsewhere. */
  readonly python: string;
  readonly smbConf: string;
  readonly log: Logger;
  /** How long one answer may take. */
  readonly timeoutMs: number;
}

/** A directory that Python runs, for those who confine or check it. */
export const helperProgram = (): string => join(packageHome(), 'src', 'domain-services', 'samba', 'samba_writer');

/** Its environment is none of ours, where secrets of the configuration may stand. */
const ENVIRONMENT = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8' };
const CLOSE_MS = 5000;

interface Waiting {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class HelperProcess {
  readonly #options: HelperOptions;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #ended: Promise<void>;
  readonly #reader = new DocumentReader();
  #waiting: Waiting | undefined;
  #failure: PhsyncError | undefined;
  /** What it said last, for the error that its end becomes. */
  #lastWords = '';

  constructor(options: HelperOptions) {
    this.#options = options;
    const { python, smbConf, log } = options;
    // -I: neither PYTHON… variables nor the working directory have a say in what is imported. -B: writes nothing beside it.
    this.#child = spawn(python, ['-I', '-B', helperProgram(), smbConf], {
      env: ENVIRONMENT,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#ended = new Promise((resolve) => {
      this.#child.once('error', (cause) => {
        this.#fail(`cannot be started: managedDomain.python is ${python}: ${fileErrorText(cause)}`, cause);
        resolve();
      });
      this.#child.once('close', (code, signal) => {
        this.#fail(`has ended (${signal ?? `exit ${code}`})${this.#lastWords === '' ? '' : `: ${this.#lastWords}`}`);
        resolve();
      });
    });
    this.#child.stdout.on('data', (piece: Buffer) => this.#received(piece));
    // Ends with EPIPE where the process has ended, which is told by then.
    this.#child.stdin.on('error', () => this.#child.kill());
    createInterface({ input: this.#child.stderr }).on('line', (line) => {
      this.#lastWords = line.slice(0, 300);
      log.warn({ line: this.#lastWords }, 'the helper on the domain controller');
    });
  }

  /** @throws PhsyncError `managed-domain-helper`: it ended, or did not answer in time */
  async request(document: unknown, secrets: readonly Uint8Array[] = []): Promise<unknown> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#waiting !== undefined) throw new Error('one request at a time');
    const bytes = frame(document, secrets);
    const timer = setTimeout(() => {
      this.#fail(`did not answer within ${this.#options.timeoutMs} ms`);
      this.#child.kill('SIGKILL');
    }, this.#options.timeoutMs);
    try {
      return await new Promise((resolve, reject) => {
        this.#waiting = { resolve, reject };
        this.#child.stdin.write(bytes, () => bytes.fill(0));
      });
    } finally {
      clearTimeout(timer);
      this.#waiting = undefined;
      // Where it was never written.
      bytes.fill(0);
    }
  }

  /** Lets what is under way come to its end. */
  async close(): Promise<void> {
    this.#child.stdin.end();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), CLOSE_MS);
    await this.#ended;
    clearTimeout(timer);
  }

  #received(piece: Buffer): void {
    try {
      for (const document of this.#reader.push(piece)) this.#waiting?.resolve(document);
    } catch (error) {
      this.#failure = error as PhsyncError;
      this.#waiting?.reject(this.#failure);
      this.#child.kill('SIGKILL');
    }
  }

  #fail(what: string, cause?: unknown): void {
    this.#failure ??= new PhsyncError('managed-domain-helper', `the helper on the domain controller ${what}`, {
      cause,
    });
    this.#waiting?.reject(this.#failure);
  }
}
