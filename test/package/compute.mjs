// What a user's program does with the installed package: its last argument is a list of credentials to derive, its
// output what came of it. Run in the folder that the package was installed in.
import { createHasher, formatCredential, parseCredential } from 'phsync';

const vectors = JSON.parse(process.argv.at(-1));
const hasher = createHasher({ threads: 2 });
const texts = [];
for (const { password, salt, iterations } of vectors) {
  const options = { salt: new Uint8Array(Buffer.from(salt, 'hex')), iterations };
  texts.push(formatCredential(await hasher.derive(hasher.ntHash(password), options)));
}
const { digests } = await hasher.deriveBatch({
  ntHashes: new Uint8Array(Buffer.concat(vectors.map(({ ntHash }) => Buffer.from(ntHash, 'hex')))),
  salts: new Uint8Array(Buffer.concat(vectors.map(({ salt }) => Buffer.from(salt, 'hex')))),
});
const verified = await Promise.all(texts.map((text, i) => hasher.verify(parseCredential(text), vectors[i].password)));
const refused = await Promise.all(texts.map((text) => hasher.verify(text, 'another password')));
await hasher.close();
console.log(
  JSON.stringify({ info: hasher.info, texts, digests: Buffer.from(digests).toString('hex'), verified, refused }),
);
