/** The units for systemd: systemd.service(5), their sandbox by systemd.exec(5). */

import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { shellQuoted } from '../../agent/diagnosis/grant.js';
import { isRootsOwn, rootCanRead } from './root-access.js';
import type { Service } from './service.js';

export interface UnitOptions {
  /** The configuration, absolute. */
  readonly file: string;
  readonly service: Service;
  readonly user: string;
  /** The command line up to `agent` or `tenant`: absolute paths. */
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

const isBelow = (path: string, folder: string) => path === folder || path.startsWith(`${folder}/`);

/** Files that the service reads, and directories of others that it writes to. */
function filesOf({ file, service, program }: UnitOptions): string[] {
  const secrets = service.secrets.flatMap((each) => ('file' in each ? [each.file] : []));
  const writes = service.asRoot?.writes.map((path) => path.replace(/^-/, '')) ?? [];
  return [file, ...program, service.certificate?.path, ...secrets, ...service.keys, ...service.files, ...writes].filter(
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
  const { keyring, lowPort, noCore, asRoot } = options.service;
  const capabilities = lowPort ? 'CAP_NET_BIND_SERVICE' : '';
  return [
    ['NoNewPrivileges=yes'],
    [`CapabilityBoundingSet=${capabilities}`],
    lowPort ? [`AmbientCapabilities=${capabilities}`, 'listen.port is below 1024'] : ['AmbientCapabilities='],
    ['ProtectSystem=strict'],
    [home === undefined ? 'ProtectHome=yes' : 'ProtectHome=read-only'],
    [temporary === undefined ? 'PrivateTmp=yes' : 'PrivateTmp=no'],
    ['PrivateDevices=yes'],
    ['DevicePolicy=closed'],
    ['PrivateMounts=yes'],
    // A kernel keyring belongs to a user of a user namespace, and so does the privilege for a low port.
    ...(keyring || lowPort || asRoot ? [] : [['PrivateUsers=yes'] as const]),
    ['ProtectClock=yes'],
    ['ProtectControlGroups=yes'],
    ['ProtectHostname=yes'],
    ['ProtectKernelLogs=yes'],
    ['ProtectKernelModules=yes'],
    ['ProtectKernelTunables=yes'],
    ['ProtectProc=invisible'],
    ['ProcSubset=pid'],
    asRoot === undefined
      ? ['RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX']
      : [
          'RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK',
          "Samba's library asks for the network's interfaces",
        ],
    ...(asRoot === undefined ? [] : [[`ReadWritePaths=${asRoot.writes.map(listed).join(' ')}`, asRoot.why] as const]),
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
    ['LimitCORE=0', noCore],
  ];
}

/** Where the state is kept: below /var/lib systemd makes and owns it. */
function state({ service: { stateDir, asRoot }, user }: UnitOptions, warnings: string[]): Line[] {
  const below = relative('/var/lib', stateDir);
  if (below !== '' && !below.startsWith('..')) {
    return [[`StateDirectory=${listed(below)}`], ['StateDirectoryMode=0700']];
  }
  if (asRoot === undefined || !isRootsOwn(stateDir)) {
    warnings.push(`${stateDir} is not below /var/lib: make it before the first start, mode 0700, owned by ${user}`);
  }
  return [[`ReadWritePaths=${listed(stateDir)}`]];
}

function secrets({ file, service: { secrets: references } }: UnitOptions): Line[] {
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
  const { file, service, user } = options;
  const { certificate, secrets: references, configName } = service;
  const folder = dirname(file);
  // Another program renews a key that lies elsewhere, and would take it away again.
  const isBeside = (path: string) => dirname(path) === folder;
  for (const path of service.command === 'tenant' ? service.keys.filter((key) => !isBeside(key)) : []) {
    warnings.push(`${path} (tls.key) must be readable for ${user}, best as a copy of its own in ${folder}`);
  }
  const owned = [
    ...references.flatMap((each) => ('file' in each ? [each.file] : [])),
    ...service.keys.filter((key) => service.command === 'agent' || isBeside(key)),
  ];
  const roots = [
    ...references.flatMap((each) => ('credential' in each ? [join(folder, each.credential)] : [])),
    ...(references.some((each) => 'env' in each) ? [join(folder, 'environment')] : []),
  ];
  const besides = certificate !== undefined && !isBeside(certificate.path);
  if (besides && !(service.asRoot !== undefined && rootCanRead(certificate.path))) {
    const { path, key, closed } = certificate;
    warnings.push(
      `${path} (${key}) must be readable for ${user}, and in a closed directory, such as ${closed}, it is ` +
        `not: then copy it to ${folder} and name the copy in ${key}`,
    );
  }
  const commands = (change: string, paths: readonly string[]) =>
    [...new Set(paths)].map((path) => `${change} ${shellQuoted(path)}`);
  if (service.asRoot !== undefined) {
    warnings.push(...service.asRoot.warnings);
    const closed = [...new Set([file, ...owned, ...roots])];
    return [
      ...commands('chown root:', closed),
      ...commands('chmod 0600', closed),
      'systemctl daemon-reload',
      `systemctl enable --now ${service.name}`,
    ];
  }
  return [
    `useradd --system --user-group --home-dir ${shellQuoted(service.stateDir)} --no-create-home --shell /usr/sbin/nologin ${user}`,
    ...commands(`chown root:${user}`, [file]),
    ...commands('chmod 0640', [file]),
    ...commands(`chown ${user}:`, owned),
    ...commands('chmod 0600', [...owned, ...roots]),
    ...(certificate === undefined || besides ? [] : commands('chmod 0644', [certificate.path])),
    ...(besides
      ? [
          `runuser -u ${user} -- test -r ${shellQuoted(certificate.path)} || echo "copy it beside ${configName}, and name the copy in ${certificate.key}"`,
        ]
      : []),
    'systemctl daemon-reload',
    `systemctl enable --now ${service.name}`,
  ];
}

const written = ([setting, why]: Line) => (why === undefined ? [setting] : [`# ${why}`, setting]);

/** The unit's text. */
export function systemdUnit(options: UnitOptions): Unit {
  const { file, service, user, program } = options;
  const { name, command, stop } = service;
  const warnings: string[] = [];
  const exec = [...program, command, '--config', file].map(word).join(' ');
  const guide = fileURLToPath(new URL(`../../../${service.guide}`, import.meta.url));
  const lines = [
    `# ${name}.service, made by \`phsync systemd\` from the configuration. Once, as root:`,
    ...setUp(options, warnings).map((line) => `#   ${line}`),
    '',
    '[Unit]',
    `Description=${service.description}`,
    `Documentation=file:${word(guide)}`,
    'Wants=network-online.target',
    ...service.after,
    '',
    '[Service]',
    '# Node.js has no way to send to NOTIFY_SOCKET, a datagram socket of the AF_UNIX family: readiness is /readyz.',
    'Type=exec',
    `ExecStart=${exec}`,
    ...(service.reloads === undefined ? [] : [`# ${service.reloads}`, 'ExecReload=/bin/kill -HUP $MAINPID']),
    'Restart=on-failure',
    `RestartSec=${service.restartSeconds}`,
    '# Exit code 2 is a wrong configuration: that does not pass by itself.',
    'RestartPreventExitStatus=2',
    `# ${stop.why}`,
    `TimeoutStopSec=${stop.seconds}`,
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
