/** Requests a minute and address, by kind: in memory, so each tenant process counts for itself. */

import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { WRITE_BACK_PATH } from '../provisioning/write-back.js';
import type { TenantConfig } from './config.js';
import { PROVISIONING_PATH } from './provisioning/endpoint.js';

/** Addresses that are remembered at most; the least recent goes. */
const ADDRESSES = 50_000;

type Kind = keyof TenantConfig['rateLimit'] | 'provisioning';

/** By the address that was asked for; agents are known by their tokens and send what they must. */
export function kindOf(url: string): Kind {
  if (url.startsWith(PROVISIONING_PATH) || url.startsWith(WRITE_BACK_PATH)) return 'provisioning';
  if (url.startsWith('/v1.0/')) return 'graph';
  return /^\/[^/]+\/oauth2\/v2\.0\/(token|devicecode)\b/.test(url) ? 'token' : 'pages';
}

/** One network of IPv6 is one customer's. */
function keyOf(address: string): string {
  return address.includes(':') && !address.startsWith('::ffff:') ? address.split(':').slice(0, 4).join(':') : address;
}

export async function registerRateLimit(server: FastifyInstance, limits: TenantConfig['rateLimit']): Promise<void> {
  await server.register(rateLimit, {
    global: true,
    cache: ADDRESSES,
    timeWindow: 60_000,
    keyGenerator: (request: FastifyRequest) => `${kindOf(request.url)} ${keyOf(request.ip)}`,
    max: (request: FastifyRequest) => {
      const kind = kindOf(request.url);
      return kind === 'provisioning' ? Number.MAX_SAFE_INTEGER : limits[kind];
    },
    addHeaders: { 'x-ratelimit-limit': false, 'x-ratelimit-remaining': false, 'x-ratelimit-reset': false },
    addHeadersOnExceeding: { 'x-ratelimit-limit': false, 'x-ratelimit-remaining': false, 'x-ratelimit-reset': false },
    errorResponseBuilder: (_request, { statusCode, ttl }) => ({
      statusCode,
      error: 'temporarily_unavailable',
      error_description: `Too many requests from this address: try again in ${Math.ceil(ttl / 1000)} seconds.`,
    }),
  });
}
