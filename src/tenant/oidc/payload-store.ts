/** What oidc-provider keeps, in `oidc_payloads`: sessions, interactions, grants, codes, refresh tokens, device codes. */

import { createHash } from 'node:crypto';
import type { AdapterPayload, Adapter as ProviderAdapter } from 'oidc-provider';
import type { Queries, TenantDatabase } from '../store/database.js';
import { errors, Provider } from './library.js';

/**
 * Stands for a device code where only its digest is known: found by user code, since the code itself is nowhere. Good
 * within the provider only, see find(). oidc-provider's own ids have no colon.
 */
const HANDLE = 'sha256:';
/** In what is stored, for the id that leads to it. */
const ID_PLACEHOLDER = '{id}';

export interface PayloadStoreOptions {
  readonly database: TenantDatabase;
  readonly now: () => Date;
  /** An id was used twice: everything of its grant is gone. */
  readonly onReuse: (model: string, accountId: string | null) => void;
}

/** One model's adapter. An id that opens something (a code, a token, a session) is stored as its digest alone. */
export class PayloadStore implements ProviderAdapter {
  readonly #model: string;
  readonly #options: PayloadStoreOptions;

  constructor(model: string, options: PayloadStoreOptions) {
    this.#model = model;
    this.#options = options;
  }

  async upsert(id: string, payload: AdapterPayload, expiresIn: number): Promise<void> {
    const { grantId, userCode, uid, accountId } = payload;
    const columns = {
      payload: this.#seal(id, payload),
      grant_id: this.#model === 'Grant' ? id : (grantId ?? null),
      account_id: accountId ?? null,
      expires_at: expiresIn > 0 ? this.#now() + expiresIn * 1000 : null,
    };
    await this.#options.database.run((queries) =>
      queries
        .insertInto('oidc_payloads')
        .values({
          ...columns,
          model: this.#model,
          id_digest: this.#digest(id),
          user_code: userCode === undefined ? null : digestOf('UserCode', userCode),
          uid: this.#model === 'Session' && uid !== undefined ? uid : null,
          consumed_at: null,
        })
        // Neither the user code nor whether it is consumed changes once it is there.
        .onConflict((conflict) => conflict.columns(['model', 'id_digest']).doUpdateSet(columns))
        .execute(),
    );
  }

  async find(id: string): Promise<AdapterPayload | undefined> {
    // The handle of a device code is no device code.
    const isHandle = id.startsWith(HANDLE);
    if (isHandle && (this.#model !== 'DeviceCode' || Provider.ctx?.oidc.route === 'token')) return undefined;
    const row = await this.#row((rows) => rows.where('id_digest', '=', this.#digest(id)));
    return row && this.#open(id, row);
  }

  async findByUid(uid: string): Promise<AdapterPayload | undefined> {
    const row = await this.#row((rows) => rows.where('uid', '=', uid));
    return row && this.#open(`${HANDLE}${row.id_digest}`, row);
  }

  async findByUserCode(userCode: string): Promise<AdapterPayload | undefined> {
    const row = await this.#row((rows) => rows.where('user_code', '=', digestOf('UserCode', userCode)));
    return row && { ...this.#open(`${HANDLE}${row.id_digest}`, row), userCode };
  }

  /** Of several that try at once, in whatever process, one succeeds. */
  async consume(id: string): Promise<void> {
    const consumed = await this.#options.database.run((queries) =>
      queries
        .updateTable('oidc_payloads')
        .set({ consumed_at: this.#now() })
        .where('model', '=', this.#model)
        .where('id_digest', '=', this.#digest(id))
        .where('consumed_at', 'is', null)
        .executeTakeFirst(),
    );
    if (consumed.numUpdatedRows > 0n) return;
    const row = await this.#row((rows) => rows.where('id_digest', '=', this.#digest(id)));
    if (row !== undefined) {
      this.#options.onReuse(this.#model, row.account_id);
      if (row.grant_id !== null) await this.revokeByGrantId(row.grant_id);
    }
    throw new errors.InvalidGrant(`${this.#model} already consumed`);
  }

  async destroy(id: string): Promise<void> {
    await this.#options.database.run((queries) =>
      queries
        .deleteFrom('oidc_payloads')
        .where('model', '=', this.#model)
        .where('id_digest', '=', this.#digest(id))
        .execute(),
    );
  }

  /** With the grant itself, so that a token that is being made meanwhile is worth nothing. */
  async revokeByGrantId(grantId: string): Promise<void> {
    await this.#options.database.run((queries) =>
      queries.deleteFrom('oidc_payloads').where('grant_id', '=', grantId).execute(),
    );
  }

  #row(narrow: (rows: ReturnType<typeof rowsOf>) => ReturnType<typeof rowsOf>) {
    return this.#options.database.run((queries) => narrow(rowsOf(queries, this.#model)).executeTakeFirst());
  }

  #seal(id: string, payload: AdapterPayload): string {
    const { jti: _, userCode: __, ...rest } = payload;
    // An interaction leads back to an address with its id, and names the session's.
    if (this.#model === 'Interaction') {
      const { returnTo, session, ...more } = rest as typeof rest & { session?: Record<string, unknown> };
      const { cookie: ___, ...sessionRest } = session ?? {};
      return JSON.stringify({
        ...more,
        ...(returnTo === undefined ? {} : { returnTo: String(returnTo).replaceAll(id, ID_PLACEHOLDER) }),
        ...(session === undefined ? {} : { session: sessionRest }),
      });
    }
    return JSON.stringify(rest);
  }

  #open(id: string, { payload: text, consumed_at }: { payload: string; consumed_at: number | null }): AdapterPayload {
    const payload = JSON.parse(text) as AdapterPayload;
    return {
      ...payload,
      jti: id,
      ...(payload.returnTo === undefined ? {} : { returnTo: payload.returnTo.replaceAll(ID_PLACEHOLDER, id) }),
      ...(consumed_at === null ? {} : { consumed: Math.floor(consumed_at / 1000) }),
    };
  }

  #digest(id: string): string {
    return id.startsWith(HANDLE) ? id.slice(HANDLE.length) : digestOf(this.#model, id);
  }

  #now(): number {
    return this.#options.now().getTime();
  }
}

function rowsOf(queries: Queries, model: string) {
  return queries
    .selectFrom('oidc_payloads')
    .select(['id_digest', 'payload', 'grant_id', 'account_id', 'consumed_at'])
    .where('model', '=', model);
}

const digestOf = (kind: string, id: string) => createHash('sha256').update(`${kind}:${id}`).digest('hex');
