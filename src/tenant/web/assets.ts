/** Style sheet and icon, each at an address that names its content, so that browsers may keep them for ever. */

import { createHash } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import { ICON, STYLE } from './style.js';

const asset = (name: string, extension: string, type: string, text: string) => ({
  path: `/assets/${name}-${createHash('sha256').update(text).digest('hex').slice(0, 16)}.${extension}`,
  type,
  text,
});

export const style = asset('style', 'css', 'text/css; charset=utf-8', STYLE);
export const icon = asset('icon', 'svg', 'image/svg+xml', ICON);

export function registerAssets(server: FastifyInstance): void {
  for (const { path, type, text } of [style, icon]) {
    server.get(path, async (_request, reply) => {
      reply.headers({
        'content-type': type,
        'cache-control': 'public, max-age=31536000, immutable',
        'x-content-type-options': 'nosniff',
        'cross-origin-resource-policy': 'same-origin',
      });
      return text;
    });
  }
}
