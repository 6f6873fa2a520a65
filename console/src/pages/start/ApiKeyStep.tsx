import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { api, ok } from "@/api/client";
import { apiKeysQuery } from "@/pages/api-keys/queries";
import { useWorkspace } from "@/shell/workspace";
import { Button, buttonClass } from "@/ui/Button";
import { CodeBlock } from "@/ui/Copy";
import { ErrorNote } from "@/ui/ErrorNote";

/** Mints a key that calls models, and shows it this once, in the examples below too. */
export function ApiKeyStep({
  minted,
  usable,
  onMinted,
}: {
  minted: string | undefined;
  usable: boolean;
  onMinted: (key: string) => void;
}) {
  const workspace = useWorkspace();
  const queries = useQueryClient();
  const mint = useMutation({
    mutationFn: async () => {
      const params = { path: { workspace_id: workspace.id } };
      const body = { name: "first steps", scopes: ["inference:invoke" as const] };
      const { key } = await ok(api.POST("/api/v1/workspaces/{workspace_id}/api-keys", { params, body }));
      onMinted(key);
    },
    onSuccess: () => queries.invalidateQueries(apiKeysQuery(workspace.id)),
  });
  if (minted) {
    return (
      <div className="flex flex-col gap-2">
        <CodeBlock wrap name="API key" text={minted} />
        <p className="text-xs text-soft">Shown this once. The examples below have it in them.</p>
      </div>
    );
  }
  return (
    <div className="flex flex-col items-start gap-3">
      <p className="max-w-2xl text-soft">
        {usable
          ? "This workspace has API keys. They cannot be shown again; mint another if you kept none."
          : "Your program sends it in the place of a provider's key. It calls models, and does nothing else."}
      </p>
      {mint.isError && <ErrorNote error={mint.error} />}
      <div className="flex flex-wrap gap-2">
        <Button look={usable ? "secondary" : "primary"} busy={mint.isPending} onClick={() => mint.mutate()}>
          Mint an API key
        </Button>
        {usable && (
          <Link to={`/w/${workspace.id}/api-keys`} className={buttonClass("quiet")}>
            See all API keys
          </Link>
        )}
      </div>
    </div>
  );
}
