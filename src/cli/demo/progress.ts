/** The first synchronization as it goes: a bar on a terminal, else a line every two seconds. */

import { Presets, SingleBar } from 'cli-progress';
import { count } from '../output.js';

const LINE_EVERY_MS = 2000;

export interface Progress {
  /** `done` of `total` objects; `failed` of them went to the retry queue. */
  update(done: number, total: number, failed: number): void;
  stop(): void;
}

export const silentProgress: Progress = { update() {}, stop() {} };

export function showProgress(out: NodeJS.WriteStream): Progress {
  const began = performance.now();
  const rateOf = (done: number) => done / Math.max((performance.now() - began) / 1000, 0.001);
  return out.isTTY ? bar(out, rateOf) : lines(out, rateOf);
}

function bar(out: NodeJS.WriteStream, rateOf: (done: number) => number): Progress {
  const single = new SingleBar(
    {
      stream: out,
      format: '  {bar} {value}/{total} users  {rate} users/s  {failed} failed  {left} left',
      hideCursor: true,
      autopadding: true,
      formatValue: (value, _, type) => (type === 'value' || type === 'total' ? count(value) : String(value)),
    },
    Presets.shades_classic,
  );
  let started = false;
  return {
    update(done, total, failed) {
      const rate = rateOf(done);
      const payload = { rate: count(rate), failed: count(failed), left: duration((total - done) / rate) };
      if (started) {
        single.setTotal(total);
        single.update(done, payload);
      } else {
        single.start(total, done, payload);
        started = true;
      }
    },
    stop() {
      if (started) single.stop();
    },
  };
}

function lines(out: NodeJS.WriteStream, rateOf: (done: number) => number): Progress {
  let last = performance.now();
  return {
    update(done, total, failed) {
      const now = performance.now();
      if (now - last < LINE_EVERY_MS && done < total) return;
      last = now;
      const rate = rateOf(done);
      out.write(
        `  ${count(done)} of ${count(total)} users, ${count(rate)} users/s, ${count(failed)} failed, ` +
          `${duration((total - done) / rate)} left\n`,
      );
    },
    stop() {},
  };
}

export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '?';
  return seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`;
}
