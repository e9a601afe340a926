import { describe, expect, it } from 'vitest';
import { decodeChangesReplyHead, decodeGetNCChangesReply } from '#src/protocol/drsr/get-nc-changes-reply.js';
import { guidToText } from '#src/protocol/dtyp/guid.js';
import { sidToText } from '#src/protocol/dtyp/sid.js';
import { dateToDstime } from '#src/protocol/dtyp/time.js';
import { hex, recorded } from './fixtures.js';

/** OID → ATTRTYP of a DC with the standard prefix table, for every attribute that a recorded reply may hold. */
const ATTR_TYPS = new Map<string, number>([
  ['2.5.4.0', 0x0],
  ['2.5.4.3', 0x3],
  ['2.5.4.4', 0x4],
  ['2.5.4.42', 0x2a],
  ['1.2.840.113556.1.2.1', 0x20001],
  ['1.2.840.113556.1.2.13', 0x2000d],
  ['1.2.840.113556.1.2.48', 0x20030],
  ['1.2.840.113556.1.4.8', 0x90008],
  ['1.2.840.113556.1.4.90', 0x9005a],
  ['1.2.840.113556.1.4.96', 0x90060],
  ['1.2.840.113556.1.4.146', 0x90092],
  ['1.2.840.113556.1.4.159', 0x9009f],
  ['1.2.840.113556.1.4.221', 0x900dd],
  ['1.2.840.113556.1.4.656', 0x90290],
  ['1.2.840.113556.1.4.2058', 0x9080a],
  ['0.9.2342.19200300.100.1.3', 0x150003],
]);
const NAMES = new Map([...ATTR_TYPS].map(([oid, attrTyp]) => [oid, String(attrTyp)]));

describe.each(recorded())('the recorded reply $name', ({ stub, facts }) => {
  const reply = decodeGetNCChangesReply(stub, NAMES);

  it('reads as Samba reads it: position, page and prefix table', () => {
    expect({
      level: reply.version,
      more: reply.fMoreData,
      ncObjects: reply.cNumNcSizeObjects,
      extendedRet: reply.ulExtendedRet,
      invocationId: guidToText(reply.uuidInvocIdSrc),
      usnTo: Object.values(reply.usnvecTo).map(String),
      cursors: (reply.upToDateVector ?? []).map((c) => [guidToText(c.uuidDsa), String(c.usnHighPropUpdate)]),
    }).toEqual({
      level: facts.level,
      more: facts.more,
      ncObjects: facts.ncObjects,
      extendedRet: facts.extendedRet,
      invocationId: facts.invocationId,
      usnTo: facts.usnTo,
      cursors: facts.cursors,
    });
    const prefixes = facts.prefixes.filter(([, prefix]) => !prefix.startsWith('ff'));
    expect(reply.prefixTable.entriesFor(prefixes.map(([ndx]) => ndx * 65536))).toEqual(prefixes);
  });

  it('says in its first bytes where to go on, as soon as enough of them are there', () => {
    const { nc, uuidInvocIdSrc, usnvecTo, fMoreData } = reply;
    const heads = Array.from({ length: 600 }, (_, size) => decodeChangesReplyHead(stub.slice(0, size)));
    const least = heads.findIndex((head) => head !== undefined);
    if (facts.more) {
      // Two GUIDs, a pointer with padding, two USN_VECTORs and 13 fields of 4 bytes behind version and tag; then max_count
      // and DSNAME of the naming context.
      expect(least).toBe(8 + 140 + 4 + 56 + 2 * (nc!.dn.length + 1));
      for (const head of heads.slice(least)) expect(head).toEqual({ nc, uuidInvocIdSrc, usnvecTo, fMoreData });
    } else {
      expect(least).toBe(-1);
    }
  });

  it('reads as Samba reads it: objects in order, values, metadata', () => {
    expect(facts.objects.length).toBeGreaterThan(0);
    const read = reply.objects.map(({ name, parentGuid, attributes }) => ({
      dn: name.dn,
      guid: guidToText(name.guid),
      sid: name.sid === undefined ? null : sidToText(name.sid),
      parent: parentGuid === undefined ? null : guidToText(parentGuid),
      attributes: Object.fromEntries([...attributes].map(([attrTyp, { values }]) => [attrTyp, values.map(hex)])),
      meta: Object.fromEntries(
        [...attributes].map(([attrTyp, { metaData }]) => [
          attrTyp,
          metaData && [
            metaData.version,
            Number(dateToDstime(metaData.timeChanged)),
            guidToText(metaData.originatingInvocationId),
            String(metaData.originatingUsn),
          ],
        ]),
      ),
    }));
    const expected = facts.objects.map(({ meta, attributes, ...object }) => {
      const attrTyps = Object.keys(attributes);
      return {
        ...object,
        attributes,
        meta: Object.fromEntries(attrTyps.map((attrTyp, i) => [attrTyp, meta?.[i]])),
      };
    });
    expect(read).toEqual(expected);
  });
});
