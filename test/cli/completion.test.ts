/** Shell completion: what the shells themselves make of it. */

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { wholeProgram } from '#src/cli/commands.js';
import { describeProgram } from '#src/cli/describe-commands.js';
import { describeWithTools } from '../native/tools.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const main = join(root, 'dist/cli/main.js');
const program = describeProgram(await wholeProgram());
const commands = program.commands.map(({ name }) => name);
const optionsOf = (name: string) =>
  program.commands.find((command) => command.name === name)!.options.map(({ long }) => long);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'phsync-completion-'));
  mkdirSync(join(folder, 'state dir'));
  writeFileSync(join(folder, 'agent.yaml'), '');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function script(shell: string): string {
  const { status, stdout } = spawnSync(process.execPath, [main, 'completion', shell], { encoding: 'utf8' });
  expect(status).toBe(0);
  const file = join(folder, shell === 'zsh' ? '_phsync' : `phsync.${shell}`);
  writeFileSync(file, stdout);
  return file;
}

describe('what is described', () => {
  it('is every command, with help texts and kinds of values', () => {
    expect(commands).toContain('agent');
    expect(program.commands.every(({ description, options }) => description !== '' && options.length > 0)).toBe(true);
    const config = program.commands
      .find(({ name }) => name === 'agent')!
      .options.find(({ long }) => long === '--config');
    expect(config!.value).toMatchObject({ kind: 'file' });
    expect(program.commands.find(({ name }) => name === 'agent')!.after).toMatch(/^The log goes to standard error/);
  });

  it('is asked of a shell that there is', () => {
    const { status, stderr } = spawnSync(process.execPath, [main, 'completion', 'cmd'], { encoding: 'utf8' });
    expect(status).toBe(2);
    expect(stderr).toContain('bash, zsh, fish');
  });
});

describeWithTools('bash', { bash: 'bash' }, () => {
  let file: string;
  beforeAll(() => {
    file = script('bash');
  });

  /** Completes the last word of `line`, as readline has it: split at COMP_WORDBREAKS. */
  function complete(line: string): string[] {
    const words = line.split(/ |(?==)|(?<==)/);
    const driver = `source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); $(complete -p phsync | sed 's/.*-F \\([^ ]*\\).*/\\1/') phsync "\${COMP_WORDS[COMP_CWORD]}" ""; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', driver, 'bash', file, ...words], {
      cwd: folder,
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    return stdout.split('\n').filter((word) => word !== '');
  }

  it('completes commands, options, values and files', () => {
    expect(complete('phsync ').filter((word) => !word.startsWith('-'))).toEqual([...commands, 'help']);
    expect(complete('phsync ten')).toEqual(['tenant']);
    expect(complete('phsync help ')).toEqual(commands);
    expect(complete('phsync agent ')).toEqual(optionsOf('agent'));
    expect(complete('phsync agent --onc')).toEqual(['--once']);
    expect(complete('phsync agent --config ag')).toEqual(['agent.yaml']);
    expect(complete('phsync agent --config=ag')).toEqual(['agent.yaml']);
    expect(complete('phsync demo --state-dir ')).toEqual(['state dir']);
    expect(complete('phsync init --mechanism ')).toEqual(['negotiate', 'kerberos', 'ntlm']);
    expect(complete('phsync init --mechanism=n')).toEqual(['negotiate', 'ntlm']);
    expect(complete('phsync completion z')).toEqual(['zsh']);
    expect(complete('phsync hash --salt ')).toEqual([]);
  });

  it('completes on a terminal', () => {
    writeFileSync(join(folder, 'bashrc'), `PS1='$ '; source '${file}'\n`);
    const steps = [
      ['$ ', 'phsync tena\t--conf\tag\t\u0001echo \r'],
      ['tenant --config agent.yaml', 'exit\r'],
    ];
    const { status, stderr } = spawnSync(
      'python3',
      [join(root, 'test/cli/terminal.py'), JSON.stringify(steps), 'bash', '--rcfile', 'bashrc'],
      { cwd: folder, encoding: 'utf8', env: { PATH: process.env.PATH, HOME: folder } },
    );
    expect([status, stderr]).toEqual([0, '']);
  });
});

describeWithTools('zsh', { zsh: 'zsh' }, () => {
  /** What Tab shows or inserts on a terminal: zsh has no completion without one. */
  it('completes on a terminal', { timeout: 120_000 }, () => {
    script('zsh');
    writeFileSync(
      join(folder, '.zshrc'),
      `PS1='%% '; fpath=(${folder} $fpath); autoload -Uz compinit; compinit -u -D; setopt no_beep\n`,
    );
    const steps = [
      ['% ', 'phsync tena\t--conf\tag\t\u0001echo got \r'],
      ['got phsync tenant --config=agent.yaml', '\r'],
      ['% ', 'phsync completion fi\t\u0001echo got \r'],
      ['got phsync completion fish', '\r'],
      ['% ', 'phsync init --mechanism=ker\t\u0001echo got \r'],
      ['got phsync init --mechanism=kerberos', '\r'],
      ['% ', 'phsync age\t--allow-d\t\u0001echo got \r'],
      ['got phsync agent --allow-deletions', 'exit\r'],
    ];
    const { status, stderr, stdout } = spawnSync(
      'python3',
      [join(root, 'test/cli/terminal.py'), JSON.stringify(steps), 'zsh', '-i'],
      {
        cwd: folder,
        encoding: 'utf8',
        env: { PATH: process.env.PATH, HOME: folder, ZDOTDIR: folder },
      },
    );
    expect([status, stderr], stdout).toEqual([0, '']);
  });
});

describeWithTools('fish', { fish: 'fish' }, () => {
  let file: string;
  beforeAll(() => {
    file = script('fish');
  });

  function complete(line: string): string[] {
    const { stdout, stderr } = spawnSync('fish', ['--no-config', '-c', `source ${file}; complete -C '${line}'`], {
      cwd: folder,
      encoding: 'utf8',
      env: { PATH: process.env.PATH, HOME: folder },
    });
    expect(stderr).toBe('');
    return stdout.split('\n').flatMap((row) => (row === '' ? [] : [row.split('\t')[0]!]));
  }

  it('completes commands, options, values and files', { timeout: 240_000 }, () => {
    expect(complete('phsync ').sort()).toEqual([...commands, 'help'].sort());
    expect(complete('phsync agent --').sort()).toEqual(optionsOf('agent').sort());
    expect(complete('phsync agent --config ag')).toEqual(['agent.yaml']);
    expect(complete('phsync init --mechanism ').sort()).toEqual(['kerberos', 'negotiate', 'ntlm']);
    expect(complete('phsync completion ').sort()).toEqual(['bash', 'fish', 'zsh']);
    expect(complete('phsync help ').sort()).toEqual([...commands].sort());
  });
});
