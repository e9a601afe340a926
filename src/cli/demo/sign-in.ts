/** Signs people in at the tenant's token endpoint, as an application of theirs would. */

import { readFile } from 'node:fs/promises';
import { Agent, fetch } from 'undici';

export interface SignInAnswer {
  readonly status: number;
  /** The AADSTS code of a refusal; undefined: signed in. */
  readonly code: number | undefined;
  /** Who the access token says was signed in. */
  readonly user: string | undefined;
}

export class SignInClient {
  readonly #tokenUrl: string;
  readonly #dispatcher: Agent;

  private constructor(tokenUrl: string, dispatcher: Agent) {
    this.#tokenUrl = tokenUrl;
    this.#dispatcher = dispatcher;
  }

  static async open(tokenUrl: string, caFile: string): Promise<SignInClient> {
    return new SignInClient(tokenUrl, new Agent({ connect: { ca: await readFile(caFile, 'utf8') } }));
  }

  async signIn(username: string, password: string): Promise<SignInAnswer> {
    const response = await fetch(this.#tokenUrl, {
      method: 'POST',
      dispatcher: this.#dispatcher,
      body: new URLSearchParams({
        grant_type: 'password',
        client_id: '5a6c9e0e-77a4-4e4b-9f0c-6f1d3b0c2d11',
        scope: 'openid profile',
        username,
        password,
      }),
    });
    const body = (await response.json()) as { error_codes?: number[]; access_token?: string };
    const user = body.access_token === undefined ? undefined : claimOf(body.access_token);
    return { status: response.status, code: response.ok ? undefined : (body.error_codes?.[0] ?? 0), user };
  }

  async close(): Promise<void> {
    await this.#dispatcher.close();
  }
}

/** For display only: whoever relies on a token checks its signature. */
function claimOf(token: string): string | undefined {
  const payload = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'));
  return payload.upn ?? payload.preferred_username;
}
