/** Typed values of text records to the characters that they stand for (MC-NBFX 2.2.3), and xs:dateTime back. */

const UNIX_EPOCH_MS = 62_135_596_800_000n;
const MAX_TICKS = 3_155_378_975_999_999_999n;
const TICKS_PER_SECOND = 10_000_000n;

/** DateTime (2.2.3.12): 62 bits of ticks and 2 of kind. Undefined beyond the year 9999 or for kind 3. */
export function dateTimeToText(raw: bigint): string | undefined {
  const ticks = raw & 0x3fff_ffff_ffff_ffffn;
  const kind = Number(raw >> 62n);
  if (ticks > MAX_TICKS || kind === 3) {
    return undefined;
  }
  const date = new Date(Number(ticks / 10_000n - UNIX_EPOCH_MS));
  const seconds = date.toISOString().slice(0, 19);
  const fraction = (ticks % TICKS_PER_SECOND).toString().padStart(7, '0').replace(/0+$/, '');
  // Kind 2 (local) carries ticks of UTC too: it is DateTime.ToBinary's form.
  return `${seconds}${fraction === '' ? '' : `.${fraction}`}${kind === 0 ? '' : 'Z'}`;
}

/** Milliseconds since 1970, the rest of the ticks cut. Undefined as in `dateTimeToText`. */
export function dateTimeToMs(low: number, high: number): number | undefined {
  const kind = high >>> 30;
  const ticksHigh = high & 0x3fff_ffff;
  // ticks ÷ 10,000 in halves, exact: 2³² = 429,496 × 10,000 + 7,296.
  const rest = ticksHigh * 7_296 + low;
  const ms = ticksHigh * 429_496 + Math.floor(rest / 10_000) - Number(UNIX_EPOCH_MS);
  return kind === 3 || ms >= 253_402_300_800_000 ? undefined : ms;
}

const DATE_TIME = /^\s*(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,20}))?(Z|[+-]\d\d:\d\d)?\s*$/;

/** xs:dateTime to milliseconds since 1970, digits below them cut; no zone means UTC. Undefined when it is none. */
export function parseDateTime(text: string): number | undefined {
  const match = text.length <= 64 ? DATE_TIME.exec(text) : null;
  if (match === null) {
    return undefined;
  }
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const daysInMonth = new Date(Date.UTC(2000 + (year % 400), month, 0)).getUTCDate();
  if (year < 1 || month < 1 || month > 12 || day < 1 || day > daysInMonth || hour > 23 || minute > 59 || second > 59) {
    return undefined;
  }
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second, Number((match[7] ?? '').slice(0, 3).padEnd(3, '0')));
  const zone = match[8] ?? 'Z';
  if (zone === 'Z') {
    return date.getTime();
  }
  const offset = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(4));
  if (Number(zone.slice(4)) > 59 || offset > 14 * 60) {
    return undefined;
  }
  return date.getTime() - (zone[0] === '-' ? -offset : offset) * 60_000;
}

/** Decimal (2.2.3.11): OLE DECIMAL's scale, sign, high 32 and low 64 bits. Undefined for a scale or sign it cannot have. */
export function decimalToText(scale: number, sign: number, high: number, low: bigint): string | undefined {
  if (scale > 28 || (sign !== 0 && sign !== 0x80)) {
    return undefined;
  }
  const digits = ((BigInt(high) << 64n) | low).toString().padStart(scale + 1, '0');
  const point = digits.length - scale;
  return `${sign === 0 ? '' : '-'}${digits.slice(0, point)}${scale === 0 ? '' : `.${digits.slice(point)}`}`;
}

/** TimeSpan (2.2.3.17): ticks as an xs:duration, e.g. `-P1DT2H3M4.5S`. */
export function timeSpanToText(ticks: bigint): string {
  const magnitude = ticks < 0n ? -ticks : ticks;
  const fraction = (magnitude % TICKS_PER_SECOND).toString().padStart(7, '0').replace(/0+$/, '');
  const total = magnitude / TICKS_PER_SECOND;
  const days = total / 86_400n;
  const hours = (total / 3600n) % 24n;
  const minutes = (total / 60n) % 60n;
  const seconds = total % 60n;
  let time = '';
  if (hours !== 0n) {
    time += `${hours}H`;
  }
  if (minutes !== 0n) {
    time += `${minutes}M`;
  }
  if (seconds !== 0n || fraction !== '' || (time === '' && days === 0n)) {
    time += `${seconds}${fraction === '' ? '' : `.${fraction}`}S`;
  }
  return `${ticks < 0n ? '-' : ''}P${days === 0n ? '' : `${days}D`}${time === '' ? '' : `T${time}`}`;
}

/** xs:double; -0 keeps its sign. */
export function doubleToText(value: number): string {
  if (Object.is(value, -0)) {
    return '-0';
  }
  return Number.isNaN(value) ? 'NaN' : Number.isFinite(value) ? String(value) : value > 0 ? 'INF' : '-INF';
}

/** xs:float: the fewest digits that read back as the same single. */
export function singleToText(value: number): string {
  for (let digits = 1; digits < 9 && Number.isFinite(value); digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) {
      return doubleToText(Object.is(value, -0) ? -0 : short);
    }
  }
  return doubleToText(Number.isFinite(value) ? Number(value.toPrecision(9)) : value);
}
