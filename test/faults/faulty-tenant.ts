/**
 * A simulated faulty way to the tenant: a TLS server with a certificate of its own that hands each request to the real
 * tenant behind it, or not, and the answer back, or not, as a seed decides.
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request as send } from 'undici';
import { decodeReply } from '#src/provisioning/client-codec.js';
import { CONTENT_TYPE, decodeRequest, encodeFault, encodeResponse } from '#src/provisioning/server-codec.js';
import type { Certificate } from '../provisioning/https-server.js';
import { datesOf, faultReply, partly, type Reply } from './messages.js';
import type { Random } from './random.js';

interface Exchange {
  readonly path: string;
  readonly contentType: string;
  readonly body: Buffer;
  readonly isBatch: boolean;
  readonly credentials: boolean;
  readonly response: ServerResponse;
  readonly random: Random;
}

/** Faults of the provisioning service and of the way to it, with how often each is drawn. */
const FAULTS = {
  errorBefore: 2,
  errorAfter: 2,
  busy: 2,
  directoryBusy: 2,
  resetBefore: 1,
  resetAfter: 3,
  cutAnswer: 3,
  truncatedAnswer: 2,
  wrongType: 1,
  silent: 1,
  lateArrival: 4,
  slow: 2,
  partial: 4,
  redirect: 1,
  redirectByStatus: 1,
  staleToken: 2,
} as const;
/** Where they are worst: the agent's death between a batch and its answer, a batch that arrives after the next ones. */
const WORST = [
  'killBefore',
  'killBefore',
  'killAfter',
  'killAnswered',
  'lateArrival',
  'lateArrival',
  'lateArrival',
] as const;
type FaultName = keyof typeof FAULTS | (typeof WORST)[number];
const DRAWN = (Object.keys(FAULTS) as (keyof typeof FAULTS)[]).flatMap((name) =>
  Array<FaultName>(FAULTS[name]).fill(name),
);

/** Of each batch. */
const WORST_PROBABILITY = 0.3;
/** The agent has to come to something, too. */
const MAX_KILLS = 4;
const TOKEN_FAULTS = ['tokenError', 'tokenBusy', 'tokenReset', 'tokenShort'] as const;

export class FaultyTenant {
  readonly url: string;
  /** How often each fault struck. */
  readonly struck = new Map<string, number>();
  /** Requests that went through to the tenant. */
  forwarded = 0;
  /** Requests that carried passwords, and met whatever they met. */
  credentials = 0;
  readonly #servers: readonly Server[];
  readonly #urls: readonly string[];
  readonly #upstream: string;
  readonly #http: Agent;
  readonly #late = new Set<Promise<void>>();
  /** Requests on a long way: each arrives when it is worst, which is after a newer password of one of its users, or at last. */
  #held: { readonly exchange: Exchange; readonly dates: ReadonlyMap<string, number> }[] = [];
  #random: Random | undefined;
  #probability = 0;
  #batch: number | undefined;
  #kills = 0;
  /** Ends the agent as a power cut does. */
  onKill: () => void = () => undefined;

