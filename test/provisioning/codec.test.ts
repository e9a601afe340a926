/** Client and server codec: round trips, what other clients send, and what is refused. */

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ProtocolError } from '#src/protocol/errors.js';
import { NbfxReader } from '#src/protocol/nbfx/reader.js';
import { NbfxWriter } from '#src/protocol/nbfx/writer.js';
import { decodeReply, encodeRequest } from '#src/provisioning/client-codec.js';
import {
  decodeRequest,
  encodeFault,
  encodeResponse,
  MAX_BATCH_ITEMS,
  MAX_MESSAGE_BYTES,
  type OperationName,
  openRequest,
} from '#src/provisioning/server-codec.js';
import { clark } from '../protocol/nbfx/clark.js';
import { bodies, header, results, syncToken } from './samples.js';

const W = 'http://schemas.microsoft.com/online/aws/change/2010/01';
const SOAP = 'http://www.w3.org/2003/05/soap-envelope';
const ADDRESSING = 'http://www.w3.org/2005/08/addressing';
const COEXISTENCE = 'http://schemas.datacontract.org/2004/07/Microsoft.Online.Coexistence.Schema';
const SYNC_2014 = 'http://schemas.microsoft.com/online/aws/change/2014/06';
const ARRAYS = 'http://schemas.microsoft.com/2003/10/Serialization/Arrays';
const XSI = 'http://www.w3.org/2001/XMLSchema-instance';
const XSD = 'http://www.w3.org/2001/XMLSchema';
const names = Object.keys(bodies) as OperationName[];

interface RecordedRequest {
  readonly operation: string;
  readonly hex: string;
}
const { requests } = JSON.parse(readFileSync(new URL('aadinternals-python.json', import.meta.url), 'utf8')) as {
  requests: RecordedRequest[];
};
const recorded = requests.map(({ hex }) => new Uint8Array(Buffer.from(hex, 'hex')));

describe('round trips', () => {
  it.each(names)('the request of %s', (name) => {
    expect(decodeRequest(encodeRequest(name, bodies[name], header))).toEqual({
      operation: name,
      header: { ...header, action: `${W}/IProvisioningWebService/${name}`, relatesTo: '' },
      body: bodies[name],
    });
  });

  it.each(names)('the reply of %s', (name) => {
    const bytes = encodeResponse({ operation: name, header }, results[name]);
    expect(decodeReply(name, bytes)).toEqual({ fault: undefined, result: results[name] });
    expect(clark(new NbfxReader(bytes))).toContain(`<{${ADDRESSING}}RelatesTo>${header.messageId}</>`);
  });

  it('a configuration without our limits, as other services answer', () => {
    const result = { ...results.GetCompanyConfiguration, limits: undefined };
    const bytes = encodeResponse({ operation: 'GetCompanyConfiguration', header }, result);
    expect(decodeReply('GetCompanyConfiguration', bytes)).toEqual({ fault: undefined, result });
  });

  it('a fault with its facts', () => {
    const fault = {
      code: 'Sender',
      subcode: 'InvalidSecurityToken',
      reason: 'because',
      errorCode: 90,
      errorDescription: 'not <activated>',
      trackingId: 't-1',
      serverName: 's-1',
    } as const;
    expect(decodeReply('FinalizeExport', encodeFault(fault))).toEqual({
      fault: { ...fault, errorCode: '90', redirectUrl: '' },
    });
  });

  it('a redirect', () => {
    const request = decodeRequest(encodeRequest('FinalizeExport', bodies.FinalizeExport, header));
    const bytes = encodeFault({ redirectUrl: 'https://other.test/x' }, request);
    expect(decodeReply('GetCompanyConfiguration', bytes).fault).toMatchObject({ redirectUrl: 'https://other.test/x' });
    expect(clark(new NbfxReader(bytes))).toContain('FinalizeExportBindingRedirectionFaultFault');
  });
});

