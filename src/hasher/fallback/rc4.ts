/** RC4 (the stream cipher of MS-DRSR 4.1.10.6.13; test vectors in RFC 6229). */

/** Encrypts or decrypts `input` into `output` of the same length. Wipes its state; all three arrays are the caller's. */
export function rc4(key: Uint8Array, input: Uint8Array, output: Uint8Array): void {
  const S = new Uint8Array(256);
  for (let i = 0; i < 256; i++) S[i] = i;
  for (let i = 0, j = 0; i < 256; i++) {
    const Si = S[i]!;
    j = (j + Si + key[i % key.length]!) & 255;
    S[i] = S[j]!;
    S[j] = Si;
  }
  for (let n = 0, i = 0, j = 0; n < input.length; n++) {
    i = (i + 1) & 255;
    const Si = S[i]!;
    j = (j + Si) & 255;
    const Sj = S[j]!;
    S[i] = Sj;
    S[j] = Si;
    output[n] = input[n]! ^ S[(Si + Sj) & 255]!;
  }
  S.fill(0);
}
