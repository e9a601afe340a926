/** The sample records of MC-NBFX section 3, one of each record type, and what they stand for. */

import { describe, expect, it } from 'vitest';
import { NbfxReader } from '#src/protocol/nbfx/reader.js';
import { clark, fromHex } from './clark.js';

const SOAP = 'http://www.w3.org/2003/05/soap-envelope';

// Where the specification's dictionary has made-up entries (str0, str8, …), the static table's stand instead.
const SAMPLES: readonly (readonly [number, string, string])[] = [
  [0x01, '4003646F6301', '<doc></>'],
  [0x04, '4003646F630404617474728401', '<doc attr="false"></>'],
  [0x05, '4003646F6309037072650A687474703A2F2F616263050370726504617474728401', '<doc {http://abc}attr="false"></>'],
  [0x06, '4003646F63068A018601', '<doc role="true"></>'],
  [0x07, '4003646F6309037072650A687474703A2F2F6162630703707265008601', '<doc {http://abc}mustUnderstand="true"></>'],
  [0x08, '4003646F63080A687474703A2F2F61626301', '<{http://abc}doc></>'],
  [0x09, '4003646F630901700A687474703A2F2F61626301', '<doc></>'],
  [0x0a, '4003646F630A0401', `<{${SOAP}}doc></>`],
  [0x0b, '4003646F630B01700401', '<doc></>'],
  [0x11, '4003646F630901660A687474703A2F2F616263110A980568656C6C6F01', '<doc {http://abc}Action="hello"></>'],
  [0x23, '4003646F630901780A687474703A2F2F61626323169805776F726C6401', '<doc {http://abc}URI="world"></>'],
  [0x30, '4003646F6309016B0A687474703A2F2F6162633004617474728601', '<doc {http://abc}attr="true"></>'],
  [0x3f, '4003646F6309017A0A687474703A2F2F6162633F03616263980378797A01', '<doc {http://abc}abc="xyz"></>'],
  [0x40, '4003646F6301', '<doc></>'],
  [0x41, '410370726503646F6309037072650A687474703A2F2F61626301', '<{http://abc}doc></>'],
  [0x42, '420E01', '<Body></>'],
  [0x43, '43037072650E09037072650A687474703A2F2F61626301', '<{http://abc}Body></>'],
  [0x44, '440A0901610A687474703A2F2F61626301', '<{http://abc}Action></>'],
  [0x56, '56260901730A687474703A2F2F61626301', '<{http://abc}DigestMethod></>'],
  [0x5e, '5E0568656C6C6F0901610A687474703A2F2F61626301', '<{http://abc}hello></>'],
  [0x70, '70094D794D6573736167650901730A687474703A2F2F61626301', '<{http://abc}MyMessage></>'],
  [0x80, '4003646F6306A0038001', '<doc RequestType="0"></>'],
  [0x81, '400361626381', '<abc>0</>'],
  [0x82, '4003646F6306008201', '<doc mustUnderstand="1"></>'],
  [0x83, '400361626383', '<abc>1</>'],
  [0x84, '4003646F6306008401', '<doc mustUnderstand="false"></>'],
  [0x85, '400361626385', '<abc>false</>'],
  [0x86, '4003646F6306008601', '<doc mustUnderstand="true"></>'],
  [0x87, '400361626387', '<abc>true</>'],
  [0x88, '4003646F6306EC0188DE01', '<doc Offset="-34"></>'],
  [0x89, '429A01897F', '<Value>127</>'],
  [0x8a, '4003646F6306EC018A008001', '<doc Offset="-32768"></>'],
  [0x8b, '429A018BFF7F', '<Value>32767</>'],
  [0x8c, '4003646F6306EC018C15CD5B0701', '<doc Offset="123456789"></>'],
  [0x8d, '429A018DFFFFFF7F', '<Value>2147483647</>'],
  [0x8e, '4003646F6306EC018E000000800000000001', '<doc Offset="2147483648"></>'],
  [0x8f, '429A018F0000000000010000', '<Value>1099511627776</>'],
  [0x90, '4003646F6304016190CDCC8C3F01', '<doc a="1.1"></>'],
  [0x91, '4005507269636591CDCC0142', '<Price>32.45</>'],
  [0x92, '4003646F63040161927457148B0ABF054001', '<doc a="2.71828182845905"></>'],
  [0x93, '4002504993112D4454FB210940', '<PI>3.14159265358979</>'],
  [0x94, '4003646F630403696E74940000060000000000802D4E000000000001', '<doc int="5.123456"></>'],
  [0x95, '40084D617856616C75659500000000FFFFFFFFFFFFFFFFFFFFFFFF', '<MaxValue>79228162514264337593543950335</>'],
  [0x96, '4003646F63066E96FF3F37F47528CA2B01', '<doc Expires="9999-12-31T23:59:59.9999999"></>'],
  // The specification shows this one's date alone; xs:dateTime has the time, and .NET writes it.
  [0x97, '426C9700408EF95B47C808', '<Created>2006-05-17T00:00:00</>'],
  [0x98, '4003646F63980568656C6C6F01', '<doc>hello</>'],
  [0x99, '400161990568656C6C6F', '<a>hello</>'],
  [0x9a, '4003646F639A050068656C6C6F01', '<doc>hello</>'],
  [0x9b, '4001619B050068656C6C6F', '<a>hello</>'],
  [0x9c, '4003646F639C0500000068656C6C6F01', '<doc>hello</>'],
  [0x9d, '4001619D0500000068656C6C6F', '<a>hello</>'],
  [0x9e, '4003646F639E08000102030405060701', '<doc>AAECAwQFBgc=</>'],
  [0x9f, '40064261736536349F080001020304050607', '<Base64>AAECAwQFBgc=</>'],
  [0xa0, '4003646F63A00800000102030405060701', '<doc>AAECAwQFBgc=</>'],
  [0xa1, '4006426173653634A108000001020304050607', '<Base64>AAECAwQFBgc=</>'],
  [0xa2, '4003646F63A208000000000102030405060701', '<doc>AAECAwQFBgc=</>'],
  [0xa3, '4006426173653634A3080000000001020304050607', '<Base64>AAECAwQFBgc=</>'],
  [0xa4, '4003646F63040161A4887B980568656C6C6F86A601', '<doc a="123 hello true"></>'],
  [0xa8, '4003646F63040161A801', '<doc a=""></>'],
  [0xa9, '4003646F63A9', '<doc></>'],
  [0xaa, '4003646F6304026E73AA3801', '<doc ns="http://schemas.microsoft.com/ws/2006/05/rm"></>'],
  [0xab, '400454797065ABC401', '<Type>X509v3Certificate</>'],
  [0xac, '4003646F63AC00112233445566778899AABBCCDDEEFF01', '<doc>urn:uuid:33221100-5544-7766-8899-aabbccddeeff</>'],
  [0xad, '421AAD00112233445566778899AABBCCDDEEFF', '<MessageID>urn:uuid:33221100-5544-7766-8899-aabbccddeeff</>'],
  [0xae, '4003646F63AE00C4F532FFFFFFFF01', '<doc>-PT5M44S</>'],
  [0xaf, '429407AF00B08EF01B000000', '<dateTime>PT3H20M</>'],
  [0xb0, '4003646F63B0000102030405060708090A0B0C0D0E0F01', '<doc>03020100-0504-0706-0809-0a0b0c0d0e0f</>'],
  [0xb1, '40024944B1000102030405060708090A0B0C0D0E0F', '<ID>03020100-0504-0706-0809-0a0b0c0d0e0f</>'],
  [0xb2, '4003646F63B2FFFFFFFFFFFFFFFF01', '<doc>18446744073709551615</>'],
  [0xb3, '429A01B3FEFFFFFFFFFFFFFF', '<Value>18446744073709551614</>'],
  [0xb4, '4003646F63B40101', '<doc>true</>'],
  [0xb6, '4003646F63040175B60675006E00690001', '<doc u="uni"></>'],
  [0xb7, '400155B70675006E006900', '<U>uni</>'],
  [0xb8, '4003646F630403753136B8080075006E006900320001', '<doc u16="uni2"></>'],
  [0xb9, '4003553136B9080075006E0069003200', '<U16>uni2</>'],
  [0xba, '4003646F630403753332BA040000003300320001', '<doc u32="32"></>'],
  [0xbb, '4003553332BB0400000033003200', '<U32>32</>'],
  [0xbc, '4003646F6306F006BC088E0701', '<doc http://schemas.microsoft.com/ws/2005/05/envelope/none="i:float"></>'],
  [0xbd, '400454797065BD129007', '<Type>s:double</>'],
];

describe('the sample records of MC-NBFX section 3', () => {
  it.each(SAMPLES.map(([type, hex, expected]) => ({ type: type.toString(16), hex, expected })))(
    'record type 0x$type is $expected',
    ({ hex, expected }) => {
      expect(clark(new NbfxReader(fromHex(hex)))).toBe(expected);
    },
  );

  // These stand in a parent here: an Array is several elements, and a document has one root.
  it('Comment (0x02) is passed over, before and inside the root', () => {
    expect(clark(new NbfxReader(fromHex('0207636F6D6D656E74 400172 0207636F6D6D656E74 01 0207636F6D6D656E74')))).toBe(
      '<r></>',
    );
  });

  it('Array (0x03) of Int16', () => {
    expect(clark(new NbfxReader(fromHex('400172 034003617272018B0333338888DDDD 01')))).toBe(
      '<r><arr>13107</><arr>-30584</><arr>-8739</></>',
    );
  });

  it('Array (0x03) of Bool', () => {
    expect(clark(new NbfxReader(fromHex('400172 03400361727201B5050100010001 01')))).toBe(
      '<r><arr>true</><arr>false</><arr>true</><arr>false</><arr>true</></>',
    );
  });
});