describe('the envelope', () => {
  it('is the one that the service documents', () => {
    const document = clark(
      new NbfxReader(encodeRequest('GetCompanyConfiguration', { includeLicenseInformation: false }, header)),
    );
    const member = (name: string, value: unknown) => `<{${W}}${name}>${value}</>`;
    expect(document).toBe(
      `<{${SOAP}}Envelope><{${SOAP}}Header>` +
        `<{${ADDRESSING}}Action {${SOAP}}mustUnderstand="1">${W}/IProvisioningWebService/GetCompanyConfiguration</>` +
        `<{urn:microsoft.online.administrativeservice}SyncToken {${SOAP}}role="urn:microsoft.online.administrativeservice">` +
        member('ApplicationId', syncToken.applicationId) +
        member('BearerToken', syncToken.bearerToken) +
        member('ClientVersion', '8.0') +
        member('DirSyncBuildNumber', '2.4.21.0') +
        member('FIMBuildNumber', '2.4.21.0') +
        member('IsInstalledOnDC', 'false') +
        member('IssueDateTime', '0001-01-01T00:00:00') +
        member('LanguageId', 'en-US') +
        member('LiveToken', '') +
        member('ProtocolVersion', '2.0') +
        member('RichCoexistenceEnabled', 'false') +
        member('TrackingId', syncToken.trackingId) +
        `</><{${ADDRESSING}}MessageID>${header.messageId}</>` +
        `<{${ADDRESSING}}ReplyTo><{${ADDRESSING}}Address>${ADDRESSING}/anonymous</></>` +
        `<{${ADDRESSING}}To {${SOAP}}mustUnderstand="1">${header.to}</></>` +
        `<{${SOAP}}Body><{${W}}GetCompanyConfiguration><{${W}}includeLicenseInformation>false</></></></>`,
    );
  });

  it('carries credentials in the documented order and namespaces', () => {
    const document = clark(new NbfxReader(encodeRequest('ProvisionCredentials', bodies.ProvisionCredentials, header)));
    const item = `<{${COEXISTENCE}}SyncCredentialsChangeItem>`;
    const first = document.slice(document.indexOf(item), document.indexOf(item, document.indexOf(item) + 1));
    const nil = ` {${XSI}}nil="true">`;
    expect(document).toContain(`<{${W}}request><{${COEXISTENCE}}RequestItems>${item}`);
    expect(first).toBe(
      `${item}<{${COEXISTENCE}}ChangeDate>2024-02-29T12:34:56.789Z</>` +
        `<{${COEXISTENCE}}CloudAnchor${nil}</>` +
        `<{${COEXISTENCE}}CredentialData>${bodies.ProvisionCredentials.items[0]!.credentialData}</>` +
        `<{${COEXISTENCE}}ForcePasswordChangeOnLogon>false</>` +
        `<{${COEXISTENCE}}SourceAnchor>q8+KXE9qRUuHmiMlJpMRUg==</>` +
        `<{${COEXISTENCE}}WindowsLegacyCredentials${nil}</><{${COEXISTENCE}}WindowsSupplementalCredentials${nil}</></>`,
    );
  });

  it('carries typed properties in the documented namespaces', () => {
    const document = clark(
      new NbfxReader(encodeRequest('ProvisionAzureADSyncObjects', bodies.ProvisionAzureADSyncObjects, header)),
    );
    const pair = (key: string, attribute: string, value: string) =>
      `<{${ARRAYS}}KeyValueOfstringanyType><{${ARRAYS}}Key>${key}</><{${ARRAYS}}Value ${attribute}>${value}</></>`;
    expect(document).toContain(
      `<{${W}}syncRequest><{${SYNC_2014}}SyncObjects><{${SYNC_2014}}AzureADSyncObject><{${SYNC_2014}}PropertyValues>` +
        pair('SourceAnchor', `{${XSI}}type="d:string"`, 'q8+KXE9qRUuHmiMlJpMRUg=='),
    );
    expect(document).toContain(pair('accountEnabled', `{${XSI}}type="d:boolean"`, 'true'));
    expect(document).toContain(pair('countryCode', `{${XSI}}type="d:int"`, '276'));
    expect(document).toContain(pair('long', `{${XSI}}type="d:long"`, '1099511627776'));
    expect(document).toContain(pair('nothing', `{${XSI}}nil="true"`, ''));
    expect(document).toContain(
      pair(
        'proxyAddresses',
        `{${XSI}}type="c:ArrayOfstring"`,
        `<{${ARRAYS}}string>SMTP:jm@phs.test</><{${ARRAYS}}string>smtp:j.m@phs.test</>`,
      ),
    );
    expect(document).toContain(`</><{${SYNC_2014}}SyncObjectType>User</><{${SYNC_2014}}SyncOperation>Set</></>`);
  });
});

