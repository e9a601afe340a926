/** FILETIME (MS-DTYP 2.3.3): intervals of 100 ns since 1601, of an ISO 8601 time with whatever fraction it has. */

const TICKS_PER_MS = 10_000n;
/** 1970-01-01 in milliseconds since 1601-01-01. */
const EPOCH_MS = 11_644_473_600_000n;
const FRACTION = /\.(\d+)(?=Z$)/;
const TICK_DIGITS = 7;

/** Of a UTC time that ends in Z. A Date would lose what is below a millisecond. @throws RangeError */
export function filetimeOf(iso: string): bigint {
  const whole = Date.parse(iso.replace(FRACTION, ''));
  if (Number.isNaN(whole) || !iso.endsWith('Z')) throw new RangeError('expected a time in UTC, as ISO 8601 has it');
  const fraction = (FRACTION.exec(iso)?.[1] ?? '').slice(0, TICK_DIGITS).padEnd(TICK_DIGITS, '0');
  return (BigInt(whole) + EPOCH_MS) * TICKS_PER_MS + BigInt(fraction);
}