  private constructor(servers: readonly Server[], upstream: string, ca: string) {
    this.#servers = servers;
    this.#urls = servers.map((server) => `https://127.0.0.1:${(server.address() as AddressInfo).port}`);
    this.url = this.#urls[0]!;
    this.#upstream = upstream;
    this.#http = new Agent({ connect: { ca }, connections: 64 });
    for (const server of servers) server.on('request', (request, response) => void this.#serve(request, response));
  }

  /** Before the tenant at `upstream`, whose certificate `ca` has signed. */
  static async start(certificate: Certificate, upstream: string, ca: string): Promise<FaultyTenant> {
    // Two: one to be redirected to.
    const servers = [createServer({ ...certificate }), createServer({ ...certificate })];
    await Promise.all(servers.map((server) => new Promise<void>((done) => server.listen(0, '127.0.0.1', done))));
    return new FaultyTenant(servers, upstream, ca);
  }

  /** From now on requests meet a fault with this probability, and batches are announced so large (undefined: not at all). */
  trouble(random: Random, probability: number, batch: number | undefined): void {
    this.#random = random;
    this.#probability = probability;
    this.#batch = batch;
  }

  /** No more faults; resolves when what was held back has arrived. */
  async calm(): Promise<void> {
    this.#probability = 0;
    await Promise.all(this.#late);
    await this.#deliver(() => true);
  }

  async close(): Promise<void> {
    await Promise.all(this.#late);
    for (const server of this.#servers) {
      server.close();
      server.closeAllConnections();
    }
    await this.#http.destroy();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // Who resets a connection is told of it here, too.
    response.on('error', () => undefined);
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    } catch {
      // The agent was killed while it sent: the tenant never sees this request.
      this.#count('requestCut');
      return;
    }
    const random = this.#random;
    const path = request.url ?? '/';
    const contentType = request.headers['content-type'] ?? '';
    const action = String(request.headers['x-ms-aadmsods-apiaction'] ?? '');
    const credentials = action === 'ProvisionCredentials';
    if (credentials) this.credentials++;
    const isBatch = action.startsWith('Provision');
    const exchange = {
      path,
      contentType,
      body: Buffer.concat(chunks),
      isBatch,
      credentials,
      response,
      random: random!,
    };
    try {
      const worst = isBatch && this.#probability > 0 && random!.chance(WORST_PROBABILITY);
      if (worst) await this.#fault(exchange, this.#kills < MAX_KILLS ? random!.pick(WORST) : 'lateArrival');
      else if (random === undefined || !random.chance(this.#probability))
        answer(response, await this.#forward(exchange));
      else if (path.endsWith('/token')) await this.#tokenFault(exchange);
      else await this.#fault(exchange, random.pick(DRAWN));
    } catch (error) {
      this.#count('upstreamFailed');
      process.stderr.write(`faults: the tenant behind the proxy failed: ${(error as Error).message}\n`);
      response.destroy();
    }
  }

  async #deliver(isDue: (dates: ReadonlyMap<string, number>) => boolean): Promise<void> {
    const due = this.#held.filter(({ dates }) => isDue(dates));
    this.#held = this.#held.filter((held) => !due.includes(held));
    for (const { exchange } of due) {
      this.#count('arrivedLate');
      await this.#forward({ ...exchange, credentials: false });
    }
  }

  async #forward(exchange: Omit<Exchange, 'response' | 'random'>): Promise<Reply> {
    const { path, contentType, body, credentials } = exchange;
    this.forwarded++;
    const reply = await send(`${this.#upstream}${path}`, {
      method: 'POST',
      headers: { 'content-type': contentType },
      body,
      dispatcher: this.#http,
    });
    const bytes = Buffer.from(await reply.body.arrayBuffer());
    if (credentials && this.#held.length > 0) {
      const now = datesOf(body);
      await this.#deliver((dates) => [...dates].some(([anchor, date]) => (now.get(anchor) ?? date) > date));
    }
    const type = reply.headers['content-type'];
    return { status: reply.statusCode, contentType: String(type ?? ''), body: this.#withLimits(body, bytes) };
  }

  /** The tenant's own limit is above what a run has users: smaller batches are more requests, and several at a time. */
  #withLimits(request: Buffer, body: Buffer): Buffer {
    if (!request.includes('GetCompanyConfiguration') || request.length > 8192) return body;
    const reply = decodeReply('GetCompanyConfiguration', body);
    if (reply.fault !== undefined) return body;
    const size = this.#batch;
    const limits = size === undefined ? undefined : { credentialsPerBatch: size, objectsPerBatch: size };
    const answer = { operation: 'GetCompanyConfiguration', header: decodeRequest(request).header } as const;
    return encodeResponse(answer, { ...reply.result, limits });
  }

  async #fault(exchange: Exchange, name: FaultName): Promise<void> {
    this.#count(name);
    const { response, random, body } = exchange;
    const html = (status: number) => ({ status, contentType: 'text/html', body: Buffer.from('<html>trouble</html>') });
    switch (name) {
      case 'errorBefore':
        return answer(response, html(random.pick([500, 502, 504])));
      case 'errorAfter':
        await this.#forward(exchange);
        return answer(response, html(random.pick([500, 502, 504])));
      case 'busy':
        return answer(response, html(random.pick([429, 503])), { 'retry-after': String(random.int(0, 8)) });
      case 'directoryBusy':
        return answer(response, faultReply(body, 'Receiver', 81));
      case 'staleToken':
        return answer(response, faultReply(body, 'Sender', 'AccessDenied', 'InvalidSecurityToken'));
      case 'resetBefore':
        response.destroy();
        return;
      case 'resetAfter':
        await this.#forward(exchange);
        response.destroy();
        return;
      case 'cutAnswer': {
        const { status, contentType, body: whole } = await this.#forward(exchange);
        response.writeHead(status, { 'content-type': contentType, 'content-length': whole.length });
        response.write(whole.subarray(0, whole.length >> 1), () => response.destroy());
        return;
      }
      case 'truncatedAnswer': {
        const reply = await this.#forward(exchange);
        return answer(response, { ...reply, body: reply.body.subarray(0, random.int(0, reply.body.length - 1)) });
      }
      case 'wrongType': {
        const reply = await this.#forward(exchange);
        return answer(response, { ...reply, contentType: 'text/plain' });
      }
      case 'silent':
        await this.#forward(exchange);
        this.#later(2500, async () => void response.destroy());
        return;
      case 'lateArrival':
        // The client gives it up and sends it again, and this one arrives after that, and after what comes next.
        response.destroy();
        this.#held.push({ exchange, dates: datesOf(body) });
        return;
      case 'slow': {
        const { status, contentType, body: whole } = await this.#forward(exchange);
        response.writeHead(status, { 'content-type': contentType, 'content-length': whole.length });
        for (let at = 0; at < whole.length; at += Math.ceil(whole.length / 4)) {
          response.write(whole.subarray(at, at + Math.ceil(whole.length / 4)));
          await sleep(random.int(10, 120));
        }
        response.end();
        return;
      }
      case 'partial':
        return answer(response, await partly(body, random, (part) => this.#forward({ ...exchange, body: part })));
      case 'killBefore':
        this.#kill();
        response.destroy();
        return;
      case 'killAfter':
        // The tenant has it, and the agent will never know.
        await this.#forward(exchange);
        this.#kill();
        response.destroy();
        return;
      case 'killAnswered':
        // Perhaps the agent has written it down by then.
        answer(response, await this.#forward(exchange));
        this.#later(random.int(0, 40), async () => this.#kill());
        return;
      case 'redirect':
        return answer(response, {
          status: 500,
          contentType: CONTENT_TYPE,
          body: encodeFault({ redirectUrl: `${this.#urls[1]}${exchange.path}` }),
        });
      case 'redirectByStatus':
        return answer(response, html(307), { location: `${this.#urls[1]}${exchange.path}` });
    }
  }

  async #tokenFault(exchange: Exchange): Promise<void> {
    const { response, random } = exchange;
    const name = random.pick(TOKEN_FAULTS);
    this.#count(name);
    const json = (status: number, body: unknown): Reply => ({
      status,
      contentType: 'application/json',
      body: Buffer.from(JSON.stringify(body)),
    });
    switch (name) {
      case 'tokenError':
        return answer(response, json(500, { error: 'server_error' }));
      case 'tokenBusy':
        return answer(response, json(429, { error: 'temporarily_unavailable' }), { 'retry-after': '2' });
      case 'tokenReset':
        response.destroy();
        return;
      case 'tokenShort': {
        // Ends before the next request.
        const reply = await this.#forward(exchange);
        return answer(response, json(reply.status, { ...JSON.parse(reply.body.toString()), expires_in: 1 }));
      }
    }
  }

  #kill(): void {
    this.#kills++;
    this.onKill();
  }

  #later(ms: number, work: () => Promise<void>): void {
    const late = sleep(ms)
      .then(work)
      .catch(() => this.#count('lateFailed'))
      .finally(() => this.#late.delete(late));
    this.#late.add(late);
  }

  #count(name: string): void {
    this.struck.set(name, (this.struck.get(name) ?? 0) + 1);
  }
}

function answer(response: ServerResponse, reply: Reply, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(reply.status, { 'content-type': reply.contentType, ...headers });
  response.end(reply.body);
}