describe('what AADInternals_python sends', () => {
  const body = (index: number) => {
    const request = decodeRequest(recorded[index]!);
    return request.operation === undefined ? undefined : request.body;
  };

  it('has a header that is understood', () => {
    expect(openRequest(recorded[0]!).header).toEqual({
      action: `${W}/IProvisioningWebService/GetCompanyConfiguration`,
      messageId: 'urn:uuid:33221100-5544-7766-8899-aabbccddee00',
      relatesTo: '',
      to: 'https://adminwebservice.microsoftonline.com/provisioningservice.svc',
      syncToken: {
        ...syncToken,
        bearerToken: 'eyJ0eXAiOiJKV1QiLCJhbGciOiJub25lIn0.eyJzdWIiOiJhZ2VudC0xIn0.c2lnbmF0dXJl',
        trackingId: '33221100-5544-7766-8899-aabbccddee00',
      },
    });
  });

  it('is understood, operation by operation', () => {
    const named = recorded.map((bytes) => {
      const request = decodeRequest(bytes);
      return request.operation ?? request.name;
    });
    expect(named).toEqual(requests.map(({ operation }) => operation));
    expect(body(0)).toEqual({ includeLicenseInformation: false });
    expect(body(5)).toEqual({ dirsyncFeatures: 41017 });
    expect(body(6)).toEqual({ totalExported: 12, successfulExportCount: 12 });
    expect(decodeRequest(recorded[7]!)).toMatchObject({ operation: undefined, name: 'ReadBackAzureADSyncObjects2' });
  });

  it('has credentials by source anchor and by cloud anchor', () => {
    const item = {
      credentialData: expect.stringMatching(/^v1;PPH1_MD4,[0-9a-f]{20},1000,[0-9a-f]{64};$/),
      forcePasswordChangeOnLogon: false,
      windowsLegacyCredentials: undefined,
      windowsSupplementalCredentials: undefined,
    };
    expect(body(1)).toEqual({
      items: [
        {
          ...item,
          // Sent with microseconds.
          changeDate: new Date('2024-02-29T12:34:56.789Z'),
          cloudAnchor: undefined,
          sourceAnchor: 'q8+KXE9qRUuHmiMlJpMRUg==',
        },
      ],
    });
    expect(body(2)).toEqual({
      items: [
        {
          ...item,
          changeDate: new Date('2024-02-29T12:34:56Z'),
          cloudAnchor: 'User_5a0a4a0e-6b3b-4c1c-8f5e-0f7f3b7a1122',
          sourceAnchor: undefined,
        },
      ],
    });
  });

  it('has objects whose texts came as other records, and arrays', () => {
    const sid = new Uint8Array(Buffer.from('AQUAAAAAAAUVAAAA3t7e3t7e3t7e3t7eUQQAAA==', 'base64'));
    expect(body(3)).toEqual({
      objects: [
        {
          syncObjectType: 'User',
          syncOperation: 'Set',
          propertyValues: new Map<string, unknown>([
            ['SourceAnchor', 'q8+KXE9qRUuHmiMlJpMRUg=='],
            ['accountEnabled', true],
            ['userPrincipalName', 'jürgen.müller@phs.test'],
            ['countryCode', 276],
            ['displayName', 'Jürgen Müller & Söhne'],
            ['dnsDomainName', 'phs.test'],
            ['givenName', 'Jürgen'],
            ['lastPasswordChangeTimestamp', '20190801164342.0Z'],
            ['netBiosName', 'PHS'],
            ['onPremiseSecurityIdentifier', sid],
            ['onPremisesDistinguishedName', 'CN=Jürgen Müller,OU=People,DC=phs,DC=test'],
            ['onPremisesSamAccountName', 'juergen'],
            ['surname', 'Müller'],
            ['cloudMastered', false],
            ['usageLocation', 'DE'],
            ['proxyAddresses', ['SMTP:jm@phs.test', 'smtp:j.m@phs.test']],
          ]),
        },
      ],
    });
    expect(body(4)).toMatchObject({ objects: [{ syncOperation: 'Delete', syncObjectType: 'User' }] });
  });
});

/** An envelope around `<operation>` in other prefixes than ours, with `content` inside. */
function envelope(operation: string, content: (writer: NbfxWriter) => void, namespace = W): Uint8Array {
  const writer = new NbfxWriter();
  writer.startElement('soapenv', 'Envelope');
  writer.xmlns('soapenv', SOAP);
  writer.startElement('soapenv', 'Body');
  writer.startElement('op', operation);
  writer.xmlns('op', namespace);
  content(writer);
  writer.endElement();
  writer.endElement();
  writer.endElement();
  return writer.finish();
}

