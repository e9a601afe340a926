/** What the tests of the pages stand on: a tenant with people and the tests' applications, and a relying party. */

import { temporaryDirectory, testHasher } from '../harness.js';
import { Clock, RuleSite } from '../rules/site.js';
import { applications, RelyingParty } from './browser.js';

export interface WebSite {
  readonly site: RuleSite;
  readonly party: RelyingParty;
  close(): Promise<void>;
}

/** With the system's time to begin with, which browsers' cookies go by. */
export async function startWebSite(config: Readonly<Record<string, unknown>>): Promise<WebSite> {
  const hasher = testHasher();
  const directory = await temporaryDirectory();
  const site = await RuleSite.start({ tenant: { stateDir: directory.path } }, hasher, {
    clock: new Clock(Date.now()),
    config: { applications, ...config },
  });
  const party = await RelyingParty.start(site.tenant);
  return {
    site,
    party,
    async close() {
      party.close();
      await site.close();
      await hasher.close();
      await directory.remove();
    },
  };
}
