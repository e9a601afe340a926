/**
 * Logging on to a domain with implementations that are not ours: MIT Kerberos' kinit with one encryption type at a time,
 * Samba's smbclient with NTLM, and an LDAP simple bind over TLS.
 */

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, InvalidCredentialsError } from 'ldapts';
import type { DcFacts } from './dc.js';

export type Enctype = 'aes256-cts-hmac-sha1-96' | 'aes128-cts-hmac-sha1-96' | 'arcfour-hmac';

/** How a log-on ended: in, or what the domain says. Anything else (no answer, no program) throws. */
export type Answer = 'in' | 'wrong password' | 'disabled' | 'no such key' | 'unknown user' | 'refused';

interface Ended {
  readonly code: number | null;
  readonly text: string;
}

/** The password goes by standard input or file, as people's tools have it, so that no list of processes shows it. */
function command(file: string, args: readonly string[], env: Record<string, string>, input: string): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { env: { ...process.env, LC_ALL: 'C', ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
    let text = '';
    child.stdout.on('data', (bytes) => (text += bytes));
    child.stderr.on('data', (bytes) => (text += bytes));
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, text }));
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}

function answer({ code, text }: Ended, words: readonly (readonly [RegExp, Answer])[]): Answer {
  if (code === 0) return 'in';
  const found = words.find(([word]) => word.test(text));
  if (found === undefined) throw new Error(`exit ${code}: ${text}`);
  return found[1];
}

export class LogOn {
  readonly #facts: DcFacts;
  readonly #directory: string;
  readonly #configs = new Map<string, string>();

  /** Its files lie in the DC's directory, and go with it. */
  constructor(facts: DcFacts) {
    this.#facts = facts;
    this.#directory = mkdtempSync(join(facts.directory, 'log-on.'));
  }

  /** A ticket-granting ticket, asked for with this encryption type and no other. */
  async kinit(name: string, password: string, enctype: Enctype): Promise<Answer> {
    const env = { KRB5_CONFIG: this.#config(enctype), KRB5CCNAME: 'MEMORY:' };
    return answer(await command('kinit', [`${name}@${this.#facts.realm}`], env, `${password}\n`), [
      [/Password incorrect|Preauthentication failed/, 'wrong password'],
      [/no support for encryption type|KDC has no support/i, 'no such key'],
      [/credentials have been revoked/i, 'disabled'],
      [/not found in Kerberos database/, 'unknown user'],
    ]);
  }

  /** What MIT's kinit was told about salts and iterations: its trace. */
  async etypeInfo(name: string, password: string, enctype: Enctype): Promise<string> {
    const trace = join(this.#directory, `trace.${enctype}`);
    const env = { KRB5_CONFIG: this.#config(enctype), KRB5CCNAME: 'MEMORY:', KRB5_TRACE: trace };
    await command('kinit', [`${name}@${this.#facts.realm}`], env, `${password}\n`);
    return /Selected etype info: (.*)/.exec(readFileSync(trace, 'utf8'))?.[1] ?? '';
  }

  /** kpasswd (RFC 3244): `in` where the domain has taken the new password. */
  async changePassword(name: string, password: string, next: string): Promise<Answer> {
    const env = { KRB5_CONFIG: join(this.#facts.directory, 'krb5.conf') };
    const input = `${password}\n${next}\n${next}\n`;
    return answer(await command('kpasswd', [`${name}@${this.#facts.realm}`], env, input), [
      [/Not permitted to change password/, 'refused'],
      [/Password incorrect|Preauthentication failed/, 'wrong password'],
    ]);
  }

  /** An SMB session with NTLM. */
  async ntlm(name: string, password: string): Promise<Answer> {
    const file = join(this.#directory, `ntlm.${name}`);
    writeFileSync(file, `username = ${name}\npassword = ${password}\ndomain = ${this.#facts.netbiosDomain}\n`);
    const args = ['-s', join(this.#facts.directory, 'smb.conf'), '--use-kerberos=off', '-A', file];
    return answer(await command('smbclient', [...args, `//${this.#facts.host}/sysvol`, '-c', 'ls'], {}, ''), [
      [/NT_STATUS_LOGON_FAILURE|NT_STATUS_WRONG_PASSWORD/, 'wrong password'],
      [/NT_STATUS_ACCOUNT_DISABLED/, 'disabled'],
      [/NT_STATUS_\w+/, 'refused'],
    ]);
  }

  /** An LDAP simple bind over TLS, by user principal name. */
  async ldap(userPrincipalName: string, password: string): Promise<Answer> {
    const { host, dnsHostName, directory } = this.#facts;
    const ca = readFileSync(join(directory, 'private', 'tls', 'ca.pem'));
    const client = new Client({
      url: `ldaps://${host}`,
      // Samba makes a certificate for the DC's name, which no resolver knows here.
      tlsOptions: { ca, servername: dnsHostName },
      timeout: 100_000,
    });
    try {
      await client.bind(userPrincipalName, password);
      return 'in';
    } catch (error) {
      if (error instanceof InvalidCredentialsError) return 'wrong password';
      throw error;
    } finally {
      await client.unbind();
    }
  }

  #config(enctype: Enctype): string {
    const known = this.#configs.get(enctype);
    if (known !== undefined) return known;
    const path = join(this.#directory, `krb5.${enctype}.conf`);
    const lines = ['default_tkt_enctypes', 'default_tgs_enctypes', 'permitted_enctypes'].map(
      (key) => `    ${key} = ${enctype}\n`,
    );
    const base = readFileSync(join(this.#facts.directory, 'krb5.conf'), 'utf8');
    const section = '[libdefaults]\n';
    writeFileSync(path, base.replace(section, `${section}${lines.join('')}    allow_weak_crypto = true\n`));
    this.#configs.set(enctype, path);
    return path;
  }
}
