import { useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useState } from "react";

/** A text that narrows a list and stands in the address as `name`: what is typed, and what the list shows by now. */
export function useSearchText(name: string): { typed: string; text: string; type: (text: string) => void } {
  const search = useSearch({ strict: false }) as Record<string, unknown>;
  const text = typeof search[name] === "string" || typeof search[name] === "number" ? String(search[name]) : "";
  const navigate = useNavigate();
  const [typed, setTyped] = useState(text);
  // Another address, by a link or by going back, has its own text. One that was written here has what was typed then.
  const [written, setWritten] = useState(text);
  const [seen, setSeen] = useState(text);
  if (seen !== text) {
    setSeen(text);
    if (text !== written) setTyped(text);
  }
  useEffect(() => {
    if (typed.trim() === text) return;
    const timer = setTimeout(() => {
      const next = (before: Record<string, unknown>) => {
        const { [name]: _, ...rest } = before;
        return typed.trim() === "" ? rest : { ...rest, [name]: typed.trim() };
      };
      setWritten(typed.trim());
      navigate({ to: ".", search: next as never, replace: true, resetScroll: false });
    }, 250);
    return () => clearTimeout(timer);
  }, [typed, text, name, navigate]);
  return { typed, text, type: setTyped };
}
