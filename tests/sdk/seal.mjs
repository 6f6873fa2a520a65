// Seals standard input with libsodium and prints base64. The public key (base64) is the only argument.

import sodium from "libsodium-wrappers";

await sodium.ready;
const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const publicKey = sodium.from_base64(process.argv[2], sodium.base64_variants.ORIGINAL);
const sealed = sodium.crypto_box_seal(new Uint8Array(Buffer.concat(chunks)), publicKey);
process.stdout.write(sodium.to_base64(sealed, sodium.base64_variants.ORIGINAL));
