/** The agent's unit for systemd: systemd.service(5), its sandbox by systemd.exec(5). */

import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { AgentConfig } from '../../agent/config.js';
import { shellQuoted } from '../../agent/diagnosis/grant.js';
import type { SecretReference } from '../../config/schemas.js';

export interface UnitOptions {
  /** agent.yaml, absolute. */
  readonly file: string;
  readonly config: AgentConfig;
  readonly user: string;
  /** The command line up to `agent`: absolute paths. */
  readonly program: readonly string[];
}

export interface Unit {
  readonly text: string;
  /** What the sandbox had to leave open, and what the service would not find. */
  readonly warnings: readonly string[];
}

/** One word of a command line: systemd.service(5), "Command Lines"; `%` begins a specifier, `$` a variable. */
const word = (text: string): string => listed(text).replaceAll('$', '$$$$');

/** One item of a setting that takes several: no variables. */
function listed(text: string): string {
  const plain = bare(text);
  return /[\s"'\\;]/.test(plain) ? `"${plain.replaceAll(/["\\]/g, '\\$&')}"` : plain;
}

/** What goes to the end of its line: a quote there would be one of the path's own. */
const bare = (text: string): string => text.replaceAll('%', '%%');

/** Everything in the configuration that is kept elsewhere. */
export function secretsOf(value: unknown): SecretReference[] {
  if (typeof value !== 'object' || value === null) return [];
  const { env, file, credential } = value as Record<string, unknown>;
  if (typeof env === 'string') return [{ env }];
  if (typeof file === 'string') return [{ file }];
  if (typeof credential === 'string') return [{ credential }];
  return Object.values(value).flatMap(secretsOf);
}

const isBelow = (path: string, folder: string) => path === folder || path.startsWith(`${folder}/`);

/** Files that the service reads. */
function filesOf({ file, config, program }: UnitOptions): string[] {
  const secrets = secretsOf([config.tenant, config.connectors]).flatMap((each) => ('file' in each ? [each.file] : []));
  const kerberos = config.connectors.flatMap(({ directory }) =>
    directory.type === 'drs' ? [directory.auth.keytab, directory.auth.credentialCache?.replace(/^FILE:/, '')] : [],
  );
  const { ca } = config.tenant;
  return [file, ...program, ca, ...secrets, ...kerberos].filter(
    (path): path is string => path?.startsWith('/') === true,
  );
}

const HOMES = ['/home', '/root', '/run/user'];
const TEMPORARY = ['/tmp', '/var/tmp'];

/** Setting, and why where it is not what one expects. */
type Line = readonly [setting: string, why?: string];

function sandbox(options: UnitOptions, warnings: string[]): Line[] {
  const files = filesOf(options);
  const found = (folders: readonly string[]) => files.find((path) => folders.some((folder) => isBelow(path, folder)));
  const [home, temporary] = [found(HOMES), found(TEMPORARY)];
  if (home !== undefined)
    warnings.push(`${home} is in a home directory: ProtectHome=read-only, and ${options.user} must be able to read it`);
  if (temporary !== undefined) warnings.push(`${temporary} is in a directory for temporary files: PrivateTmp=no`);
  // A kernel keyring belongs to a user of a user namespace.
  const keyring = options.config.connectors.some(
    ({ directory }) => directory.type === 'drs' && directory.auth.credentialCache?.startsWith('KEYRING:'),
  );
  return [
    ['NoNewPrivileges=yes'],
    ['CapabilityBoundingSet='],
    ['AmbientCapabilities='],
    ['ProtectSystem=strict'],
    [home === undefined ? 'ProtectHome=yes' : 'ProtectHome=read-only'],
    [temporary === undefined ? 'PrivateTmp=yes' : 'PrivateTmp=no'],
    ['PrivateDevices=yes'],
    ['DevicePolicy=closed'],
    ['PrivateMounts=yes'],
    ...(keyring ? [] : [['PrivateUsers=yes'] as const]),
    ['ProtectClock=yes'],
    ['ProtectControlGroups=yes'],
    ['ProtectHostname=yes'],
    ['ProtectKernelLogs=yes'],
    ['ProtectKernelModules=yes'],
    ['ProtectKernelTunables=yes'],
    ['ProtectProc=invisible'],
    ['ProcSubset=pid'],
    ['RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX'],
    ['RestrictNamespaces=yes'],
    ['RestrictRealtime=yes'],
    ['RestrictSUIDSGID=yes'],
    ['RemoveIPC=yes'],
    ['LockPersonality=yes'],
    ['SystemCallArchitectures=native'],
    ['SystemCallFilter=@system-service'],
    ['SystemCallFilter=~@privileged @resources'],
    ['SystemCallErrorNumber=EPERM'],
    ['MemoryDenyWriteExecute=no', 'V8 compiles JavaScript into memory that it writes and executes'],
    ['UMask=0077'],
    ['LimitCORE=0', 'a core dump would hold hashes and keys'],
  ];
}

/** Where the state is kept: below /var/lib systemd makes and owns it. */
function state({ config, user }: UnitOptions, warnings: string[]): Line[] {
  const below = relative('/var/lib', config.stateDir);
  if (below !== '' && !below.startsWith('..')) {
    return [[`StateDirectory=${listed(below)}`], ['StateDirectoryMode=0700']];
  }
  warnings.push(
    `${config.stateDir} is not below /var/lib: make it before the first start, mode 0700, owned by ${user}`,
  );
  return [[`ReadWritePaths=${listed(config.stateDir)}`]];
}

function secrets({ file, config }: UnitOptions): Line[] {
  const references = secretsOf([config.tenant, config.connectors]);
  const folder = dirname(file);
  const names = new Set(references.flatMap((each) => ('credential' in each ? [each.credential] : [])));
  const lines: Line[] = [...names].map((name) => [`LoadCredential=${name}:${bare(join(folder, name))}`]);
  if (references.some((each) => 'env' in each)) {
    lines.push([
      `EnvironmentFile=${bare(join(folder, 'environment'))}`,
      'lines NAME=SECRET; root reads it, before it gives up its rights',
    ]);
  }
  return lines;
}

/** What root does before the first start. */
function setUp(options: UnitOptions, warnings: string[]): string[] {
  const { file, config, user } = options;
  const { ca } = config.tenant;
  const references = secretsOf([config.tenant, config.connectors]);
  const folder = dirname(file);
  const owned = [
    ...references.flatMap((each) => ('file' in each ? [each.file] : [])),
    ...config.connectors.flatMap(({ directory }) =>
      directory.type === 'drs' ? [directory.auth.keytab ?? []].flat() : [],
    ),
  ];
  const roots = [
    ...references.flatMap((each) => ('credential' in each ? [join(folder, each.credential)] : [])),
    ...(references.some((each) => 'env' in each) ? [join(folder, 'environment')] : []),
  ];
  const besides = ca !== undefined && dirname(ca) !== folder;
  if (besides) {
    warnings.push(
      `${ca} (tenant.ca) must be readable for ${user}, and in a closed directory, such as a tenant's state directory, it is ` +
        `not: then copy it to ${folder} and name the copy in tenant.ca`,
    );
  }
  const commands = (change: string, paths: readonly string[]) =>
    [...new Set(paths)].map((path) => `${change} ${shellQuoted(path)}`);
  return [
    `useradd --system --user-group --home-dir ${shellQuoted(config.stateDir)} --no-create-home --shell /usr/sbin/nologin ${user}`,
    ...commands(`chown root:${user}`, [file]),
    ...commands('chmod 0640', [file]),
    ...commands(`chown ${user}:`, owned),
    ...commands('chmod 0600', [...owned, ...roots]),
    ...(ca === undefined || besides ? [] : commands('chmod 0644', [ca])),
    ...(ca !== undefined && besides
      ? [
          `runuser -u ${user} -- test -r ${shellQuoted(ca)} || echo "copy it beside agent.yaml, and name the copy in tenant.ca"`,
        ]
      : []),
    'systemctl daemon-reload',
    'systemctl enable --now phsync',
  ];
}

const written = ([setting, why]: Line) => (why === undefined ? [setting] : [`# ${why}`, setting]);

/** The unit's text. */
export function systemdUnit(options: UnitOptions): Unit {
  const { file, user, program } = options;
  const warnings: string[] = [];
  const exec = [...program, 'agent', '--config', file].map(word).join(' ');
  const lines = [
    '# phsync.service, made by `phsync systemd` from the configuration. Once, as root:',
    ...setUp(options, warnings).map((command) => `#   ${command}`),
    '',
    '[Unit]',
    'Description=Password hash synchronization from Active Directory',
    `Documentation=file:${word(fileURLToPath(new URL('../../../src/agent/README.md', import.meta.url)))}`,
    'Wants=network-online.target',
    '# Kerberos wants the right time.',
    'After=network-online.target time-sync.target',
    '',
    '[Service]',
    '# Node.js has no way to send to NOTIFY_SOCKET, a datagram socket of the AF_UNIX family: readiness is /readyz.',
    'Type=exec',
    `ExecStart=${exec}`,
    '# Reads the configuration again.',
    'ExecReload=/bin/kill -HUP $MAINPID',
    'Restart=on-failure',
    'RestartSec=30',
    '# Exit code 2 is a wrong configuration: that does not pass by itself.',
    'RestartPreventExitStatus=2',
    '# The batch in hand is finished first, within 10 s.',
    'TimeoutStopSec=20',
    'KillMode=mixed',
    `User=${word(user)}`,
    ...state(options, warnings).flatMap(written),
    ...secrets(options).flatMap(written),
    '',
    ...sandbox(options, warnings).flatMap(written),
    '',
    '[Install]',
    'WantedBy=multi-user.target',
  ];
  return { text: `${lines.join('\n')}\n`, warnings };
}
