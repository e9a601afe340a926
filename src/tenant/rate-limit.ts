/** Requests a minute and address, by kind: in memory, so each tenant process counts for itself. */

import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { DOMAIN_SERVICES_FEED_PATH } from '../provisioning/domain-services-feed.js';
import { WRITE_BACK_PATH } from '../provisioning/write-back.js';
import type { TenantConfig } from './config.js';
import { PROVISIONING_PATH } from './provisioning/endpoint.js';
import { bareAddress, ipv6Words } from './sign-in/familiar-places.js';

/** Addresses that are remembered at most; the least recent goes. */
const ADDRESSES = 50_000;

/** Of agents and of readers of Domain Services. */
const TOKENS_OF_THEIR_OWN = [PROVISIONING_PATH, WRITE_BACK_PATH, DOMAIN_SERVICES_FEED_PATH];

type Kind = keyof TenantConfig['rateLimit'] | 'provisioning';

/**
 * By the route, since one address can be written in many ways; agents and readers are known by their tokens and send what they
 * must. Undefined: there is no such address.
 */
export function kindOf(route: string | undefined): Kind {
  if (route === undefined) return 'pages';
  if (TOKENS_OF_THEIR_OWN.some((path) => route.startsWith(path))) return 'provisioning';
  if (route.startsWith('/v1.0/')) return 'graph';
  return /\/oauth2\/v2\.0\/(token|devicecode)$/.test(route) ? 'token' : 'pages';
}

/** The /64 of an IPv6 address is one customer's, who has all of its addresses. */
export function sourceOf(address: string): string {
  const bare = bareAddress(address);
  return ipv6Words(bare)?.slice(0, 4).join(':') ?? bare;
}

export async function registerRateLimit(server: FastifyInstance, limits: TenantConfig['rateLimit']): Promise<void> {
  // There are as many as there are routes.
  const kinds = new Map<string | undefined, Kind>();
  const kindOfRequest = ({ routeOptions: { url } }: FastifyRequest): Kind => {
    let kind = kinds.get(url);
    if (kind === undefined) {
      kind = kindOf(url);
      kinds.set(url, kind);
    }
    return kind;
  };
  await server.register(rateLimit, {
    global: true,
    cache: ADDRESSES,
    timeWindow: 60_000,
    keyGenerator: (request: FastifyRequest) => `${kindOfRequest(request)} ${sourceOf(request.ip)}`,
    max: (request: FastifyRequest) => {
      const kind = kindOfRequest(request);
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
