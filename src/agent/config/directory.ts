/** A connector's `directory` in agent.yaml: where it is, and with which account it is asked. */

import { z } from 'zod';
import { type ConfigSchemas, domainName } from '../../config/schemas.js';

/** Largest simulated directory; RIDs stay far below 2³⁰, where a domain's RID pool ends. */
const MAX_LAB_USERS = 10_000_000;

/** A host name or IPv4/IPv6 address, as it is handed to the resolver. */
export const host = z.string().regex(/^[A-Za-z0-9._:-]{1,253}$/, 'expected a host name or an address');

/** A domain controller: its name, or its name and where it is if DNS does not say. */
const controller = z.union(
  [
    host.transform((server) => ({ server, address: undefined })),
    z.strictObject({ server: host, address: host.optional() }),
  ],
  'expected the name of a domain controller, or { server: NAME, address: ADDRESS }',
);
const controllers = z.array(controller).min(1, 'expected at least one domain controller').max(64);

const account = z.string().min(1).max(512);

function authSchema({ path, secret }: ConfigSchemas) {
  return z
    .strictObject({
      mechanism: z
        .enum(['ntlm', 'negotiate', 'kerberos'])
        .default('ntlm')
        .describe('negotiate is SPNEGO: Kerberos where it can be had, and NTLM otherwise.'),
      user: account
        .describe('phs.sync, PHS\\phs.sync or phs.sync@phs.test; with a credential cache it may be left out.')
        .optional(),
      password: secret.describe("The account's password.").optional(),
      keytab: path.describe("Kerberos: a keytab with the account's keys, in place of the password.").optional(),
      credentialCache: z
        .string()
        .min(1)
        .max(1024)
        .describe('Kerberos: a credential cache that somebody else keeps fresh: a file, or KEYRING:… and the like.')
        .optional(),
      realm: z.string().min(1).max(253).describe('Kerberos: the realm; the domain in capitals otherwise.').optional(),
      allowRc4: z.boolean().default(false).describe('Kerberos: take tickets and session keys of RC4-HMAC too.'),
    })
    .superRefine((auth, context) => {
      const refuse = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
      const kerberosOnly = (['keytab', 'credentialCache', 'realm'] as const).filter((key) => auth[key] !== undefined);
      if (auth.mechanism === 'ntlm') {
        for (const key of kerberosOnly) refuse(key, 'is for the mechanisms kerberos and negotiate');
        if (auth.allowRc4) refuse('allowRc4', 'is for the mechanisms kerberos and negotiate');
      }
      const ways = (['password', 'keytab', 'credentialCache'] as const).filter((key) => auth[key] !== undefined);
      if (ways.length === 0) {
        const expected = auth.mechanism === 'ntlm' ? 'the password' : 'one of password, keytab and credentialCache';
        refuse('password', `expected ${expected}, but it is missing`);
      } else if (ways.length > 1) {
        refuse(ways[1]!, `expected one of password, keytab and credentialCache, not ${ways.join(' and ')}`);
      }
      if (auth.user === undefined && auth.credentialCache === undefined) {
        refuse('user', 'expected the account, but it is missing');
      }
    });
}

export function directorySchema(schemas: ConfigSchemas) {
  return z.discriminatedUnion('type', [
    z
      .strictObject({
        type: z.literal('drs').describe('Active Directory, over MS-DRSR.'),
        server: host
          .describe('The one domain controller to ask, by the name that Kerberos knows. Without it DNS is asked (SRV).')
          .optional(),
        address: host.describe('Where `server` is, if DNS does not say.').optional(),
        servers: controllers
          .describe('Or these domain controllers and no others, the preferred ones first.')
          .optional(),
        preferredServers: controllers.describe('These first, and then those that DNS names (SRV).').optional(),
        site: z
          .string()
          .regex(/^[A-Za-z0-9-]{1,63}$/, 'expected the name of a site')
          .describe('The Active Directory site whose domain controllers DNS is asked for first.')
          .optional(),
        dnsServers: z
          .array(host)
          .min(1)
          .max(8)
          .describe("Name servers to ask in place of the system's: addresses, with a port where it is not 53.")
          .optional(),
        domain: domainName.describe('The domain, by its DNS name.'),
        auth: authSchema(schemas).describe('The account that replicates.'),
        pageSize: z
          .int()
          .min(1)
          .max(10_000)
          .describe('Objects in a page of replication; domain controllers have a limit of their own (Samba 1000).')
          .optional(),
        timeoutSeconds: z
          .number()
          .min(1)
          .max(600)
          .describe('Longest silence of the domain controller before the cycle gives up; 60 otherwise.')
          .optional(),
      })
      .superRefine((directory, context) => {
        const refuse = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
        const { server, address, servers, preferredServers, site } = directory;
        if (address !== undefined && server === undefined) refuse('address', 'is of `server`, which is missing');
        if (server !== undefined && servers !== undefined) refuse('servers', 'expected either server or servers');
        const listed = server ?? servers;
        if (listed !== undefined && preferredServers !== undefined) {
          refuse('preferredServers', 'goes before what DNS names: leave out server and servers');
        }
        if (listed !== undefined && site !== undefined) refuse('site', 'is for DNS: leave out server and servers');
      }),
    z.strictObject({
      type: z.literal('lab').describe('A simulated directory, for trials.'),
      users: z.int().min(1).max(MAX_LAB_USERS).describe('How many users it has.'),
      seed: z.int().min(0).max(0xffffffff).default(1).describe('Of all that is random in it.'),
      domain: domainName.default('lab.test').describe('Its domain.'),
      changesPerMinute: z.number().min(0).max(60_000).default(0).describe('Passwords that change on their own.'),
      journal: schemas.path.describe('Where changes made by hand are kept, so that a restart finds them.').optional(),
    }),
  ]);
}
