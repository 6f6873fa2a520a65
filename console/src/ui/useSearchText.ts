import { useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useState } from "react";

/** A text that narrows a list and stands in the address as `name`: what is typed, and what the list shows by now. */
export function useSearchText(name: string): { typed: string; text: string; type: (text: string) => void } {
  const search = useSearch({ strict: false }) as Record<string, unknown>;
  const text = typeof search[name] === "string" || typeof search[name] === "number" ? String(search[name]) : "";
  const navigate = useNavigate();
  const [typed, setTyped] = useState(text);
  useEffect(() => {
    if (typed.trim() === text) return;
    const timer = setTimeout(() => {
      const next = typed.trim() === "" ? {} : { [name]: typed.trim() };
      navigate({ to: ".", search: next as never, replace: true });
    }, 250);
    return () => clearTimeout(timer);
  }, [typed, text, name, navigate]);
  return { typed, text, type: setTyped };
}
