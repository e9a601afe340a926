/** `phsync tenant domain-services`: Domain Services of a tenant, seen and changed beside it while it runs. */

import { createPrivateKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { fileErrorText } from '../config/file-error.js';
import { PhsyncError } from '../hasher/errors.js';
import { createAuditLog } from '../tenant/audit/audit-log.js';
import { loadTenantConfig } from '../tenant/config.js';
import { parseThumbprint, readCertificate } from '../tenant/domain-services/certificate.js';
import { type Act, DomainServices, type DomainServicesView, namesText } from '../tenant/domain-services/service.js';
import { parseSetting, type SettingChanges } from '../tenant/domain-services/settings.js';
import { openExistingStore } from './existing-store.js';
import { counted, printJson } from './output.js';

export const domainServicesActions = [
  'show',
  'enable',
  'disable',
  'set',
  'add-certificate',
  'remove-certificate',
] as const;
export type DomainServicesAction = (typeof domainServicesActions)[number];

export interface DomainServicesOptions {
  readonly config: string;
  readonly domain?: string;
  readonly certificate?: string;
  readonly setting?: readonly string[];
  readonly thumbprint?: string;
  readonly force?: boolean;
  readonly json?: boolean;
}

/** Which options an action takes, beside --config and --json; those with `!` it must have. */
export const optionsOfActions: Readonly<Record<DomainServicesAction, readonly string[]>> = {
  show: [],
  enable: ['domain', 'certificate', 'setting', 'force'],
  disable: [],
  set: ['setting!'],
  'add-certificate': ['certificate!', 'force'],
  'remove-certificate': ['thumbprint!', 'force'],
};
const usage: Readonly<Record<string, string>> = {
  domain: '--domain <name>',
  certificate: '--certificate <file>',
  setting: '--setting <name=value>',
  thumbprint: '--thumbprint <hex>',
  force: '--force',
};

/** @throws PhsyncError `state-missing`, `usage-…`, `ad-auth-info-certificate`, `domain-services-…`, and the store's */
export async function domainServices(
  action: DomainServicesAction | undefined,
  options: DomainServicesOptions,
  command: Command,
): Promise<void> {
  if (action === undefined) {
    command.error(`what of Domain Services? Expected one of ${domainServicesActions.join(', ')}`, {
      code: 'commander.missingArgument',
    });
  }
  checkOptions(action, options, command);
  const { json = false } = options;
  const config = await loadTenantConfig(options.config);
  const work = await read(action, options);
  const store = await openExistingStore(config);
  try {
    const { database, tenantId } = store;
    const now = () => new Date();
    const service = new DomainServices({ database, tenantId, audit: createAuditLog(database, now), now });
    const done = await work(service, { actor: { kind: 'system', id: `phsync tenant domain-services ${action}` } });
    if (json)
      printJson({ tenantId, ...done.view, ...(done.view === undefined ? { enabled: false } : {}), ...done.more });
    else process.stdout.write(`${done.text ?? ''}${done.view === undefined ? NEVER : textOf(done.view)}`);
  } finally {
    await store.close();
  }
}

function checkOptions(action: DomainServicesAction, options: DomainServicesOptions, command: Command): void {
  for (const [name, text] of Object.entries(usage)) {
    const isGiven = options[name as keyof DomainServicesOptions] !== undefined;
    if (!isGiven && optionsOfActions[action].includes(`${name}!`)) {
      command.error(`required option '${text}' not specified`, { code: 'commander.missingMandatoryOptionValue' });
    }
    if (!isGiven || optionsOfActions[action].some((each) => each.replace('!', '') === name)) continue;
    const owners = domainServicesActions.filter((each) =>
      optionsOfActions[each].some((own) => own.replace('!', '') === name),
    );
    const words = `option '${text.split(' ')[0]}' belongs to phsync tenant domain-services ${owners.join(' and ')}`;
    command.error(words, { code: 'commander.conflictingOption' });
  }
}

interface Done {
  readonly view: DomainServicesView | undefined;
  /** Before what is so now. */
  readonly text?: string;
  readonly more?: object;
}

/** What is given is read before the database is opened. */
async function read(
  action: DomainServicesAction,
  { domain: domainName, certificate: file, setting = [], thumbprint: text = '', force = false }: DomainServicesOptions,
): Promise<(service: DomainServices, act: Act) => Promise<Done>> {
  const certificate = file === undefined ? undefined : await readCertificateFile(file);
  const settings = Object.assign({}, ...setting.map(parseSetting)) as SettingChanges;
  switch (action) {
    case 'show':
      return async (service) => ({ view: await service.show() });
    case 'enable':
      return async (service, act) => ({
        view: await service.enable({ domainName, certificate, settings, force }, act),
        text: ENABLED,
      });
    case 'disable':
      return async (service, act) => {
        const { deleted } = await service.disable(act);
        const gone = `The stored credentials of ${counted(deleted, 'user')} were deleted.\n`;
        return { view: await service.show(), text: gone, more: { deleted } };
      };
    case 'set':
      return async (service, act) => {
        const before = (await service.show())?.securitySettings.syncNtlmPasswords;
        const view = await service.set(settings, act);
        const after = view.securitySettings.syncNtlmPasswords;
        if (after === before) return { view };
        if (!view.enabled) return { view, text: OFF };
        return { view, text: after === 'Disabled' ? NTLM_OFF : NTLM_ON };
      };
    case 'add-certificate':
      return async (service, act) => ({ view: await service.addCertificate(certificate!, act, { force }) });
    case 'remove-certificate': {
      const thumbprint = parseThumbprint(text);
      if (thumbprint === undefined) {
        throw new PhsyncError('usage-thumbprint', '--thumbprint: expected 40 hexadecimal digits, as show has them');
      }
      return async (service, act) => ({ view: await service.removeCertificate(thumbprint, { force }, act) });
    }
  }
}

/** @throws PhsyncError `usage-file`, `ad-auth-info-certificate`, which name the file. */
async function readCertificateFile(file: string): Promise<Buffer> {
  const bytes = await readBytes(file);
  try {
    readCertificate(bytes);
    return bytes;
  } catch (cause) {
    if (!(cause instanceof PhsyncError)) throw cause;
    const isKey = isPrivateKey(bytes);
    if (isKey) bytes.fill(0);
    const words = isKey ? 'expected a certificate (PEM or DER); it is a private key' : cause.message;
    throw new PhsyncError(cause.code, `${file}: ${words}`, { cause, facts: { ...cause.facts, file } });
  }
}

/** PEM, with a passphrase or without, or DER. */
function isPrivateKey(bytes: Buffer): boolean {
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(bytes.toString('latin1'))) return true;
  return (['pkcs8', 'pkcs1', 'sec1'] as const).some((type) => {
    try {
      createPrivateKey({ key: bytes, format: 'der', type });
      return true;
    } catch {
      return false;
    }
  });
}

