import { queryOptions } from "@tanstack/react-query";
import { api, ok, type Schemas } from "@/api/client";

export type Script = Schemas["ScriptView"];
export type Service = Schemas["ServiceView"];

/** The scripts of a workspace in the order in which they run, without their texts. */
export const scriptsQuery = (workspace: string) =>
  queryOptions({
    queryKey: ["workspace", workspace, "scripts"],
    queryFn: async ({ signal }) => {
      const params = { path: { workspace_id: workspace } };
      return (await ok(api.GET("/api/v1/workspaces/{workspace_id}/scripts", { params, signal }))).data as Script[];
    },
  });

/** The services of a workspace, by name. */
export const servicesQuery = (workspace: string) =>
  queryOptions({
    queryKey: ["workspace", workspace, "services"],
    queryFn: async ({ signal }) => {
      const params = { path: { workspace_id: workspace } };
      return (await ok(api.GET("/api/v1/workspaces/{workspace_id}/services", { params, signal }))).data as Service[];
    },
  });

/** A script with its text, and what names its state. */
export async function fetchScript(workspace: string, script: string, signal?: AbortSignal) {
  const params = { path: { workspace_id: workspace, script_id: script } };
  const call = api.GET("/api/v1/workspaces/{workspace_id}/scripts/{script_id}", { params, signal });
  const read = await ok(call);
  return { script: read, etag: (await call).response.headers.get("etag") };
}

/** A service, and what names its state. */
export async function fetchService(workspace: string, service: string, signal?: AbortSignal) {
  const params = { path: { workspace_id: workspace, service_id: service } };
  const call = api.GET("/api/v1/workspaces/{workspace_id}/services/{service_id}", { params, signal });
  const read = await ok(call);
  return { service: read, etag: (await call).response.headers.get("etag") };
}
