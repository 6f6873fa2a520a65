import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useState } from "react";
import { api, ok } from "@/api/client";
import { plural } from "@/format/number";
import { useWorkspace } from "@/shell/workspace";
import { Badge } from "@/ui/Badge";
import { Button } from "@/ui/Button";
import { ConfirmDialog } from "@/ui/ConfirmDialog";
import { ErrorState } from "@/ui/ErrorNote";
import { Section } from "@/ui/Page";
import { SkeletonRows } from "@/ui/Skeleton";
import { Cell, Table } from "@/ui/Table";
import { Time } from "@/ui/Time";
import { toast } from "@/ui/Toaster";
import { lineOf } from "./command";
import { RowActions } from "./parts";
import { type Service, servicesQuery } from "./queries";
import { ServiceDialog } from "./ServiceDialog";
import { MOST, RESTARTS } from "./words";

/** What is kept running. */
export function Services({ mayWrite }: { mayWrite: boolean }) {
  const workspace = useWorkspace();
  const queries = useQueryClient();
  const services = useQuery(servicesQuery(workspace.id));
  const [opened, setOpened] = useState<{ service?: Service }>();
  const [removing, setRemoving] = useState<Service>();
  const remove = async () => {
    if (!removing) return;
    const params = { path: { workspace_id: workspace.id, service_id: removing.id } };
    await ok(api.DELETE("/api/v1/workspaces/{workspace_id}/services/{service_id}", { params }));
    await queries.invalidateQueries(servicesQuery(workspace.id));
    toast(`The service ${removing.name} is removed`);
  };
  return (
    <Section
      title="Services"
      lead="Programs that are started, and started again as each of them says."
      actions={
        mayWrite && (
          <Button size="small" onClick={() => setOpened({})} disabled={(services.data?.length ?? 0) >= MOST}>
            <Plus aria-hidden="true" size={14} /> New service
          </Button>
        )
      }
    >
      {services.isPending ? (
        <SkeletonRows label="Loading the services" rows={2} />
      ) : services.isLoadingError ? (
        <ErrorState error={services.error} retry={() => services.refetch()} />
      ) : services.data.length === 0 ? (
        <p className="text-soft">None. Machines run the scripts alone.</p>
      ) : (
        <Table label="Services" head={["Service", "Command", "Started again", "Changed"]} actions>
          {services.data.map((service) => (
            <tr key={service.id}>
              <Cell>
                <span className="flex flex-wrap items-center gap-x-2">
                  <span className="font-medium wrap-anywhere">{service.name}</span>
                  {service.auto_enable ? (
                    <Badge tone="accent" title="keybearer workspace up starts it">
                      Starts by itself
                    </Badge>
                  ) : (
                    <Badge title="It is started by hand: keybearer workspace up leaves it out">Off</Badge>
                  )}
                </span>
              </Cell>
              <Cell className="max-w-80">
                <code className="font-mono text-xs wrap-anywhere">{lineOf(service.command)}</code>
                {Object.keys(service.env).length > 0 && (
                  <span className="block text-xs text-soft">
                    with {plural(Object.keys(service.env).length, "variable")}
                  </span>
                )}
              </Cell>
              <Cell>{RESTARTS[service.restart].label}</Cell>
              <Cell>
                <Time at={service.updated_at} />
              </Cell>
              <RowActions
                what="service"
                name={service.name}
                mayWrite={mayWrite}
                onOpen={() => setOpened({ service })}
                onRemove={() => setRemoving(service)}
              />
            </tr>
          ))}
        </Table>
      )}
      {opened && <ServiceDialog service={opened.service} mayWrite={mayWrite} onClose={() => setOpened(undefined)} />}
      <ConfirmDialog
        open={removing !== undefined}
        onClose={() => setRemoving(undefined)}
        title={`Remove the service ${removing?.name}?`}
        action="Remove service"
        danger
        onConfirm={remove}
      >
        <p>Where it runs it goes on, until the workspace is started again there.</p>
      </ConfirmDialog>
    </Section>
  );
}
