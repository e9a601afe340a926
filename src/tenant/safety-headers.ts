/** Headers of every answer, whoever writes it. RFC 6797: TLS for a year; and nothing here is to be guessed at or framed. */

export const SAFETY_HEADERS = {
  'strict-transport-security': 'max-age=31536000',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
} as const;
