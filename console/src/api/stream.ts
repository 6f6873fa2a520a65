/** How long after a refusal a stream is asked for again; the pause doubles up to the longest one. */
const FIRST_PAUSE_MS = 2_000;
const LONGEST_PAUSE_MS = 60_000;

interface Listener {
  /** What to do with the data of an event, by the event's name. */
  on: Record<string, (data: string) => void>;
  /** The stream is there. `again`: it was away in between, so that events may be missing. */
  onOpen?: (again: boolean) => void;
  /** The stream is away; it is being asked for. */
  onLost?: () => void;
}

/**
 * Follows a stream of server-sent events until the function that it gives back is called. A browser comes back by itself
 * after a connection broke, and never after an answer that is no stream, such as 429, or 502 of a proxy whose server
 * starts: that is made good here.
 */
export function followStream(url: string, { on, onOpen, onLost }: Listener): () => void {
  let source: EventSource | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let pause = FIRST_PAUSE_MS;
  let opened = false;
  const open = () => {
    const current = new EventSource(url);
    source = current;
    current.addEventListener("open", () => {
      pause = FIRST_PAUSE_MS;
      onOpen?.(opened);
      opened = true;
    });
    current.addEventListener("error", () => {
      onLost?.();
      if (current.readyState !== EventSource.CLOSED) return;
      timer = setTimeout(open, pause);
      pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
    });
    for (const [name, take] of Object.entries(on)) {
      current.addEventListener(name, (event: MessageEvent<string>) => take(event.data));
    }
  };
  open();
  return () => {
    clearTimeout(timer);
    source?.close();
  };
}
