/** Forms of what others may change meanwhile: an `etag` names the state that is shown, and nothing unseen is overwritten. */
import { useMutation } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { asApiError } from "./error";

/** A thing as a form shows it, and what names that state of it; `null` for a thing that is not there yet. */
export interface Tagged<F> {
  form: F;
  etag: string | null;
}

type IfMatch = { "if-match"?: string };

/**
 * What is typed into a form, and its way to the server. When somebody else was faster nothing is saved: the form then has
 * their changes beside one's own, and `theirs` are the fields that both changed, where it keeps one's own.
 */
export function useGuardedForm<F extends object, T>({
  first,
  readAgain,
  write,
  onSaved,
  setBusy,
  counts,
}: {
  first: Tagged<F>;
  readAgain: () => Promise<Tagged<F>>;
  /** `base` is what the form is the change of. */
  write: (form: F, base: F, header: IfMatch) => Promise<T>;
  onSaved: (saved: T) => Promise<void>;
  setBusy: (busy: boolean) => void;
  /** What of a form is told to the server, by its fields, where that is not the form itself. */
  counts?: (form: F) => Record<keyof F, unknown>;
}) {
  const [form, show] = useState(first.form);
  // What is typed while theirs is read counts, too.
  const typed = useRef(form);
  const setForm = (next: F) => {
    typed.current = next;
    show(next);
  };
  const [base, setBase] = useState(first);
  const [theirs, setTheirs] = useState<(keyof F)[]>();
  const catchUp = async () => {
    const now = await readAgain();
    const made = follow(typed.current, base.form, now.form, counts);
    setForm(made.form);
    setBase(now);
    setTheirs(made.theirs);
  };
  const save = useMutation({
    mutationFn: () => {
      setBusy(true);
      setTheirs(undefined);
      return write(form, base.form, base.etag ? { "if-match": base.etag } : {});
    },
    onSuccess: onSaved,
    // What is gone by now is what is said then.
    onError: (error) => (asApiError(error).code === "precondition_failed" ? catchUp().catch(() => {}) : undefined),
    onSettled: () => setBusy(false),
  });
  const set = (part: Partial<F>) => setForm({ ...typed.current, ...part });
  return { form, set, save, theirs };
}

/**
 * A form after somebody else changed what it shows: what was not edited here follows them, what was edited stays. `theirs`
 * are the fields that both changed, and to different ends.
 */
export function follow<F extends object>(
  form: F,
  base: F,
  now: F,
  counts: (form: F) => Record<keyof F, unknown> = (form) => form,
): { form: F; theirs: (keyof F)[] } {
  const differs = (one: F, other: F) => (field: keyof F) =>
    JSON.stringify(counts(one)[field]) !== JSON.stringify(counts(other)[field]);
  const edited = (Object.keys(form) as (keyof F)[]).filter(differs(form, base));
  const kept = Object.fromEntries(edited.map((field) => [field, form[field]]));
  const theirs = edited.filter(differs(base, now)).filter(differs(form, now));
  return { form: { ...now, ...kept }, theirs };
}
