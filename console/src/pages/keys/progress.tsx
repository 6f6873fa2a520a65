import { Check } from "lucide-react";
import { Spinner } from "@/ui/Spinner";

/** How far a submission is. */
export type Step = "sealing" | "probing";

/** Says what is happening with the key. */
export function Progress({ step, provider }: { step: Step; provider: string }) {
  return (
    <ol role="status" className="flex flex-col gap-2 rounded-md bg-sunken px-3 py-2.5 text-sm">
      <li className="flex items-center gap-2">
        {step === "sealing" ? <Spinner /> : <Check aria-hidden="true" size={14} className="text-ok" />}
        {step === "sealing" ? "Sealing the key in this browser" : "Sealed in this browser"}
      </li>
      <li className={step === "sealing" ? "flex items-center gap-2 text-soft" : "flex items-center gap-2"}>
        {step === "sealing" ? <span className="size-3.5" /> : <Spinner />}
        Trying it at {provider}
      </li>
    </ol>
  );
}
