/** The replies of one replication cycle (MS-DRSR 4.1.10.1), asked for ahead of whoever works on them. */

import type { ReplicationCookie } from '../../protocol/drsr/cookie.js';
import type { ChangesReply, ChangesReplyHead } from '../../protocol/drsr/get-nc-changes-reply.js';
import type { AttributeName } from '../../protocol/drsr/schema.js';
import { advance, type PositionOptions } from './drs-position.js';
import { StandstillGuard } from './drs-standstill.js';

/** A reply that was asked for. Where it is not the last one, its head may come long before the whole. */
export interface AskedReply {
  readonly head: Promise<ChangesReplyHead & Pick<Partial<ChangesReply>, 'upToDateVector'>>;
  readonly reply: Promise<ChangesReply<AttributeName>>;
}

/** What a head leads to: the position behind its reply, and the next reply, which has been asked for by then. */
interface Way {
  readonly position: ReplicationCookie;
  readonly next: AskedReply | undefined;
}

/**
 * Each reply with the position behind it. While one is worked on, the next one is on its way, and the server is at the
 * one after that, which was asked for as soon as the next one began to come: where both are on one machine's cores, or
 * the line is slow, that is a fifth of a first synchronization. Further ahead nothing is asked.
 *
 * @param ask `first`: nothing of this cycle was asked for before.
 */
export async function* readAhead(
  beginning: ReplicationCookie,
  ask: (position: ReplicationCookie, first: boolean) => AskedReply,
  options: PositionOptions,
): AsyncGenerator<{ readonly reply: ChangesReply<AttributeName>; readonly position: ReplicationCookie }, void> {
  const guard = new StandstillGuard(beginning.usn);
  const askFor = (from: ReplicationCookie, first: boolean): AskedReply => {
    const asked = ask(from, first);
    // Awaited in their turn, or nobody wants them any more.
    for (const each of [asked.head, asked.reply]) each.catch(() => undefined);
    return asked;
  };
  const follow = (asked: AskedReply, from: ReplicationCookie): Promise<Way> => {
    const way = asked.head.then((head) => {
      guard.check(head.usnvecTo, head.fMoreData);
      const position = advance(from, head, options);
      return { position, next: head.fMoreData ? askFor(position, false) : undefined };
    });
    way.catch(() => undefined);
    return way;
  };
  let asked = askFor(beginning, true);
  let way = follow(asked, beginning);
  for (;;) {
    const { position, next } = await way;
    if (next !== undefined) way = follow(next, position);
    yield { reply: await asked.reply, position };
    if (next === undefined) return;
    asked = next;
  }
}
