import { SendHorizontal, Square } from "lucide-react";
import { type KeyboardEvent, useState } from "react";
import { Button } from "@/ui/Button";
import { inputClass } from "@/ui/Field";

/** Where the next message is written. Enter sends it; Shift and Enter begins a line. */
export function Composer({
  busy,
  ready,
  onSend,
  onStop,
}: {
  busy: boolean;
  /** Whether a message can be sent, beside that there is one. */
  ready: boolean;
  onSend: (text: string) => void;
  onStop: () => void;
}) {
  const [text, setText] = useState("");
  const send = () => {
    if (busy || !ready || text.trim() === "") return;
    onSend(text.trim());
    setText("");
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    send();
  };
  return (
    <form
      className="flex flex-col gap-2"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <div className="flex items-end gap-2">
        <textarea
          aria-label="Message"
          rows={3}
          className={`${inputClass} h-auto max-h-60 resize-y py-2`}
          placeholder="Ask something"
          value={text}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={onKeyDown}
        />
        {busy ? (
          <Button onClick={onStop}>
            <Square aria-hidden="true" size={14} /> Stop
          </Button>
        ) : (
          <Button type="submit" look="primary" disabled={!ready || text.trim() === ""}>
            <SendHorizontal aria-hidden="true" size={16} /> Send
          </Button>
        )}
      </div>
      <p className="text-xs text-soft">Enter sends; Shift and Enter begins a line.</p>
    </form>
  );
}
