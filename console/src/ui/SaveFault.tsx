import { ErrorNote } from "./ErrorNote";
import { Note } from "./Note";

/** Why a guarded form was not saved: somebody else was faster (`theirs`, by the names of the fields), or the error. */
export function SaveFault({
  what,
  theirs,
  error,
}: {
  /** What the form changes, as in `plan`. */
  what: string;
  theirs: string[] | undefined;
  error: unknown;
}) {
  if (!theirs) return error ? <ErrorNote error={error} /> : null;
  return (
    <Note tone="warn">
      Somebody else changed this {what} meanwhile; nothing was saved.{" "}
      {theirs.length === 0
        ? "The form now has their changes beside yours."
        : `The form now has their changes beside yours, except where both of you changed the same: ${theirs.join(", ")}. There it has yours.`}{" "}
      Save again if it is right so.
    </Note>
  );
}
