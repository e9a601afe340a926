/** Every call that the Graph part offers. */

import { batchRoute } from './batch.js';
import { directoryAuditRoutes } from './logs/directory-audits.js';
import { signInRoutes } from './logs/sign-ins.js';
import { domainServicesRoutes } from './organization/domain-services.js';
import { domainRoutes } from './organization/domains.js';
import { organizationRoutes } from './organization/organization.js';
import { synchronizationRoutes } from './organization/synchronization.js';
import { riskRoutes } from './risk/routes.js';
import { groupRoutes } from './rollout/groups.js';
import { rolloutRoutes } from './rollout/policies.js';
import type { DescribedRoute, GraphRoute } from './route.js';
import { userReadRoutes } from './users/routes.js';
import { sessionRoutes } from './users/sessions.js';
import { userChangeRoutes } from './users/user-changes.js';

export const graphRoutes: readonly GraphRoute[] = [
  ...userReadRoutes,
  ...userChangeRoutes,
  ...sessionRoutes,
  ...organizationRoutes,
  ...domainRoutes,
  ...domainServicesRoutes,
  ...synchronizationRoutes,
  ...groupRoutes,
  ...rolloutRoutes,
  ...riskRoutes,
  ...signInRoutes,
  ...directoryAuditRoutes,
];

/** As the OpenAPI document has them: the batch of them, too. */
export const describedRoutes: readonly DescribedRoute[] = [...graphRoutes, batchRoute];
