/** A tenant in a process of its own, with the state of both programs in a directory that is gone afterwards. */

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const phsync = fileURLToPath(new URL('../cli/main.js', import.meta.url));

export interface Site {
  /** The tenant's process. */
  readonly pid: number;
  readonly env: NodeJS.ProcessEnv;
  readonly url: string;
  readonly tokenUrl: string;
  /** PEM. */
  readonly ca: string;
  readonly agent: { readonly clientId: string; readonly clientSecret: string };
  /** Writes an agent.yaml with these connectors (YAML flow) and returns its path. */
  agentConfig(connectors: string): string;
}

/** Peak resident set in MiB and CPU seconds so far, as long as the process is there. */
export function usage(pid: number): { peakRssMiB: number; cpuSeconds: number } | undefined {
  try {
    const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ');
    // utime and stime in clock ticks, which Linux fixes at 100 a second for user space.
    return { peakRssMiB: Number(peak ?? 0) / 1024, cpuSeconds: (Number(stat[11]) + Number(stat[12])) / 100 };
  } catch {
    // The process has ended.
    return undefined;
  }
}

/** Runs `work` against a tenant that has this domain; `store` is YAML. */
export async function withTenant<T>(
  domain: string,
  more: Readonly<Record<string, string>>,
  work: (site: Site) => Promise<T>,
  store = '{ type: sqlite }',
): Promise<T> {
  const dir = mkdtempSync(join(tmpdir(), 'phsync-bench-'));
  const secret = randomBytes(32).toString('hex');
  const env = { ...process.env, PHSYNC_AGENT_SECRET: secret, ...more };
  writeFileSync(
    join(dir, 'tenant.yaml'),
    `stateDir: ./tenant-state
listen: { host: 127.0.0.1, port: 0 }
tls: auto
store: ${store}
domains: [{ name: ${domain}, authenticationType: Managed }]
rateLimit: { token: 1000000000 }
agents: [{ clientId: agent-1, clientSecret: { env: PHSYNC_AGENT_SECRET } }]
logLevel: warn
`,
  );
  const tenant = spawn(process.execPath, [phsync, 'tenant', '--config', join(dir, 'tenant.yaml'), '--json'], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const [line] = (await once(tenant.stdout, 'data')) as [Buffer];
    const { url, tokenUrl, ca } = JSON.parse(line.toString()) as { url: string; tokenUrl: string; ca: string };
    return await work({
      pid: tenant.pid!,
      env,
      url,
      tokenUrl,
      ca: readFileSync(ca, 'utf8'),
      agent: { clientId: 'agent-1', clientSecret: secret },
      agentConfig(connectors) {
        const file = join(dir, 'agent.yaml');
        writeFileSync(
          file,
          `stateDir: ./agent-state
tenant:
  url: ${new URL('/provisioningservice.svc', url).href}
  ca: ./tenant-state/ca.pem
  auth: { clientId: agent-1, clientSecret: { env: PHSYNC_AGENT_SECRET } }
connectors: ${connectors}
logLevel: warn
`,
        );
        return file;
      },
    });
  } finally {
    tenant.kill('SIGTERM');
    await once(tenant, 'close');
    rmSync(dir, { recursive: true, force: true });
  }
}
