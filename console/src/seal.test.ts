import { readFileSync } from "node:fs";
import sodium from "libsodium-wrappers";
import { beforeAll, describe, expect, it } from "vitest";
import { type BoxContext, boxContent, checkedPublicKey, kekId, keyFault, SealError, sealBytes, sealKey } from "./seal";

const format =
  readFileSync(new URL("../../docs/vault-format.md", import.meta.url), "utf8").split("## Test vectors")[1] ?? "";
const vector = (name: string) => {
  const value = new RegExp(`^${name} = (.*)$`, "m").exec(format)?.[1];
  if (value === undefined) throw new Error(`no vector ${name}`);
  return value;
};
const hex = (text: string) => Uint8Array.from(Buffer.from(text, "hex"));
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");
const context = (): BoxContext => {
  const content = JSON.parse(vector("v1_content"));
  return {
    node: content.node,
    owner: content.ws,
    provider: content.provider,
    baseUrl: content.base_url,
    issuedAt: content.iat,
    jti: content.jti,
  };
};

beforeAll(() => sodium.ready);

describe("the documented vectors", () => {
  const publicKey = hex(vector("seal_public"));

  it("give the same fingerprint", () => {
    expect(kekId(publicKey)).toBe(vector("kek_id"));
  });

  it("give the same content, padded to whole steps", () => {
    const content = boxContent(vector("key"), context());
    expect(new TextDecoder().decode(content).trimEnd()).toBe(vector("v1_content"));
    expect(content.length).toBe(Number(vector("v1_content_bytes")));
  });

  it("give the same boxes, byte for byte", () => {
    const ephemeral = () => hex(vector("ephemeral_private"));
    const raw = sealBytes(publicKey, new TextEncoder().encode(vector("key")), ephemeral());
    expect(base64(raw)).toBe(vector("raw_box"));
    const v1 = sealBytes(publicKey, boxContent(vector("key"), context()), ephemeral());
    expect(base64(v1)).toBe(vector("v1_box"));
  });
});

describe("libsodium", () => {
  it("opens what is sealed here, whatever its length", () => {
    const pair = sodium.crypto_box_keypair();
    for (const length of [0, 1, 15, 16, 17, 255, 256, 257, 4096]) {
      const content = sodium.randombytes_buf(length);
      const opened = sodium.crypto_box_seal_open(sealBytes(pair.publicKey, content), pair.publicKey, pair.privateKey);
      expect(base64(opened)).toBe(base64(content));
    }
  });

  it("opens a sealed provider key with its context, and each time another box", () => {
    const pair = sodium.crypto_box_keypair();
    const to = { kekId: kekId(pair.publicKey), publicKey: base64(pair.publicKey) };
    const key = "sk-proj-0123456789abcdefghijWXYZ";
    const one = sealKey(to, key, context());
    expect(sealKey(to, key, context())).not.toBe(one);
    const bytes = Uint8Array.from(Buffer.from(one, "base64"));
    const opened = sodium.crypto_box_seal_open(bytes, pair.publicKey, pair.privateKey, "text");
    expect(JSON.parse(opened).key).toBe(key);
    expect(opened.length % 256).toBe(0);
  });
});

describe("a server that is broken or hostile", () => {
  it("gets no box for an id that is not the key's fingerprint", () => {
    const pair = sodium.crypto_box_keypair();
    const to = { kekId: "00".repeat(16), publicKey: base64(pair.publicKey) };
    expect(() => sealKey(to, "sk-0123456789abcdef", context())).toThrow(SealError);
  });

  it("gets no box for a key of low order, to which anybody could open", () => {
    // T30
    const lowOrder = [
      "00".repeat(32),
      `01${"00".repeat(31)}`,
      "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
      "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
      "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    for (const point of lowOrder) {
      const bytes = hex(point);
      const to = { kekId: kekId(bytes), publicKey: base64(bytes) };
      expect(() => sealKey(to, "sk-0123456789abcdef", context()), point).toThrow(SealError);
    }
  });

  it("gets no box for a key of another length", () => {
    const bytes = new Uint8Array(31).fill(7);
    expect(() => checkedPublicKey({ kekId: kekId(bytes), publicKey: base64(bytes) })).toThrow(SealError);
    expect(() => checkedPublicKey({ kekId: "", publicKey: "*" })).toThrow(SealError);
  });
});

describe("what is pasted", () => {
  it("is a key or is told what is wrong with it, without being repeated", () => {
    expect(keyFault("sk-proj-0123456789_abc.DEF")).toBeUndefined();
    for (const bad of [
      "",
      "short",
      "sk-with blank 0123",
      "sk-line\nbreak-0123",
      'sk-"quoted"-0123',
      "sk-`-0123456",
      "sk-ключ-0123456",
      "x".repeat(4097),
    ]) {
      const fault = keyFault(bad);
      expect(fault, bad).toBeDefined();
      if (bad.length > 5) expect(fault).not.toContain(bad);
    }
  });
});
