/** What pages call to seal a provider key: fetches the sealing key, checks it, and seals in a worker. */
import { api, ok } from "./api/client";
import { ApiError } from "./api/error";
import type { BoxContext, SealingKey } from "./seal";
import workerUrl from "./seal.worker.ts?worker&url";

/** What the worker is asked. */
export type WorkerQuestion =
  | { kind: "fingerprint"; to: SealingKey }
  | { kind: "seal"; to: SealingKey; key: string; context: BoxContext };

/** What the worker answers; never the key. */
export type WorkerAnswer = { ok: true; fingerprint: string; box: string } | { ok: false; message: string };

/** What a submission says beside what it is for. */
export interface Sealed {
  kek_id: string;
  ciphertext_b64: string;
}

/** What a key is sealed for. */
interface SealFor {
  /** The installation's id. */
  node: string;
  /** The id of the workspace or account, or of the installation for a platform key. */
  owner: string;
  provider: string;
  baseUrl: string;
}

/** The server's sealing key, whose fingerprint was computed here and is the one that the server claims. */
export async function fetchSealingKey(signal?: AbortSignal): Promise<SealingKey> {
  const answer = await ok(api.GET("/v1/byok/encryption-pubkey", { signal, cache: "no-store" }));
  const to = { kekId: answer.kek_id, publicKey: answer.public_key };
  await ask({ kind: "fingerprint", to });
  return to;
}

/** Seals a key for its place. The key goes to the worker and nowhere else. */
async function sealForServer(to: SealingKey, key: string, what: SealFor): Promise<Sealed> {
  const random = crypto.getRandomValues(new Uint8Array(16));
  const context: BoxContext = {
    ...what,
    issuedAt: Math.floor(Date.now() / 1000),
    jti: Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join(""),
  };
  const box = await ask({ kind: "seal", to, key, context });
  return { kek_id: to.kekId, ciphertext_b64: box };
}

/**
 * Seals and submits. Where the sealing key was replaced in between, the server says so, and the key is sealed anew to
 * the new one, once.
 */
export async function submitSealed<T>(key: string, what: SealFor, submit: (sealed: Sealed) => Promise<T>): Promise<T> {
  try {
    return await submit(await sealForServer(await fetchSealingKey(), key, what));
  } catch (error) {
    if (!(error instanceof ApiError && error.code === "stale_kek")) throw error;
    return await submit(await sealForServer(await fetchSealingKey(), key, what));
  }
}

/** The spelling of a base URL that is sealed and bound: as the URL parser prints it, without a slash at the end. */
export function canonicalBaseUrl(text: string): string {
  return new URL(text.trim()).href.replace(/\/+$/, "");
}

function ask(question: WorkerQuestion): Promise<string> {
  const worker = new Worker(trusted(workerUrl), { type: "module", name: "seal" });
  return new Promise<string>((resolve, reject) => {
    worker.onmessage = ({ data }: MessageEvent<WorkerAnswer>) => {
      if (data.ok) resolve(data.box);
      else reject(new ApiError(0, { code: "not_sealed", detail: data.message, hint: HINT }));
    };
    worker.onerror = () =>
      reject(new ApiError(0, { code: "not_sealed", detail: "the sealing worker did not start", hint: HINT }));
    worker.postMessage(question);
  }).finally(() => worker.terminate());
}

const HINT = "Nothing was sent. Reload the page; if it stays, tell the admin of this instance.";

/** The pages' policy demands a trusted type for the address of a script; this one makes exactly one address. */
const policy = window.trustedTypes?.createPolicy("keybearer-worker", {
  createScriptURL: (url) => {
    if (url !== workerUrl) throw new TypeError("not the address of the worker");
    return url;
  },
});

function trusted(url: string): string {
  // The type of `Worker` in lib.dom knows no trusted types yet.
  return (policy?.createScriptURL(url) as unknown as string | undefined) ?? url;
}
