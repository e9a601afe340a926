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
  /** Holds everything of the site. */
  readonly directory: string;
  readonly tenantConfig: string;
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

/** CPU seconds of this process's children that have ended (cutime and cstime, 100 ticks a second). */
export function childrenCpu(): number {
  const stat = readFileSync('/proc/self/stat', 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(stat[13]) + Number(stat[14])) / 100;
}

/** Runs `work` against a tenant that has this domain; `store` is YAML, `keys` more lines of tenant.yaml. */
export async function withTenant<T>(
  domain: string,
  more: Readonly<Record<string, string>>,
  work: (site: Site) => Promise<T>,
  store = '{ type: sqlite }',
  keys = '',
): Promise<T> {
  const dir = mkdtempSync(join(tmpdir(), 'phsync-bench-'));
  const secret = randomBytes(32).toString('hex');
  const env = { ...process.env, PHSYNC_AGENT_SECRET: secret, ...more };
  const tenantConfig = join(dir, 'tenant.yaml');
  writeFileSync(
    tenantConfig,
    `stateDir: ./tenant-state
listen: { host: 127.0.0.1, port: 0 }
tls: auto
store: ${store}
domains: [{ name: ${domain}, authenticationType: Managed }]
rateLimit: { token: 1000000000 }
agents: [{ clientId: agent-1, clientSecret: { env: PHSYNC_AGENT_SECRET } }]
logLevel: warn
${keys}`,
  );
  const tenant = spawn(process.execPath, [phsync, 'tenant', '--config', tenantConfig, '--json'], {
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
      directory: dir,
      tenantConfig,
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
