import { Lock } from "lucide-react";
import { EmptyState } from "@/ui/EmptyState";
import { PageBody } from "@/ui/Page";

/** In the place of a page that a member came to by its address. */
export function AdminsOnly({ title, what }: { title: string; what: string }) {
  return (
    <PageBody title={title}>
      <EmptyState icon={Lock} title="For admins of the workspace">
        {what} Ask an admin or the owner to look, or to make you an admin.
      </EmptyState>
    </PageBody>
  );
}
