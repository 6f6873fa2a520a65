import { Badge, type Tone } from "@/ui/Badge";
import type { Status } from "./runs";

const SHOWN: Record<Status, [string, Tone]> = {
  pending: ["Waiting", "neutral"],
  running: ["Running", "accent"],
  succeeded: ["Succeeded", "ok"],
  failed: ["Failed", "bad"],
  cancelled: ["Cancelled", "warn"],
};

/** How far a run, or a step of it, has come. */
export function StatusBadge({ status }: { status: Status }) {
  const [word, tone] = SHOWN[status];
  return <Badge tone={tone}>{word}</Badge>;
}