async function readBytes(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (cause) {
    throw new PhsyncError('usage-file', `cannot read ${file}: ${fileErrorText(cause)}`, { cause, facts: { file } });
  }
}

const NEVER = 'Domain Services are not enabled in this tenant, and never were.\n';
const ENABLED =
  'From their next cycle on, agents send NT hashes and Kerberos keys, sealed to the newest certificate below.\n';
const ALL_AT_ONCE =
  'Those that are stored stay until the password changes or the\nagent synchronizes all: phsync agent --config agent.yaml --once --full\n';
const OFF = 'Domain Services are disabled: this is for when they are enabled again.\n';
const NTLM_OFF = `Agents seal random NT hashes from their next cycle on. ${ALL_AT_ONCE}`;
const NTLM_ON = `Agents seal the NT hashes again from their next cycle on. ${ALL_AT_ONCE}`;

function textOf(view: DomainServicesView): string {
  const { enabled, domainName, securitySettings, certificates, warnings } = view;
  const lines = [
    `Domain Services for ${domainName}: ${enabled ? 'enabled' : 'disabled'}, credentials of ${heldText(view)} stored`,
    ...certificates.flatMap((certificate) => {
      const { thumbprint, subject, keyBits, notAfter, isNewest, users, userPrincipalNames: names } = certificate;
      return [
        `  certificate ${thumbprint}${isNewest ? ', the newest' : ''}`,
        `    ${subject}, RSA ${keyBits}, until ${notAfter.toISOString().slice(0, 10)}, ${heldText(certificate)}`,
        ...(names.length > 0 ? [`    ${namesText(users, names)}`] : []),
      ];
    }),
    ...Object.entries(securitySettings).map(([name, value]) => `  ${name} ${value}`),
    ...warnings.map((warning) => `Warning: ${warning}.`),
  ];
  return `${lines.join('\n')}\n`;
}

const heldText = ({ users, deletedUsers }: { readonly users: number; readonly deletedUsers: number }): string =>
  counted(users, 'user') + (deletedUsers === 0 ? '' : ` (and of ${counted(deletedUsers, 'deleted user')})`);
