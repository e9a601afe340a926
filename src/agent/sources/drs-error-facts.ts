/** What an error between the agent and a domain controller names. */

/** Where it went wrong. */
export type DrsStage = 'endpoint-mapper' | 'connect' | 'logon' | 'bind' | 'domain' | 'replicate' | 'object';

export interface DrsErrorFacts {
  readonly server: string;
  readonly domain: string;
  /** As configured. */
  readonly account: string;
  readonly mechanism?: 'ntlm' | 'negotiate' | 'kerberos' | undefined;
  /** What it proves itself with. Default: a password. */
  readonly credential?: 'password' | 'keytab' | 'cache' | undefined;
  readonly stage: DrsStage;
}
