/** The agent's event log: Entra Connect's numbers (sources "Directory Synchronization" and "PasswordResetService"), with our levels and texts. */

export type EventLevel = 'information' | 'warning' | 'error';

/**
 * Number → level and text. A number means here what Microsoft's documentation ("Troubleshoot password hash
 * synchronization", the table of event ids, for 115 support article 2855271, and from 31001 on "Troubleshoot self-service
 * password reset writeback") says that it means there; that table
 * gives no levels.
 */
export const EVENTS = {
  115: { level: 'error', text: 'access denied' },
  601: { level: 'information', text: 'password synchronization manager starting' },
  602: { level: 'information', text: 'password synchronization manager stopping' },
  603: { level: 'error', text: 'unexpected error in the password synchronization manager' },
  604: { level: 'error', text: 'a task of the password synchronization manager failed' },
  605: { level: 'warning', text: 'added to the retry queue' },
  606: { level: 'information', text: 'removed from the retry queue' },
  607: { level: 'error', text: 'password synchronization manager cannot start' },
  609: { level: 'information', text: 'password synchronization manager stopped' },
  610: { level: 'error', text: 'password synchronization manager cannot stop' },
  611: { level: 'error', text: 'password synchronization failed for a domain' },
  612: { level: 'error', text: 'initializing a synchronization context failed' },
  613: { level: 'warning', text: 'paused: the full synchronization of the directory has not been done yet' },
  614: { level: 'warning', text: 'started while not shut down' },
  615: { level: 'error', text: 'a worker thread failed' },
  616: { level: 'warning', text: 'a preferred domain controller cannot be reached' },
  617: { level: 'information', text: 'full synchronization started for a forest' },
  618: { level: 'information', text: 'full synchronization started for a domain' },
  619: { level: 'information', text: 'progress of a full synchronization' },
  620: { level: 'warning', text: 'objects that are not tried again' },
  621: { level: 'error', text: 'full synchronization failed' },
  622: { level: 'information', text: 'full synchronization completed for a domain' },
  623: { level: 'information', text: 'full synchronization completed for a forest' },
  650: { level: 'information', text: 'provision credentials batch start' },
  651: { level: 'information', text: 'provision credentials batch end' },
  652: { level: 'error', text: 'provision credentials batch failed' },
  653: { level: 'information', text: 'provision credentials ping start' },
  654: { level: 'information', text: 'provision credentials ping end' },
  655: { level: 'error', text: 'provision credentials ping failed' },
  656: { level: 'information', text: 'password change request' },
  657: { level: 'information', text: 'password change result' },
  658: { level: 'information', text: 'Domain Services configuration' },
  659: { level: 'information', text: 'password policy synchronization' },
  660: { level: 'information', text: 'self-healing of the company feature start' },
  661: { level: 'information', text: 'self-healing of the company feature end' },
  662: { level: 'error', text: 'a health task failed during ping' },
  663: { level: 'information', text: 'password synchronization manager is alive' },
  664: { level: 'error', text: 'synchronization of a single object failed' },
  665: { level: 'error', text: 'storing the state of a cycle failed for a domain' },
  666: { level: 'error', text: 'password synchronization failed for a domain: the database is busy' },
  667: { level: 'error', text: 'generating the MD5 decryption key failed' },
  668: { level: 'information', text: 'objects in the batch of which only pwdLastSet changed' },
  31001: { level: 'information', text: 'password write-back: reset requested' },
  31002: { level: 'information', text: 'password write-back: reset done' },
  31003: { level: 'warning', text: 'password write-back: reset failed' },
  31006: { level: 'information', text: 'password write-back: change requested' },
  31007: { level: 'information', text: 'password write-back: change done' },
  31008: { level: 'warning', text: 'password write-back: change failed' },
  31015: { level: 'information', text: 'password write-back started' },
  31016: { level: 'information', text: 'password write-back stopped' },
  31018: { level: 'information', text: 'password write-back: encryption key created' },
  32000: { level: 'error', text: 'password write-back: unknown error' },
  32003: { level: 'warning', text: 'password write-back: a request that makes no sense' },
  32004: { level: 'error', text: 'password write-back: a request that cannot be decrypted' },
  32005: { level: 'warning', text: 'password write-back: configuration' },
  32014: { level: 'warning', text: 'password write-back: the tenant is not reached; trying again' },
  33001: { level: 'error', text: 'password write-back: unknown error of the directory' },
  33002: { level: 'warning', text: 'password write-back: user not found in the directory' },
  33003: { level: 'error', text: 'password write-back: several users in the directory' },
  33004: { level: 'error', text: 'password write-back: the account lacks the right to set this password' },
  33005: { level: 'warning', text: 'password write-back: the account is disabled in the directory' },
  33006: { level: 'warning', text: 'password write-back: the account is locked in the directory' },
  33007: { level: 'information', text: 'password write-back: wrong current password' },
  33008: { level: 'information', text: "password write-back: against the domain's password policy" },
  33009: { level: 'error', text: 'password write-back: configuration of the directory' },
} as const satisfies Record<number, { readonly level: EventLevel; readonly text: string }>;

export type EventNumber = keyof typeof EVENTS;

/** What an event of this number carries besides, in camelCase: see events.md. Never a secret. */
export type EventFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** Where the rooms of the agent tell what happened; `connector` where it concerns one. Never throws. */
export interface EventSink {
  emit(number: EventNumber, fields?: EventFields & { readonly connector?: string }): void;
  /**
   * Where events about single users (605, 606, 656, 657) go, asked once for all `count` users of a unit; undefined:
   * nowhere, and their fields need not be made. The users of a large page are not told one by one.
   */
  forUsers(count: number): Pick<EventSink, 'emit'> | undefined;
}

interface NamedConnector {
  readonly name: string;
  readonly directory: { readonly domain: string };
}

/** For those who do not listen. */
export const noEvents: EventSink = { emit: () => undefined, forUsers: () => undefined };

/** The same sink, with the connector's name and its domain in each event. */
export function ofConnector(events: EventSink, { name: connector, directory }: NamedConnector): EventSink {
  return withFields(events, { connector, partitionName: directory.domain });
}

/** The same sink, with a word in each event that what it tells of was computed and not done. */
export function inStaging(events: EventSink): EventSink {
  return withFields(events, { staging: true });
}

function withFields(events: EventSink, more: EventFields & { readonly connector?: string }): EventSink {
  const widened = ({ emit }: Pick<EventSink, 'emit'>): Pick<EventSink, 'emit'> => ({
    emit: (number, fields) => emit(number, { ...more, ...fields }),
  });
  return {
    ...widened({ emit: (number, fields) => events.emit(number, fields) }),
    forUsers(count) {
      const users = events.forUsers(count);
      return users && widened({ emit: (number, fields) => users.emit(number, fields) });
    },
  };
}
