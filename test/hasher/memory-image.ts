/** Looks for bytes in another process's memory (Linux). */

import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

const CHUNK = 256 << 10;

/** How often each needle stands in the writable memory of process `pid`, our child. */
export function countInMemory(pid: number, needles: readonly Uint8Array[]): number[] {
  const counts = needles.map(() => 0);
  const overlap = Math.max(...needles.map((needle) => needle.length)) - 1;
  const buffer = Buffer.alloc(CHUNK);
  const zeros = Buffer.alloc(CHUNK);
  const fd = openSync(`/proc/${pid}/mem`, 'r');
  try {
    for (const line of readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')) {
      const range = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line);
      if (range === null) continue;
      const [start, end] = [Number.parseInt(range[1]!, 16), Number.parseInt(range[2]!, 16)];
      // AddressSanitizer's shadow: a bit of state a byte of memory, over the whole address space.
      if (end - start > 2 ** 40) continue;
      for (let at = start; at < end; at += CHUNK - overlap) {
        let read: number;
        try {
          read = readSync(fd, buffer, 0, Math.min(CHUNK, end - at), at);
        } catch (error) {
          // A page that went away, or a guard page.
          if ((error as NodeJS.ErrnoException).code === 'EIO') break;
          throw error;
        }
        const chunk = buffer.subarray(0, read);
        // V8 reserves hundreds of megabytes that nobody has touched.
        if (!chunk.equals(zeros.subarray(0, read))) {
          needles.forEach((needle, n) => {
            for (let found = chunk.indexOf(needle); found >= 0; found = chunk.indexOf(needle, found + 1)) counts[n]!++;
          });
        }
        if (at + read >= end) break;
      }
    }
  } finally {
    closeSync(fd);
  }
  return counts;
}
