import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";

/** What an address has in its query to open a page's dialog for something new. */
export const NEW = { new: true };

/** Whether the page's dialog for something new is open: by its button, or by the address. */
export function useNewDialog(): [boolean, (open: boolean) => void] {
  const navigate = useNavigate();
  const isAsked = "new" in useSearch({ strict: false });
  const [isOpen, setOpen] = useState(false);
  const set = (open: boolean) => {
    setOpen(open);
    if (open || !isAsked) return;
    const rest = ({ new: _, ...others }: Record<string, unknown>) => others;
    navigate({ to: ".", search: rest as never, replace: true, resetScroll: false });
  };
  return [isOpen || isAsked, set];
}
