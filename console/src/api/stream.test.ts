import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { followStream } from "./stream";

/** A stream whose other end is this test. */
class Source extends EventTarget {
  static readonly CLOSED = 2;
  static all: Source[] = [];
  readyState = 0;

  constructor() {
    super();
    Source.all.push(this);
  }

  opens() {
    this.readyState = 1;
    this.dispatchEvent(new Event("open"));
  }

  /** `forGood`: the answer was no stream, so that the browser does not come back. */
  breaks(forGood: boolean) {
    this.readyState = forGood ? 2 : 0;
    this.dispatchEvent(new Event("error"));
  }

  close() {
    this.readyState = 2;
  }
}

/** A page that can be hidden and shown. */
class Shown extends EventTarget {
  hidden = false;

  turn(hidden: boolean) {
    this.hidden = hidden;
    this.dispatchEvent(new Event("visibilitychange"));
  }
}

let shown: Shown;

beforeEach(() => {
  vi.useFakeTimers();
  shown = new Shown();
  vi.stubGlobal("document", shown);
  vi.stubGlobal("EventSource", Source);
  Source.all = [];
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

it("tells events, and comes back after a refusal with longer and longer pauses", () => {
  const told: string[] = [];
  const stop = followStream("/events", {
    on: { change: (data) => told.push(data) },
    onOpen: (again) => told.push(again ? "open again" : "open"),
    onLost: () => told.push("lost"),
  });
  const latest = () => Source.all.at(-1) as Source;
  latest().opens();
  latest().dispatchEvent(new MessageEvent("change", { data: "one" }));
  // A broken connection is the browser's to mend.
  latest().breaks(false);
  vi.advanceTimersByTime(120_000);
  expect(Source.all).toHaveLength(1);
  latest().opens();
  expect(told).toEqual(["open", "one", "lost", "open again"]);

  latest().breaks(true);
  vi.advanceTimersByTime(1_999);
  expect(Source.all).toHaveLength(1);
  vi.advanceTimersByTime(1);
  expect(Source.all).toHaveLength(2);
  latest().breaks(true);
  vi.advanceTimersByTime(3_999);
  expect(Source.all).toHaveLength(2);
  vi.advanceTimersByTime(1);
  latest().opens();
  latest().dispatchEvent(new MessageEvent("change", { data: "two" }));
  expect(told.slice(4)).toEqual(["lost", "lost", "open again", "two"]);

  latest().breaks(true);
  stop();
  vi.advanceTimersByTime(120_000);
  expect(Source.all).toHaveLength(3);
});

it("leaves its connection while the page is hidden, and says that something may be missing when it is back", () => {
  const told: string[] = [];
  const listener = {
    on: {},
    onOpen: (again: boolean) => told.push(again ? "open again" : "open"),
    onLost: () => told.push("lost"),
  };
  const stop = followStream("/events", listener);
  const [first] = Source.all;
  first?.opens();
  shown.turn(true);
  expect(first?.readyState).toBe(Source.CLOSED);
  vi.advanceTimersByTime(120_000);
  expect(Source.all).toHaveLength(1);
  shown.turn(false);
  expect(Source.all).toHaveLength(2);
  Source.all.at(-1)?.opens();
  expect(told).toEqual(["open", "lost", "open again"]);

  // Hidden while it waits after a refusal.
  Source.all.at(-1)?.breaks(true);
  shown.turn(true);
  vi.advanceTimersByTime(120_000);
  expect(Source.all).toHaveLength(2);
  stop();
  shown.turn(false);
  expect(Source.all).toHaveLength(2);
});

it("of a page that was opened in the background begins when it is shown, and what was loaded is read again", () => {
  const again: boolean[] = [];
  shown.hidden = true;
  const stop = followStream("/events", { on: {}, onOpen: (missed) => again.push(missed) });
  expect(Source.all).toHaveLength(0);
  shown.turn(false);
  Source.all.at(-1)?.opens();
  expect(again).toEqual([true]);
  stop();
});
