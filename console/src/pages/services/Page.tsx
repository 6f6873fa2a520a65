import { isAtLeast, useWorkspace } from "@/shell/workspace";
import { CodeBlock } from "@/ui/Copy";
import { Note } from "@/ui/Note";
import { PageBody, Section } from "@/ui/Page";
import { Scripts } from "./Scripts";
import { Services } from "./Services";

/** What the machines of a workspace run. */
export function Page() {
  const workspace = useWorkspace();
  const mayWrite = isAtLeast(workspace.role, "admin");
  return (
    <PageBody
      title="Services"
      lead="What the machines of this workspace run: scripts that set a machine up, and services that are kept running, each with this gateway's address and a short-lived key."
    >
      <Note tone={mayWrite ? "warn" : "info"}>
        {mayWrite
          ? "What stands here runs as code on every machine that starts the workspace. Members can read all of it: it is no place for secrets."
          : "Admins of the workspace decide what stands here. It runs as code on every machine that starts the workspace."}
      </Note>
      <Scripts mayWrite={mayWrite} />
      <Services mayWrite={mayWrite} />
      <Section
        title="On a machine"
        lead="It shows what will run and asks, then runs the scripts in their order and starts the services that start by themselves. A change here reaches a machine at its next start."
      >
        <CodeBlock name="Start the workspace" text={`keybearer workspace up ${workspace.id}`} />
        <CodeBlock
          name="Or as units for systemd, or a Compose file"
          text={`keybearer workspace render ${workspace.id} --systemd --to DIRECTORY\nkeybearer workspace render ${workspace.id} --compose`}
        />
      </Section>
    </PageBody>
  );
}