/** `<name>text</name>`, nested by `/`. */
function element(writer: NbfxWriter, path: string, text: string, nil = false): void {
  const levels = path.split('/');
  for (const level of levels) {
    writer.startElement('op', level);
  }
  if (nil) {
    writer.xmlns('xs', XSI);
    writer.attribute('xs', 'nil', 'true');
  }
  writer.text(text);
  for (const _ of levels) {
    writer.endElement();
  }
}

function items(build: ((writer: NbfxWriter) => void)[]): Uint8Array {
  return envelope('ProvisionCredentials', (writer) => {
    writer.startElement('op', 'request');
    writer.startElement('op', 'RequestItems');
    for (const one of build) {
      writer.startElement('op', 'SyncCredentialsChangeItem');
      one(writer);
      writer.endElement();
    }
    writer.endElement();
    writer.endElement();
  });
}

function fails(bytes: Uint8Array): ProtocolError {
  try {
    decodeRequest(bytes);
  } catch (error) {
    if (error instanceof ProtocolError) {
      return error;
    }
    throw error;
  }
  throw new Error('it was taken');
}

describe('liberal reading', () => {
  it('takes members in any order, with other prefixes, without a header, and passes over unknown ones', () => {
    const request = decodeRequest(
      items([
        (writer) => {
          element(writer, 'SourceAnchor', 'x');
          element(writer, 'Unknown/Deeper', 'y');
          element(writer, 'ForcePasswordChangeOnLogon', '1');
          element(writer, 'CredentialData', 'c');
          element(writer, 'CloudAnchor', '', true);
          element(writer, 'ChangeDate', '2024-02-29T13:34:56+01:00');
        },
      ]),
    );
    expect(request).toMatchObject({
      operation: 'ProvisionCredentials',
      header: { messageId: '', syncToken: undefined },
      body: {
        items: [
          {
            changeDate: new Date('2024-02-29T12:34:56Z'),
            cloudAnchor: undefined,
            credentialData: 'c',
            forcePasswordChangeOnLogon: true,
            sourceAnchor: 'x',
            windowsLegacyCredentials: undefined,
          },
        ],
      },
    });
  });

  it.each([
    ['string', '42', '42'],
    ['int', '42', 42],
    ['long', '42', 42],
    ['long', '9223372036854775807', '9223372036854775807'],
    ['dateTime', '2024-02-29T12:34:56Z', '2024-02-29T12:34:56Z'],
    ['boolean', 'true', true],
    ['boolean', '0', false],
    ['double', '1.5e3', 1500],
    ['double', '-INF', Number.NEGATIVE_INFINITY],
    ['base64Binary', 'AAEC', Uint8Array.of(0, 1, 2)],
  ])('takes a property of type %s written as the characters %s', (type, text, expected) => {
    const bytes = envelope('ProvisionAzureADSyncObjects', (writer) => {
      for (const level of ['syncRequest', 'SyncObjects', 'AzureADSyncObject', 'PropertyValues', 'Pair', 'Value']) {
        writer.startElement('op', level);
      }
      writer.xmlns('xs', XSI);
      writer.xmlns('types', XSD);
      writer.attribute('xs', 'type', `types:${type}`);
      writer.text(text);
      writer.endElement();
      element(writer, 'Key', 'k');
      writer.endElement();
      writer.endElement();
      element(writer, 'SyncOperation', 'Add');
      element(writer, 'SyncObjectType', 'User');
      writer.endElement();
      writer.endElement();
      writer.endElement();
    });
    expect(decodeRequest(bytes)).toMatchObject({
      body: { objects: [{ propertyValues: new Map([['k', expected]]), syncOperation: 'Add' }] },
    });
  });

  it('knows an operation by its namespace too', () => {
    expect(decodeRequest(envelope('FinalizeExport', () => undefined, 'urn:other'))).toMatchObject({
      operation: undefined,
      name: 'FinalizeExport',
    });
  });

  it('reads the header before the body, and the body only when asked', () => {
    const bytes = encodeRequest('ProvisionCredentials', bodies.ProvisionCredentials, header);
    const cut = bytes.subarray(0, bytes.length - 10);
    const opened = openRequest(cut);
    expect(opened).toMatchObject({ name: 'ProvisionCredentials', header: { syncToken } });
    expect(() => opened.body()).toThrow(ProtocolError);
  });
});

