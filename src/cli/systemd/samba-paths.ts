/** Where a domain controller keeps what it writes, by its smb.conf (smb.conf(5)): a unit must leave these directories open. */

import { readFile } from 'node:fs/promises';
import { dirname, isAbsolute } from 'node:path';
import { fileErrorText } from '../../config/file-error.js';

export interface SambaPaths {
  /** Directories besides those of the distribution; for ReadWritePaths=, where they may be missing. */
  readonly writes: readonly string[];
  readonly warnings: readonly string[];
}

/** Debian's; Samba's own builds have them below /usr/local/samba. */
export const SAMBA_WRITES = [
  '-/var/lib/samba',
  '-/var/cache/samba',
  '-/run/samba',
  '-/var/log/samba',
  '-/usr/local/samba',
] as const;

/** Without blanks and in small letters, which smb.conf does not care for; with Samba's synonyms. */
const DIRECTORIES: ReadonlySet<string> = new Set([
  ...['privatedir', 'privatedirectory', 'lockdirectory', 'lockdir', 'statedirectory', 'cachedirectory', 'piddirectory'],
  ...['binddnsdir', 'binddnsdirectory', 'ncalrpcdir', 'ntpsigndsocketdirectory', 'winbinddsocketdirectory'],
]);

const isKnown = (path: string): boolean =>
  SAMBA_WRITES.map((each) => each.slice(1)).some((known) => path === known || path.startsWith(`${known}/`));

/** Never throws: what cannot be read becomes a warning. */
export async function sambaPaths(smbConf: string): Promise<SambaPaths> {
  try {
    return readSambaPaths(await readFile(smbConf, 'utf8'), smbConf);
  } catch (error) {
    return {
      writes: [],
      warnings: [
        `${smbConf} (managedDomain.smbConf) cannot be read here (${fileErrorText(error)}): where its directories are others ` +
          'than the distribution has, they must be let in: ReadWritePaths= in a drop-in',
      ],
    };
  }
}

/** Of the text of smb.conf, which stands in `file`. */
export function readSambaPaths(text: string, file: string): SambaPaths {
  const found = new Set<string>();
  const unclear: string[] = [];
  // A line ends with a backslash where the next one goes on with it.
  for (const line of text.replaceAll(/\\\r?\n/g, '').split(/\r?\n/)) {
    const [, name, value] = /^\s*([^#;=[\s][^=]*)=\s*(.*?)\s*$/.exec(line) ?? [];
    if (name === undefined || value === undefined || value === '') continue;
    const key = name.toLowerCase().replaceAll(/\s/g, '');
    if (key === 'include' || (key === 'configbackend' && value !== 'file')) unclear.push(`${name.trim()} = ${value}`);
    if (!DIRECTORIES.has(key) && key !== 'logfile') continue;
    const path = key === 'logfile' ? dirname(value) : value;
    if (!isAbsolute(path) || path.includes('%')) unclear.push(`${name.trim()} = ${value}`);
    else if (!isKnown(path)) found.add(path.replace(/(?<=.)\/+$/, ''));
  }
  const warnings = unclear.map(
    (what) =>
      `${file}: ${what}: which directories that means is not known here; where they are others than the distribution has, ` +
      'they must be let in: ReadWritePaths= in a drop-in',
  );
  return { writes: [...found].map((path) => `-${path}`), warnings };
}
