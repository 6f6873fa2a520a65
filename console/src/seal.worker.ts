/** Seals keys away from the page. One worker seals one key and is ended, so that its memory goes with it. */
import { checkedPublicKey, kekId, SealError, sealKey } from "./seal";
import type { WorkerAnswer, WorkerQuestion } from "./sealing";

self.onmessage = (event: MessageEvent<WorkerQuestion>) => {
  self.postMessage(answer(event.data));
};

function answer(question: WorkerQuestion): WorkerAnswer {
  try {
    const fingerprint = kekId(checkedPublicKey(question.to));
    if (question.kind === "fingerprint") return { ok: true, fingerprint, box: "" };
    return { ok: true, fingerprint, box: sealKey(question.to, question.key, question.context) };
  } catch (error) {
    // Anything else could quote what it choked on.
    return { ok: false, message: error instanceof SealError ? error.message : "the key could not be sealed" };
  }
}
