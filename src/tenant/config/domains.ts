/** `domains` of tenant.yaml: the DNS domains that user principal names may have, and where their people sign in. */

import { z } from 'zod';
import { domainName } from '../../config/schemas.js';
import { once } from './once.js';

const domainSchema = z
  .strictObject({
    name: domainName.describe('the domain, e.g. contoso.com'),
    authenticationType: z
      .enum(['Managed', 'Federated'])
      .default('Managed')
      .describe('Managed: people sign in here. Federated: they are sent to federationUrl'),
    federationUrl: z
      .url({ protocol: /^https$/, error: 'expected an https URL' })
      .optional()
      .describe("where a federated domain's people are sent"),
    passwordHashFallback: z
      .boolean()
      .default(false)
      .describe("federation's backup: the domain's people sign in here by password hash all the same"),
  })
  .superRefine(({ authenticationType, federationUrl }, context) => {
    if (authenticationType === 'Federated' && federationUrl === undefined) {
      context.addIssue({ code: 'custom', path: ['federationUrl'], message: 'a federated domain needs one' });
    }
    if (authenticationType === 'Managed' && federationUrl !== undefined) {
      context.addIssue({ code: 'custom', path: ['federationUrl'], message: 'only a federated domain has one' });
    }
  });

export const domainsSchema = z
  .array(domainSchema)
  .min(1)
  .superRefine(once('name'))
  .describe(
    'the domains of user principal names; the first start that names one puts it into the store, which has the word from then on',
  );
