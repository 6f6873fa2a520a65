import { useState } from "react";
import { useNewDialog } from "@/shell/newDialog";

/** Whether the dialog that takes a key in is open, and for which provider, if for one. */
export function useAddKey() {
  const [adding, setAdding] = useNewDialog();
  const [provider, setProvider] = useState<string>();
  return {
    adding,
    provider,
    add: (provider?: string) => {
      setProvider(provider);
      setAdding(true);
    },
    close: () => {
      setProvider(undefined);
      setAdding(false);
    },
  };
}
