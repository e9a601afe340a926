/** SID (MS-DTYP 2.4.2): revision, sub-authority count, 6-byte big-endian authority, 32-bit sub-authorities. */

/** Bytes to `S-1-5-21-…`. @throws RangeError when revision, count or length is wrong. */
export function sidToText(bytes: Uint8Array): string {
  const count = bytes[1] ?? 0;
  if (bytes[0] !== 1 || count > 15 || bytes.length !== 8 + 4 * count) {
    throw new RangeError(`not a SID: ${bytes.length} bytes, revision ${bytes[0]}, ${count} sub-authorities`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const authority = view.getUint16(2) * 2 ** 32 + view.getUint32(4);
  let text = `S-1-${authority}`;
  for (let i = 0; i < count; i++) {
    text += `-${view.getUint32(8 + 4 * i, true)}`;
  }
  return text;
}

/** `S-1-5-21-…` to bytes. @throws RangeError when it is not a SID. */
export function sidFromText(text: string): Uint8Array {
  const parts = /^S-1-(\d+)((?:-\d+){0,15})$/i.exec(text);
  const authority = Number(parts?.[1]);
  const subs = parts?.[2]?.split('-').slice(1).map(Number) ?? [];
  if (parts === null || authority >= 2 ** 48 || subs.some((sub) => sub >= 2 ** 32)) {
    throw new RangeError(`not a SID: ${JSON.stringify(text.slice(0, 200))}, expected S-1-<authority>-<numbers>`);
  }
  const bytes = new Uint8Array(8 + 4 * subs.length);
  const view = new DataView(bytes.buffer);
  bytes[0] = 1;
  bytes[1] = subs.length;
  view.setUint16(2, Math.floor(authority / 2 ** 32));
  view.setUint32(4, authority >>> 0);
  for (const [i, sub] of subs.entries()) {
    view.setUint32(8 + 4 * i, sub, true);
  }
  return bytes;
}

/** The last sub-authority: the RID of a domain account's SID. 0 for a SID without sub-authorities. */
export function ridOf(sid: Uint8Array): number {
  const count = sid[1] ?? 0;
  if (count === 0 || sid.length < 8 + 4 * count) {
    return 0;
  }
  return new DataView(sid.buffer, sid.byteOffset, sid.byteLength).getUint32(4 + 4 * count, true);
}
