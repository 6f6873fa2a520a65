import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import type { Schemas } from "@/api/client";
import { instanceQuery } from "@/api/queries";
import { type Sealed, submitSealed } from "@/sealing";
import type { Step } from "./progress";
import { useKeyScope } from "./scope";

interface Submission {
  key: string;
  provider: string;
  baseUrl: string;
  submit: (sealed: Sealed) => Promise<Schemas["StoredKeyView"]>;
}

/** Seals a key for whom it is and submits it; tells how far it is. The key is kept nowhere. */
export function useSubmitKey() {
  const queries = useQueryClient();
  const scope = useKeyScope();
  const [step, setStep] = useState<Step>();
  const mutation = useMutation({
    // The variables of a mutation stay in the cache while it lives there: a function, so that no key does.
    mutationFn: (take: () => Submission) => submitOne(take()),
    gcTime: 0,
    // Keys, and all that follows from them: which models may be called, who pays.
    onSuccess: () => queries.invalidateQueries({ queryKey: scope.listKey.slice(0, 2) }),
    onSettled: () => setStep(undefined),
  });
  const submitOne = async ({ key, provider, baseUrl, submit }: Submission) => {
    setStep("sealing");
    const { deployment_id } = await queries.ensureQueryData(instanceQuery);
    return submitSealed(
      key,
      { node: deployment_id, owner: scope.owner ?? deployment_id, provider, baseUrl },
      (sealed) => {
        setStep("probing");
        return submit(sealed);
      },
    );
  };
  return { ...mutation, step };
}