describe('what is refused', () => {
  const complete = (writer: NbfxWriter) => {
    element(writer, 'ChangeDate', '2024-02-29T12:34:56Z');
    element(writer, 'CredentialData', 'c');
  };

  it('a missing member, a member twice, a wrong value', () => {
    expect(fails(items([(writer) => element(writer, 'CredentialData', 'c')])).message).toMatch(/ChangeDate is missing/);
    const twice = (writer: NbfxWriter) => {
      complete(writer);
      element(writer, 'CredentialData', 'd');
    };
    expect(fails(items([twice])).message).toMatch(/CredentialData stands twice/);
    expect(fails(items([(writer) => element(writer, 'ChangeDate', 'yesterday')])).code).toBe('nbfx-value');
    expect(fails(items([(writer) => element(writer, 'CredentialData', '', true)])).message).toMatch(/ChangeDate/);
  });

  it('a secret is not quoted in the message', () => {
    const error = fails(items([(writer) => element(writer, 'ChangeDate', 'v1;PPH1_MD4,secret')]));
    expect(error.message).not.toContain('secret');
  });

  it('an operation without its parameter, an empty body, a root that is no envelope', () => {
    expect(fails(envelope('ProvisionCredentials', () => undefined)).message).toMatch(/request at offset .* is missing/);
    const writer = new NbfxWriter();
    writer.startElement('', 'Envelope');
    writer.endElement();
    expect(fails(writer.finish()).code).toBe('soap-structure');
  });

  it('two operations, and bytes after the envelope', () => {
    const bytes = encodeRequest('FinalizeExport', bodies.FinalizeExport, header);
    expect(fails(Buffer.concat([bytes, Buffer.of(0x40, 1, 0x61, 1)])).code).toBe('nbfx-structure');
    const second = Buffer.concat([bytes.subarray(0, -2), Buffer.of(0x40, 1, 0x61, 1), bytes.subarray(-2)]);
    expect(fails(second).code).toBe('soap-structure');
  });

  it('more items than the absolute cap', () => {
    const item = bodies.ProvisionCredentials.items[0]!;
    const some = { items: Array.from({ length: MAX_BATCH_ITEMS }, () => item) };
    expect(decodeRequest(encodeRequest('ProvisionCredentials', some, header))).toMatchObject({
      operation: 'ProvisionCredentials',
    });
    const more = { items: [...some.items, item] };
    expect(fails(encodeRequest('ProvisionCredentials', more, header)).code).toBe('provisioning-limit');
  });

  it('many small values in many lists', () => {
    const values = Array.from({ length: 1000 }, () => new Uint8Array(0));
    const objects = Array.from({ length: 1001 }, () => ({
      syncObjectType: 'User',
      syncOperation: 'Set' as const,
      propertyValues: new Map([['userCertificate', values]]),
    }));
    const bytes = encodeRequest('ProvisionAzureADSyncObjects', { objects }, header);
    expect(bytes.length).toBeLessThan(MAX_MESSAGE_BYTES);
    expect(fails(bytes).code).toBe('nbfx-limit');
  });

  it('a message that is too long', () => {
    expect(fails(Buffer.alloc(MAX_MESSAGE_BYTES + 1)).code).toBe('nbfx-limit');
  });

  it('a property name twice, and a value of an unknown type', () => {
    const twice = { propertyValues: new Map([['a', 'b']]), syncObjectType: 'User', syncOperation: 'Set' } as const;
    const hex = encodeRequest('ProvisionAzureADSyncObjects', { objects: [twice] }, header).toString('hex');
    const key = Buffer.from('KeyValueOfstringanyType').toString('hex');
    const start = hex.indexOf(key) - 4;
    const pair = hex.slice(start, hex.indexOf(Buffer.from('SyncObjectType').toString('hex')) - 6);
    expect(fails(Buffer.from(hex.replace(pair, pair + pair), 'hex')).code).toBe('provisioning-structure');
    // The dictionary's ids of `string` and `guid` are 396h and 39eh; the latter is no type of XML Schema.
    expect(fails(Buffer.from(hex.replace('bc039607', 'bc039e07'), 'hex')).message).toMatch(
      /type that is not supported/,
    );
  });

  it('a reply of another operation, without result, or with two', () => {
    const reply = encodeResponse({ operation: 'FinalizeExport', header }, undefined);
    expect(() => decodeReply('GetCompanyConfiguration', reply)).toThrow(/expected GetCompanyConfigurationResponse/);
    const empty = envelope('GetCompanyConfigurationResponse', () => undefined);
    expect(() => decodeReply('GetCompanyConfiguration', empty)).toThrow(/no GetCompanyConfigurationResult/);
  });
});
