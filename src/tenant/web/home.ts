/** What a browser is told at `/`, where nothing is done: people come to this server from applications. */

import type { FastifyInstance } from 'fastify';
import type { TenantContext } from '../context.js';
import { NO_SUCH_ADDRESS } from '../http-server.js';
import { sendPage } from './failure.js';
import { html } from './html.js';
import { renderPage } from './page.js';

export function registerHomePage(server: FastifyInstance, { displayName }: TenantContext): void {
  const page = renderPage({
    title: 'Sign-in service',
    brand: displayName,
    content: html`<h1>Sign-in service</h1>
<p class="lead">There is nothing to do at this address. Open the application that you want to use: it sends you here when it needs to know who you are.</p>`,
  });
  server.get('/', async (request, reply) =>
    request.headers.accept?.includes('text/html') ? sendPage(reply, page) : reply.code(404).send(NO_SUCH_ADDRESS),
  );
}
