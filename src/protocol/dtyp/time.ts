/** FILETIME (MS-DTYP 2.3.3: 100 ns since 1601-01-01) and DSTIME (MS-DRSR 5.61: seconds since then). */

const UNIX_EPOCH_SECONDS = 11_644_473_600n;

/** DSTIME to Date; the milliseconds are zero. */
export function dstimeToDate(seconds: bigint): Date {
  return new Date(Number(seconds - UNIX_EPOCH_SECONDS) * 1000);
}

export function dateToDstime(date: Date): bigint {
  return BigInt(Math.floor(date.getTime() / 1000)) + UNIX_EPOCH_SECONDS;
}

/** FILETIME to Date, cut to milliseconds; undefined for "never" (0 and 2⁶³ − 1) and what no Date can hold. */
export function filetimeToDate(filetime: bigint): Date | undefined {
  if (filetime <= 0n || filetime >= 0x7fff_ffff_ffff_ffffn) {
    return undefined;
  }
  const date = new Date(Number(filetime / 10_000n - UNIX_EPOCH_SECONDS * 1000n));
  return Number.isNaN(date.getTime()) ? undefined : date;
}

export function dateToFiletime(date: Date): bigint {
  return (BigInt(date.getTime()) + UNIX_EPOCH_SECONDS * 1000n) * 10_000n;
}
