/** How long after a refusal a stream is asked for again; the pause doubles up to the longest one. */
const FIRST_PAUSE_MS = 2_000;
const LONGEST_PAUSE_MS = 60_000;

interface Listener {
  /** What to do with the data of an event, by the event's name. */
  on: Record<string, (data: string) => void>;
  /** The stream is there. `again`: it was away in between, so that events may be missing. */
  onOpen?: (again: boolean) => void;
  /** The stream is away; it is being asked for, or will be once the page is shown. */
  onLost?: () => void;
}

/**
 * Follows a stream of server-sent events until the function that it gives back is called. A browser comes back by itself
 * after a connection broke, and never after an answer that is no stream, such as 429, or 502 of a proxy whose server
 * starts: that is made good here.
 *
 * While the page is hidden there is no stream. Over HTTP/1.1 a browser opens six connections to one origin, for all of
 * its tabs together: six forgotten tabs would leave none for a call.
 */
export function followStream(url: string, { on, onOpen, onLost }: Listener): () => void {
  let source: EventSource | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let pause = FIRST_PAUSE_MS;
  /** Whether something may have happened that no stream told: what was loaded may be older than the stream. */
  let missed = false;
  const open = () => {
    const current = new EventSource(url);
    source = current;
    current.addEventListener("open", () => {
      pause = FIRST_PAUSE_MS;
      onOpen?.(missed);
      missed = true;
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
  const close = () => {
    clearTimeout(timer);
    source?.close();
    source = undefined;
  };
  const followOnlyWhileShown = () => {
    close();
    if (!document.hidden) {
      pause = FIRST_PAUSE_MS;
      open();
      return;
    }
    missed = true;
    onLost?.();
  };
  followOnlyWhileShown();
  document.addEventListener("visibilitychange", followOnlyWhileShown);
  return () => {
    document.removeEventListener("visibilitychange", followOnlyWhileShown);
    close();
  };
}
