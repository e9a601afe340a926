/** `$batch` through Microsoft's own client, and what a batch must not be able to do. */

import { BatchRequestContent, BatchResponseContent } from '@microsoft/microsoft-graph-client';
import { beforeAll, expect, it } from 'vitest';
import { checkReply } from './conformance.js';
import { ADMINISTRATOR, describeGraph, type GraphTenant } from './graph-tenant.js';

describeGraph('$batch', suite);

interface Answer {
  readonly id: string;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  // biome-ignore lint/suspicious/noExplicitAny: replies are looked at member by member
  readonly body?: any;
}

const SCOPES = ['User.ReadWrite.All', 'Group.ReadWrite.All', 'Domain.Read.All'];

function suite(theTenant: () => GraphTenant) {
  let tenant: GraphTenant;
  let token: string;
  beforeAll(async () => {
    tenant = theTenant();
    token = await tenant.bearer('user', SCOPES);
  });
  const batch = (requests: unknown, headers = {}) =>
    tenant.call('POST', '/$batch', { token, body: { requests }, headers });
  async function answers(requests: readonly object[]): Promise<ReadonlyMap<string, Answer>> {
    const { status, json, text } = await batch(requests);
    expect(status, text).toBe(200);
    checkReply('POST', '/$batch', status, json);
    return new Map(json.responses.map((answer: Answer) => [answer.id, answer]));
  }

  it("carries what Microsoft's client puts into it, and the client reads the answers", async () => {
    const step = (id: string, path: string, init?: object, dependsOn?: string[]) => ({
      id,
      request: new Request(`https://graph.microsoft.com/v1.0${path}`, init),
      ...(dependsOn === undefined ? {} : { dependsOn }),
    });
    const group = { displayName: 'Batched', mailEnabled: false, mailNickname: 'batched', securityEnabled: true };
    const content = new BatchRequestContent([
      step('1', '/me?$select=userPrincipalName'),
      step(
        '2',
        '/groups',
        { method: 'POST', body: JSON.stringify(group), headers: { 'content-type': 'application/json' } },
        ['1'],
      ),
      step('3', "/groups?$filter=startswith(displayName,'Batched')", undefined, ['2']),
    ]);
    const client = tenant.delegated(SCOPES);
    const responses = new BatchResponseContent(await client.api('/$batch').post(await content.getContent()));
    expect(await responses.getResponseById('1').json()).toMatchObject({ userPrincipalName: ADMINISTRATOR.name });
    expect(responses.getResponseById('2').status).toBe(201);
    expect(await responses.getResponseById('3').json()).toMatchObject({ value: [{ displayName: 'Batched' }] });
  });

  it('answers each as if it had come alone: errors in shape, text, no body, its own headers', async () => {
    const got = await answers([
      { id: 'none', method: 'GET', url: '/users/nobody@phs.test' },
      { id: 'count', method: 'get', url: 'users/$count', headers: { ConsistencyLevel: 'eventual' } },
      { id: 'uncounted', method: 'GET', url: '/users/$count' },
      { id: 'forbidden', method: 'GET', url: '/organization' },
      { id: 'renamed', method: 'PATCH', url: `/users/${tenant.administratorId}`, body: { givenName: 'Ada' } },
      { id: 'page', method: 'GET', url: '/domains?$top=1' },
    ]);
    expect(got.get('none')).toMatchObject({ status: 404, body: { error: { code: 'Request_ResourceNotFound' } } });
    checkReply('GET', '/users/x', 404, got.get('none')!.body);
    expect(got.get('count')).toMatchObject({ status: 200, body: expect.stringMatching(/^\d+$/) });
    expect(got.get('uncounted')?.status).toBe(400);
    expect(got.get('forbidden')).toMatchObject({
      status: 403,
      body: { error: { code: 'Authorization_RequestDenied' } },
    });
    expect(got.get('renamed')?.status).toBe(204);
    expect(got.get('renamed')).not.toHaveProperty('body');
    expect(got.get('page')?.headers['Content-Type']).toContain('application/json');
  });

  it('does in order what depends on another, and not what depends on what failed', async () => {
    const user = (name: string) => ({
      accountEnabled: true,
      displayName: name,
      userPrincipalName: `${name}@phs.test`,
      passwordProfile: { password: 'Correct-Horse-7-Battery' },
    });
    const got = await answers([
      { id: 'last', method: 'DELETE', url: '/users/bo@phs.test', dependsOn: ['read'] },
      { id: 'read', method: 'GET', url: '/users/bo@phs.test', dependsOn: ['made'] },
      { id: 'made', method: 'POST', url: '/users', body: user('bo') },
      { id: 'bad', method: 'POST', url: '/users', body: { ...user('cy'), accountEnabled: 'x' } },
      { id: 'after', method: 'POST', url: '/users', body: user('di'), dependsOn: ['made', 'bad'] },
      { id: 'later', method: 'GET', url: '/me', dependsOn: ['after'] },
    ]);
    expect([...got.values()].map(({ id, status }) => [id, status])).toEqual([
      ['last', 204],
      ['read', 200],
      ['made', 201],
      ['bad', 400],
      ['after', 424],
      ['later', 424],
    ]);
    expect(got.get('after')?.body.error).toMatchObject({ code: 'FailedDependency' });
    expect(got.get('last')).not.toHaveProperty('body');
    expect((await tenant.call('GET', '/users/di@phs.test', { token })).status).toBe(404);
  });

  it.each([
    ['nothing in it', [], "'requests'"],
    ['21', Array.from({ length: 21 }, (_, i) => ({ id: `${i}`, method: 'GET', url: '/me' })), 'maximum value of 20'],
    ['an id twice', [1, 2].map(() => ({ id: 'a', method: 'GET', url: '/me' })), 'unique'],
    ['no id', [{ method: 'GET', url: '/me' }], "'requests/0/id'"],
    ['a method that is none', [{ id: 'a', method: 'TRACE', url: '/me' }], "'requests/0/method'"],
    ['a stranger before it', [{ id: 'a', method: 'GET', url: '/me', dependsOn: ['b'] }], "depends on 'b'"],
    ['itself before it', [{ id: 'a', method: 'GET', url: '/me', dependsOn: ['a'] }], 'depend on each other'],
    [
      'a circle',
      [
        { id: 'a', method: 'GET', url: '/me', dependsOn: ['b'] },
        { id: 'b', method: 'GET', url: '/me', dependsOn: ['a'] },
        { id: 'c', method: 'GET', url: '/me' },
      ],
      "'a', 'b' depend",
    ],
    ['no list', 'x', "'requests'"],
  ])('is refused as a whole: %s', async (_name, requests, named) => {
    const { status, json } = await batch(requests);
    expect(status).toBe(400);
    checkReply('POST', '/$batch', status, json);
    expect(json.error.message).toContain(named);
  });

  it.each([
    '/../provisioningservice.svc',
    '/%2e%2e/health',
    '\\..\\..\\health',
    '//evil.example/v1.0/me',
    'https://evil.example/v1.0/me',
    '/$batch',
    '%24batch',
    '/$%62atch',
    '/$b%61tc%68?$top=1',
    '/nowhere',
    '',
  ])('leads nowhere else: %s', async (url) => {
    const inner = { id: 'b', method: 'GET', url: '/me' };
    const got = await answers([{ id: 'a', method: 'POST', url, body: { requests: [inner] } }]);
    expect(got.get('a')?.status).toBeGreaterThanOrEqual(400);
    expect(got.get('a')?.body.error).toMatchObject({ code: expect.stringMatching(/^(BadRequest|Request_)/) });
  });

  it('is its bearer’s: without a token nothing is done, and a request cannot bring another one, or an address', async () => {
    const me = { id: 'a', method: 'GET', url: '/me?$select=id' };
    expect((await tenant.call('POST', '/$batch', { body: { requests: [me] } })).status).toBe(401);
    const other = await tenant.bearer('app', ['User.Read.All']);
    const got = await answers([
      { ...me, headers: { Authorization: `Bearer ${other}`, 'X-Forwarded-For': '192.0.2.1' } },
    ]);
    expect(got.get('a')?.body.id).toBe(tenant.administratorId);
  });

  it('gives all of them its client-request-id', async () => {
    const id = '89abcdef-89ab-4cde-8f01-23456789abcd';
    const { json } = await batch(
      [
        {
          id: 'a',
          method: 'POST',
          url: '/groups',
          body: { displayName: 'Once', mailEnabled: false, mailNickname: 'once', securityEnabled: true },
        },
      ],
      { 'client-request-id': id },
    );
    expect(json.responses[0].status).toBe(201);
    const reader = tenant.application(['AuditLog.Read.All']);
    const { value } = await reader.api('/auditLogs/directoryAudits').filter(`correlationId eq '${id}'`).get();
    expect(value).toHaveLength(1);
  });
}
