/** What opening DRS envelopes costs on top of deriving: the same jobs through both, in the same process and rounds. */

import { createCipheriv, createHash } from 'node:crypto';
import { Rc4 } from '#src/crypto/rc4.js';
import { createHasher } from '#src/hasher/create-hasher.js';
import type { KernelName } from '#src/hasher/types.js';
import { inputs, reference } from '../contenders.js';
import { type Case, median, type SuiteOptions } from '../result.js';

const JOBS = 8192;

function crc32(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) {
      crc = (crc >>> 1) ^ (0xedb8_8320 & -(crc & 1));
    }
  }
  return ~crc >>> 0;
}

/** Seven key bytes to DES's eight, parity ignored (MS-SAMR 2.2.11.1.2). */
function desKey(k: Uint8Array): Buffer {
  let bits = 0n;
  for (const byte of k) bits = (bits << 8n) | BigInt(byte);
  const key = Buffer.alloc(8);
  for (let i = 0; i < 8; i++) key[i] = Number((bits >> BigInt(49 - 7 * i)) & 0x7fn) << 1;
  return key;
}

/** Three times the same key: single DES, which OpenSSL 3 offers only so. */
function desEncrypt(key: Buffer, block: Uint8Array): Buffer {
  const cipher = createCipheriv('des-ede3', Buffer.concat([key, key, key]), null).setAutoPadding(false);
  return Buffer.concat([cipher.update(block), cipher.final()]);
}

/** A DC's part, by node:crypto: NT hash → RID-DES → CRC-32 → RC4 under MD5(session key ‖ salt). */
function seal(ntHash: Uint8Array, rid: number, sessionKey: Uint8Array, salt: Uint8Array): Uint8Array {
  const i = Buffer.alloc(4);
  i.writeUInt32LE(rid);
  const [a, b, c, d] = i as unknown as [number, number, number, number];
  const inner = Buffer.concat([
    desEncrypt(desKey(Uint8Array.of(a, b, c, d, a, b, c)), ntHash.subarray(0, 8)),
    desEncrypt(desKey(Uint8Array.of(d, a, b, c, d, a, b)), ntHash.subarray(8)),
  ]);
  const body = Buffer.alloc(20);
  body.writeUInt32LE(crc32(inner));
  inner.copy(body, 4);
  const rc4 = new Rc4(createHash('md5').update(sessionKey).update(salt).digest());
  rc4.process(body);
  return Buffer.concat([salt, body]);
}

export async function envelope({ kernel, threads = 1, rounds, say }: SuiteOptions): Promise<Case[]> {
  const { ntHashes, salts } = inputs(JOBS);
  const sessionKey = createHash('sha256').update('session key').digest();
  const envelopes = new Uint8Array(JOBS * 36);
  const rids = new Uint32Array(JOBS);
  for (let job = 0; job < JOBS; job++) {
    rids[job] = 1000 + job;
    const salt = createHash('md5').update(`salt ${job}`).digest();
    envelopes.set(seal(ntHashes.subarray(job * 16, job * 16 + 16), rids[job]!, sessionKey, salt), job * 36);
  }
  const hasher = createHasher({ threads, ...(kernel === undefined ? {} : { kernel: kernel as KernelName }) });
  const derive: number[] = [];
  const open: number[] = [];
  try {
    const time = async (into: number[], work: () => Promise<{ digests: Uint8Array }>) => {
      const began = process.hrtime.bigint();
      const { digests } = await work();
      into.push(JOBS / (Number(process.hrtime.bigint() - began) / 1e9));
      for (const job of [0, JOBS - 1]) {
        if (!reference(ntHashes, salts, job).equals(digests.subarray(job * 32, job * 32 + 32))) {
          throw new Error(`digest ${job} is wrong`);
        }
      }
    };
    for (let round = -1; round < rounds; round++) {
      await time(derive, () => hasher.deriveBatch({ ntHashes, salts }));
      await time(open, () => hasher.openAndDeriveBatch({ sessionKeys: [sessionKey], envelopes, rids, salts }));
      if (round < 0) {
        // The first of each warms the workers up.
        derive.length = 0;
        open.length = 0;
      } else {
        say(
          `round ${round + 1} of ${rounds}: derive ${Math.round(derive.at(-1)!)}/s, open and derive ${Math.round(open.at(-1)!)}/s`,
        );
      }
    }
    return [
      {
        name: `deriveBatch ${JOBS}`,
        kernel: hasher.info.kernel,
        threads,
        perSecond: median(derive),
        ratios: {},
        samples: derive,
      },
      {
        name: `openAndDeriveBatch ${JOBS}`,
        kernel: hasher.info.kernel,
        threads,
        perSecond: median(open),
        ratios: { deriveBatch: median(open.map((figure, round) => figure / derive[round]!)) },
        samples: open,
      },
    ];
  } finally {
    await hasher.close();
  }
}
