/**
 * Sealed boxes, byte for byte those of libsodium's `crypto_box_seal`, with the content of version 1; docs/vault-format.md
 * has both. Pure functions; `seal.worker.ts` runs them away from the page, and `sealing.ts` is what pages call.
 */
import { hsalsa, xsalsa20poly1305 } from "@noble/ciphers/salsa.js";
import { x25519 } from "@noble/curves/ed25519.js";
import { blake2b } from "@noble/hashes/blake2.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, concatBytes, utf8ToBytes } from "@noble/hashes/utils.js";

/** What a box of version 1 says about itself, beside the key. */
export interface BoxContext {
  /** The installation that may open it. */
  node: string;
  /** Whose key it will be: a workspace, an account or, for a platform key, the installation. */
  owner: string;
  provider: string;
  /** Where the key may be sent, whole, as the URL parser prints it. */
  baseUrl: string;
  /** Unix time in whole seconds. */
  issuedAt: number;
  /** 32 lower-case hexadecimal digits, random; the server accepts them once. */
  jti: string;
}

/** The server's sealing key, as it is handed out. */
export interface SealingKey {
  kekId: string;
  /** X25519, in standard base64. */
  publicKey: string;
}

/** Why nothing was sealed. The message names no part of the key. */
export class SealError extends Error {
  override name = "SealError";
}

const STEP = 256;
const MOST_CHARS = 16_384;
/** What a provider key may consist of: visible ASCII without quotes, backslash and backtick. */
const KEY = /^[!#-&(-[\]-_a-~]{8,4096}$/;

/** Why a text cannot be a provider key; `undefined` when it can. */
export function keyFault(key: string): string | undefined {
  if (key === "") return "Paste the key.";
  if (KEY.test(key)) return undefined;
  if (/\s/.test(key)) return "A key has no blanks or line breaks; copy it again, and nothing else.";
  if (key.length < 8 || key.length > 4096) return "A key has 8 to 4096 characters.";
  return "A key has only letters, digits and plain signs, no quotes and no backslash.";
}

/** The fingerprint of a public sealing key. Never taken from the server: computed, and compared. */
export function kekId(publicKey: Uint8Array): string {
  return bytesToHex(sha256(concatBytes(utf8ToBytes("keybearer-seal-v1"), publicKey)).slice(0, 16));
}

/** The public key's bytes, after every check that a client can make. */
export function checkedPublicKey(key: SealingKey): Uint8Array {
  const bytes = fromBase64(key.publicKey);
  if (bytes.length !== 32) throw new SealError("the server's public key has the wrong length");
  if (kekId(bytes) !== key.kekId) throw new SealError("the server's public key does not match its id");
  return bytes;
}

/** The content of a box of version 1, padded. */
export function boxContent(key: string, context: BoxContext): Uint8Array {
  const text = JSON.stringify({
    v: 1,
    node: context.node,
    ws: context.owner,
    provider: context.provider,
    base_url: context.baseUrl,
    iat: context.issuedAt,
    jti: context.jti,
    key,
  });
  const bytes = utf8ToBytes(text);
  const padded = new Uint8Array(Math.ceil(bytes.length / STEP) * STEP).fill(0x20);
  padded.set(bytes);
  return padded;
}

/** Seals bytes to a public key. `ephemeral` is given by tests only and must never be used twice. */
export function sealBytes(publicKey: Uint8Array, content: Uint8Array, ephemeral?: Uint8Array): Uint8Array {
  const secret = ephemeral ?? crypto.getRandomValues(new Uint8Array(32));
  const ephemeralPublic = x25519.getPublicKey(secret);
  let shared: Uint8Array;
  try {
    shared = x25519.getSharedSecret(secret, publicKey);
  } catch {
    throw new SealError("the server's public key is not safe to seal to");
  }
  const key = boxKey(shared);
  const nonce = blake2b(concatBytes(ephemeralPublic, publicKey), { dkLen: 24 });
  const sealed = xsalsa20poly1305(key, nonce).encrypt(content);
  secret.fill(0);
  shared.fill(0);
  key.fill(0);
  return concatBytes(ephemeralPublic, sealed);
}

/** Seals a provider key with what it is for. The answer is padded standard base64. */
export function sealKey(to: SealingKey, key: string, context: BoxContext): string {
  const publicKey = checkedPublicKey(to);
  const fault = keyFault(key);
  if (fault) throw new SealError(fault);
  const content = boxContent(key, context);
  const box = toBase64(sealBytes(publicKey, content));
  content.fill(0);
  if (box.length > MOST_CHARS) throw new SealError("the base URL is too long");
  return box;
}

/** The key of `crypto_box`: HSalsa20 of the shared secret, with a nonce of zeros. */
function boxKey(shared: Uint8Array): Uint8Array {
  const words = (bytes: Uint8Array) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return Uint32Array.from({ length: bytes.length / 4 }, (_, index) => view.getUint32(index * 4, true));
  };
  const out = new Uint32Array(8);
  hsalsa(words(utf8ToBytes("expand 32-byte k")), words(shared), new Uint32Array(4), out);
  const key = new Uint8Array(32);
  const view = new DataView(key.buffer);
  out.forEach((word, index) => {
    view.setUint32(index * 4, word, true);
  });
  return key;
}

function fromBase64(text: string): Uint8Array {
  try {
    return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  } catch {
    throw new SealError("the server's public key is not base64");
  }
}

function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}
