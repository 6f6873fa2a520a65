import type { Schemas } from "@/api/client";
import { bytes, count, milliseconds, percent, plural } from "@/format/number";
import type { Health } from "./queries";

type Key = Schemas["ProviderKeyView"];

interface Concern {
  /** `bad`: calls are refused, or soon will be. */
  tone: "warn" | "bad";
  text: string;
}

/** Changes are looked for each second, tidying is done each minute: after so long something is wrong. */
const CHANGES_LATE_MS = 10_000;
const TIDY_LATE_MS = 5 * 60_000;
const NEARLY = 0.8;

/** Whether the provider turned the key away after it last served. */
export function isFailing(key: Key): boolean {
  if (key.state !== "active" || !key.last_failure) return false;
  return !key.last_used_at || key.last_used_at <= key.last_failure.at;
}

/** What an admin should look at, the worst first. */
export function concernsOf(health: Health, keys: Key[]): Concern[] {
  const nowMs = health.read_at_ms;
  const found: Concern[] = [];
  const add = (tone: Concern["tone"], text: string) => found.push({ tone, text });
  const { traffic } = health;
  if (health.changes_read_ms_ago > CHANGES_LATE_MS) {
    const since = milliseconds(health.changes_read_ms_ago);
    add("bad", `The database has not answered for ${since}. Changes of other processes are not seen.`);
  }
  if (traffic && !traffic.spool_ready)
    add(
      "bad",
      "The disk did not take what was last written to the spool. Calls are refused with 503 usage_unavailable.",
    );
  if (traffic) {
    const { spool_bytes, spool_limit_bytes, calls, calls_limit } = traffic;
    const spool = spool_bytes / Math.max(1, spool_limit_bytes);
    if (spool >= NEARLY)
      add(
        spool >= 1 ? "bad" : "warn",
        `The spool is ${percent(spool)} full (${bytes(spool_bytes)}). When it is full, calls are refused; the database takes too long to catch up.`,
      );
    const running = calls / Math.max(1, calls_limit);
    if (running >= NEARLY)
      add(
        running >= 1 ? "bad" : "warn",
        `${count(calls)} of at most ${count(calls_limit)} calls run or wait to be written. Beyond that, calls are refused with 503 usage_unavailable.`,
      );
  }
  if (Date.parse(health.sealing_key_expires_at) < nowMs)
    add("warn", "The sealing key is past its time and was not replaced. Look at the log, or rotate it.");
  const tidied = Date.parse(health.tidied_at ?? health.started_at);
  if (nowMs - tidied > TIDY_LATE_MS)
    add("warn", "Nothing was tidied up for more than five minutes, which should happen each minute. Look at the log.");
  const failing = keys.filter(isFailing).length;
  if (failing > 0) {
    const many =
      failing === 1 ? "The provider turned 1 platform key" : `Providers turned ${plural(failing, "platform key")}`;
    add("warn", `${many} away when last tried. See below.`);
  }
  return found.sort((one, other) => Number(other.tone === "bad") - Number(one.tone === "bad"));
}
