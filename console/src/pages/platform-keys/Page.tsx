import { useQuery } from "@tanstack/react-query";
import { SharedKeys } from "@/pages/keys/SharedKeys";
import { PLATFORM_SCOPE, platformKeysQuery } from "@/pages/keys/scope";

/** The keys with which the instance serves managed calls. */
export function Page() {
  return (
    <SharedKeys
      title="Platform keys"
      lead="Keys of the instance: they serve the calls of everybody that credits pay. They are sealed in your browser before they leave it, and no page or answer shows them again."
      scope={PLATFORM_SCOPE}
      keys={useQuery(platformKeysQuery)}
    />
  );
}
