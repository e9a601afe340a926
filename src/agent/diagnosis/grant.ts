/** The commands by which an administrator grants the two replication rights. */

import { parseAccount } from '../sources/drs-account.js';

/** controlAccessRight objects (MS-ADTS 5.1.3.2.1): name for people, rightsGuid. */
export const REPLICATION_RIGHTS = [
  { name: 'Replicating Directory Changes', guid: '1131f6aa-9c07-11d1-f79f-00c04fc2dcd2' },
  { name: 'Replicating Directory Changes All', guid: '1131f6ad-9c07-11d1-f79f-00c04fc2dcd2' },
] as const;

/** User-Force-Change-Password, on the class user (MS-ADSC). */
const RESET_PASSWORD = { name: 'Reset Password', guid: '00299570-246d-11d0-a768-00aa006e0529' } as const;
const USER_CLASS = 'bf967aba-0de6-11d0-a285-00aa003049e2';

export interface GrantCommands {
  /** The account as the commands name it: `PHS\phs.sync`, or a UPN on Windows. */
  readonly account: string;
  /** For a command prompt on Windows, as a domain administrator. */
  readonly dsacls: readonly string[];
  /** For a shell on a Samba domain controller, as root. */
  readonly sambaTool: readonly string[];
}

/** `phs.test` as `DC=phs,DC=test`. */
export const domainDn = (domain: string): string =>
  domain
    .split('.')
    .map((label) => `DC=${label}`)
    .join(',');

/**
 * @param account `phs.sync`, `PHS\phs.sync` or `phs.sync@phs.test`
 * @param netbiosName where it is known; else the account's own, or the first label of the DNS name, which most have
 */
export function grantCommands(account: string, domain: string, netbiosName: string | undefined): GrantCommands {
  const { name, trustee, head } = trusteeOf(account, domain, netbiosName);
  return {
    account: trustee,
    dsacls: REPLICATION_RIGHTS.map((right) => `dsacls "${head}" /G "${trustee}:CA;${right.name}"`),
    // One line for both: the SID is looked up once.
    sambaTool: [
      ...sidCommands(name, account),
      ...REPLICATION_RIGHTS.map(
        ({ guid }) => `samba-tool dsacl set --objectdn=${shellQuoted(head)} --sddl="(OA;;CR;${guid};;$sid)"`,
      ),
    ],
  };
}

/** The commands that let the account reset the passwords of all users of the domain, for write-back. */
export function resetCommands(account: string, domain: string, netbiosName: string | undefined): GrantCommands {
  const { name, trustee, head } = trusteeOf(account, domain, netbiosName);
  return {
    account: trustee,
    dsacls: [`dsacls "${head}" /I:S /G "${trustee}:CA;${RESET_PASSWORD.name};user"`],
    sambaTool: [
      ...sidCommands(name, account),
      `samba-tool dsacl set --objectdn=${shellQuoted(head)} --sddl="(OA;CIIO;CR;${RESET_PASSWORD.guid};${USER_CLASS};$sid)"`,
    ],
  };
}

/** samba-tool looks nobody up by userPrincipalName, whose first part may be no sAMAccountName. */
const sidCommands = (name: string, account: string) => [
  ...(isPrincipal(account) ? [`# ${name} is to be the sAMAccountName: write it there if it is another one.`] : []),
  `sid=$(samba-tool user show ${shellQuoted(name)} --attributes=objectSid | sed -n 's/^objectSid: //p')`,
];

const isPrincipal = (account: string) => account.includes('@') && !account.includes('\\');

function trusteeOf(account: string, domain: string, netbiosName: string | undefined) {
  const { user, domain: given } = parseAccount(account, '');
  const [name = user] = user.split('@');
  const head = domainDn(domain);
  // dsacls takes a userPrincipalName, whose first part may be no sAMAccountName.
  if (isPrincipal(account)) return { name, trustee: account, head };
  const netbios = netbiosName ?? (given !== '' && !given.includes('.') ? given : domain.split('.')[0]!.toUpperCase());
  return { name, trustee: `${netbios}\\${name}`, head };
}

/** For a POSIX shell. */
export const shellQuoted = (text: string): string =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
