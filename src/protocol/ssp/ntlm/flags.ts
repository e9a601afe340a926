/** NegotiateFlags (MS-NLMP 2.2.2.5), those that this client sends or reads. */

export const NegotiateFlag = {
  unicode: 0x0000_0001,
  requestTarget: 0x0000_0004,
  sign: 0x0000_0010,
  seal: 0x0000_0020,
  ntlm: 0x0000_0200,
  alwaysSign: 0x0000_8000,
  extendedSessionSecurity: 0x0008_0000,
  targetInfo: 0x0080_0000,
  version: 0x0200_0000,
  key128: 0x2000_0000,
  keyExchange: 0x4000_0000,
} as const;

/** What NEGOTIATE asks for. 56-bit and LM keys are not among it: nothing weaker than 128 bits is ever agreed to. */
export const CLIENT_FLAGS =
  NegotiateFlag.unicode |
  NegotiateFlag.requestTarget |
  NegotiateFlag.sign |
  NegotiateFlag.seal |
  NegotiateFlag.ntlm |
  NegotiateFlag.alwaysSign |
  NegotiateFlag.extendedSessionSecurity |
  NegotiateFlag.targetInfo |
  NegotiateFlag.version |
  NegotiateFlag.key128 |
  NegotiateFlag.keyExchange;

/** Without each of these there is no NTLMv2 with 128-bit sealing. */
export const REQUIRED_FLAGS = [
  ['unicode', 'NTLMSSP_NEGOTIATE_UNICODE'],
  ['sign', 'NTLMSSP_NEGOTIATE_SIGN'],
  ['seal', 'NTLMSSP_NEGOTIATE_SEAL'],
  ['extendedSessionSecurity', 'NTLMSSP_NEGOTIATE_EXTENDED_SESSIONSECURITY'],
  ['targetInfo', 'NTLMSSP_NEGOTIATE_TARGET_INFO'],
  ['key128', 'NTLMSSP_NEGOTIATE_128'],
] as const satisfies readonly (readonly [keyof typeof NegotiateFlag, string])[];
