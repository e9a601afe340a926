/** `$search`, and `or` in `$filter`, through Microsoft's own client, over more users than are looked at in one go. */

import { beforeAll, expect, it } from 'vitest';
import { countFound } from '#src/tenant/graph/users/user-search.js';
import { describeGraph, type GraphTenant, MAKERS, provision, refusal } from './graph-tenant.js';

const MANY = 4500;

describeGraph('search', suite);

function suite(theTenant: () => GraphTenant) {
  let tenant: GraphTenant;
  beforeAll(async () => {
    tenant = theTenant();
    const people = [
      ['ann', 'Ann Lee'],
      ['anna', 'Anna Müller-Lüdenscheidt'],
      ['bo', 'Bo (Annex) Nguyễn'],
      ['joanne', 'Joanne Lee'],
      ['straße', 'ÇAĞLA Ann'],
      ['wide', 'Ｗｉｄｅ LETTERS'],
      ['ligature', 'Oﬃce'],
      ['lee', undefined],
    ] as const;
    const filler = (from: number) =>
      Array.from({ length: 1500 }, (_, i) => ({ name: `f${from + i}`, displayName: `Filler ${from + i}` }));
    for (let at = 0; at < MANY; at += 1500) await add(filler(at));
    await add(people.map(([name, displayName]) => ({ name, displayName })));
  }, 240_000);
  const add = (users: readonly { name: string; displayName: string | undefined }[]) =>
    provision(
      tenant,
      users.map(({ name, displayName }) => ({
        sourceAnchor: name,
        userPrincipalName: `${name}@phs.test`,
        ...(displayName === undefined ? {} : { displayName }),
        accountEnabled: name !== 'anna',
      })),
    );
  const reader = () => tenant.application(['User.Read.All']).api('/users').select('userPrincipalName');
  const namesOf = ({ value }: { value: { userPrincipalName: string }[] }) =>
    value.map(({ userPrincipalName }) => userPrincipalName.replace('@phs.test', ''));
  const search = async (text: string) =>
    namesOf(await reader().header('ConsistencyLevel', 'eventual').search(text).get());
  const filter = async (text: string) => namesOf(await reader().filter(text).get());

  it.each([
    ['"displayName:ann"', ['ann', 'anna', 'bo', 'straße']],
    ['"displayName:ANN lee"', ['ann']],
    ['"displayName:lee, ann"', ['ann']],
    ['"displayName:lüden"', ['anna']],
    ['"displayName:çağ"', ['straße']],
    ['"DisplayName:nguyễn"', ['bo']],
    ['"displayName:WIDE letters"', ['wide']],
    ['"displayName:office"', ['ligature']],
    ['"displayName:ｏｆｆ"', ['ligature']],
    ['"displayName:etters"', []],
    ['"displayName:nobody"', []],
    ['"userPrincipalName:ANN"', ['ann', 'anna']],
    ['"userPrincipalName:joanne" OR "userPrincipalName:bo"', ['bo', 'joanne']],
    ['"userPrincipalName:ann" AND "displayName:lee"', ['ann']],
    ['"userPrincipalName:bo" OR "displayName:lee"', ['ann', 'bo', 'joanne']],
    ['"displayName:lee" OR "displayName:ann"', ['ann', 'anna', 'bo', 'joanne', 'straße']],
  ])('$search=%s', async (text, expected) => {
    expect(await search(text)).toEqual(expected);
  });

  it('goes with $filter, $count, $top and pages', async () => {
    const found = await reader()
      .header('ConsistencyLevel', 'eventual')
      .search('"displayName:ann"')
      .filter('accountEnabled eq true')
      .count(true)
      .top(2)
      .get();
    expect(namesOf(found)).toEqual(['ann', 'bo']);
    expect(found['@odata.count']).toBe(3);
    const client = tenant.application(['User.Read.All']);
    const next = await client.api(found['@odata.nextLink']).header('ConsistencyLevel', 'eventual').get();
    expect(namesOf(next)).toEqual(['straße']);
    expect(next['@odata.nextLink']).toBeUndefined();
    // Another search's place is none in this one.
    const other = found['@odata.nextLink'].replace('displayName%3Aann', 'displayName%3Alee');
    expect(other).not.toBe(found['@odata.nextLink']);
    const refused = await refusal(client.api(other).header('ConsistencyLevel', 'eventual').get());
    expect(refused).toMatchObject({ statusCode: 400, code: 'Request_BadRequest' });
    const counted = await client
      .api('/users/$count')
      .header('ConsistencyLevel', 'eventual')
      .search('"displayName:filler"')
      .get();
    expect(Number(counted)).toBe(MANY);
  });

  it('is by any properties, joined anyhow, with $filter and $count, what a look at every user finds', async () => {
    interface Person {
      readonly userPrincipalName: string;
      readonly displayName: string | null;
      readonly accountEnabled: boolean;
    }
    const token = await tenant.bearer('app', ['User.Read.All']);
    const get = async (path: string, parts: Readonly<Record<string, string>>) => {
      const query = Object.entries(parts).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
      const headers = { ConsistencyLevel: 'eventual' };
      const found = await tenant.call('GET', `${path}?${query.join('&')}`, { token, headers });
      expect(found, `${path} ${JSON.stringify(parts)}`).toMatchObject({ status: 200 });
      return found;
    };
    const people = await tenant.store.database.run((queries) =>
      queries.selectFrom('users').select(['user_principal_name', 'display_name', 'account_enabled']).execute(),
    );
    const everybody = people.map(
      (row): Person => ({
        userPrincipalName: row.user_principal_name,
        displayName: row.display_name,
        accountEnabled: row.account_enabled === 1,
      }),
    );
    const upn = (text: string) => (one: Person) => one.userPrincipalName.toLowerCase().startsWith(text);
    const word = (text: string) => (one: Person) => new RegExp(`(^|[^a-z])${text}`, 'iu').test(one.displayName ?? '');
    const properties = { displayName: word, userPrincipalName: upn };
    const filters: readonly [string | undefined, (one: Person) => boolean][] = [
      [undefined, () => true],
      ['accountEnabled eq true', ({ accountEnabled }) => accountEnabled],
      ["startswith(userPrincipalName,'ann')", upn('ann')],
      ["accountEnabled eq false or startswith(userPrincipalName,'l')", (one) => !one.accountEnabled || upn('l')(one)],
    ];
    type Property = keyof typeof properties;
    const names = Object.keys(properties) as Property[];
    const searches: [string, (one: Person) => boolean][] = [];
    for (const a of names) {
      for (const b of names) {
        const [first, second] = [properties[a]('ann'), properties[b]('lee')];
        const text = (join: string) => `"${a}:ann" ${join} "${b}:lee"`;
        searches.push([text('AND'), (one) => first(one) && second(one)]);
        searches.push([text('OR'), (one) => first(one) || second(one)]);
        for (const c of names) {
          const third = properties[c]('bo');
          searches.push([`"${c}:bo" OR ${text('AND')}`, (one) => third(one) || (first(one) && second(one))]);
          searches.push([`${text('OR')} OR "${c}:bo"`, (one) => first(one) || second(one) || third(one)]);
        }
      }
    }
    for (const [$search, fits] of searches) {
      for (const [$filter, passes] of filters) {
        const expected = everybody.filter((one) => fits(one) && passes(one)).map((one) => one.userPrincipalName);
        const parts = $filter === undefined ? { $search } : { $search, $filter };
        for (const more of [{}, { $count: 'true' }]) {
          const { json } = await get('/users', { ...parts, ...more, $select: 'userPrincipalName' });
          const found = json.value.map((one: Person) => one.userPrincipalName);
          expect(found.sort(), JSON.stringify(parts)).toEqual(expected.sort());
          expect(json['@odata.count'], JSON.stringify(parts)).toBe('$count' in more ? expected.length : undefined);
        }
        const counted = await get('/users/$count', parts);
        expect(Number(counted.text), JSON.stringify(parts)).toBe(expected.length);
      }
    }
  });

  it('is not multiplied: filter and search together have as many alternatives as one of them', async () => {
    const either = (text: string, count: number, join: string) => Array.from({ length: count }, () => text).join(join);
    const both = (names: number, words: number) =>
      reader()
        .header('ConsistencyLevel', 'eventual')
        .filter(either("userPrincipalName eq 'ann@phs.test'", names, ' or '))
        .search(either('"displayName:ann"', words, ' OR '))
        .get();
    expect(namesOf(await both(2, 5))).toEqual(['ann']);
    expect(await refusal(both(3, 4))).toMatchObject({
      statusCode: 400,
      message: expect.stringContaining('12 alternatives'),
    });
  });

  it('leaves others their turn, and goes one after another, up to a length of the line', async () => {
    const { database } = tenant.store;
    let turns = 0;
    let next = setImmediate(function turn() {
      turns++;
      next = setImmediate(turn);
    });
    const query = { conditions: [], words: ['filler'] };
    expect(await countFound(database, [query])).toBe(MANY);
    clearImmediate(next);
    expect(turns).toBeGreaterThanOrEqual(2);

    const several = await Promise.allSettled(Array.from({ length: 50 }, () => countFound(database, [query])));
    const refused = several.filter(({ status }) => status === 'rejected');
    expect(refused).toHaveLength(9);
    for (const { reason } of refused as PromiseRejectedResult[]) {
      expect(reason).toMatchObject({ status: 429, headers: { 'retry-after': '5' } });
    }
    expect(await countFound(database, [query])).toBe(MANY);
  });

  it('finds what many rows are to be walked through for, page by page', async () => {
    const all: string[] = [];
    let page = await reader().header('ConsistencyLevel', 'eventual').search('"displayName:filler"').top(999).get();
    for (;;) {
      all.push(...namesOf(page));
      const link = page['@odata.nextLink'];
      if (link === undefined) break;
      page = await tenant.application(['User.Read.All']).api(link).header('ConsistencyLevel', 'eventual').get();
    }
    // PostgreSQL numbers the users of one batch as it likes.
    expect(all.sort()).toEqual(Array.from({ length: MANY }, (_, i) => `f${i}`).sort());
  });

  it.each([
    ["userPrincipalName eq 'bo@phs.test' or userPrincipalName eq 'ANN@phs.test'", ['ann', 'bo']],
    ["startswith(userPrincipalName,'ann') or startswith(userPrincipalName,'joa')", ['ann', 'anna', 'joanne']],
    ["startswith(userPrincipalName,'ann') or userPrincipalName eq 'ann@phs.test'", ['ann', 'anna']],
    [
      "(startswith(userPrincipalName,'ann') or startswith(userPrincipalName,'bo')) and accountEnabled eq true",
      ['ann', 'bo'],
    ],
    // `and` binds closer.
    [
      "startswith(userPrincipalName,'bo') or startswith(userPrincipalName,'ann') and accountEnabled eq false",
      ['anna', 'bo'],
    ],
    ["accountEnabled eq false and (onPremisesSyncEnabled eq true or startswith(userPrincipalName,'bo'))", ['anna']],
  ])('$filter=%s', async (text, expected) => {
    expect(await filter(text)).toEqual(expected);
  });

  it('counts who fits two alternatives once, and pages through them', async () => {
    const text = "startswith(userPrincipalName,'f1') or startswith(userPrincipalName,'f10')";
    const client = tenant.application(['User.Read.All']);
    const first = await client
      .api('/users')
      .header('ConsistencyLevel', 'eventual')
      .filter(text)
      .count(true)
      .top(999)
      .get();
    expect(first['@odata.count']).toBe(1111);
    const second = await client.api(first['@odata.nextLink']).get();
    const names = [...namesOf(first), ...namesOf(second)];
    expect(new Set(names).size).toBe(1111);
    const keys = names.map((name) => `${name}@phs.test`);
    expect(keys).toEqual([...keys].sort());
  });

  it('is in the logs, too, newest first', async () => {
    const token = await tenant.bearer('app', MAKERS);
    for (const givenName of ['Ada', 'Augusta']) {
      const { status } = await tenant.call('PATCH', `/users/${tenant.administratorId}`, { token, body: { givenName } });
      expect(status).toBe(204);
    }
    const client = tenant.application(['AuditLog.Read.All']);
    const found = await client
      .api('/auditLogs/directoryAudits')
      .filter(
        "activityDisplayName eq 'Add user' or activityDisplayName eq 'Reset user password' or result eq 'success'",
      )
      .get();
    const times = found.value.map(({ activityDateTime }: { activityDateTime: string }) => activityDateTime);
    expect(times.length).toBeGreaterThan(1);
    expect(times).toEqual([...times].sort().reverse());
    expect(new Set(found.value.map(({ id }: { id: string }) => id)).size).toBe(times.length);
  });

  it('shows nobody more than the filter alone would', async () => {
    const token = await tenant.bearer('user', ['User.ReadBasic.All']);
    const path = "/users?$filter=startswith(userPrincipalName,'a') or accountEnabled eq false".replaceAll(' ', '%20');
    expect((await tenant.call('GET', path, { token })).status).toBe(403);
    const count = path.replace('/users', '/users/$count');
    expect((await tenant.call('GET', count, { token, headers: { ConsistencyLevel: 'eventual' } })).status).toBe(403);
  });
}
