/** `domainServices` of agent.yaml as the agent goes by it: its file of certificates read. */

import { X509Certificate } from 'node:crypto';
import { PEM_CERTIFICATE, readCa } from '../../config/ca.js';
import type { AgentConfig } from '../config.js';
import type { DomainServicesPolicy } from './offer.js';

/** @throws PhsyncError `config-ca` */
export async function readPolicy({
  domainServices,
}: Pick<AgentConfig, 'domainServices'>): Promise<DomainServicesPolicy> {
  const { send = 'auto', certificates } = domainServices ?? {};
  if (certificates === undefined) return { send, allowed: undefined };
  const text = await readCa(certificates, 'domainServices.certificates');
  const each = text.match(PEM_CERTIFICATE) ?? [];
  return { send, allowed: new Set(each.map((pem) => new X509Certificate(pem).fingerprint256)) };
}
