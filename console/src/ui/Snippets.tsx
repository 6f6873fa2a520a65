import { CodeBlock } from "./Copy";
import { Tabs } from "./Tabs";

/**
 * How to call a model from here, ready to paste. `apiKey` stands in it where it is known, else the name of a variable,
 * which the first line for the shell sets.
 */
export function Snippets({ apiKey, model = "openai/gpt-5.4-nano" }: { apiKey?: string; model?: string }) {
  const origin = window.location.origin;
  const shellKey = apiKey ?? "$KEYBEARER_API_KEY";
  const curl = [
    ...(apiKey ? [] : ["export KEYBEARER_API_KEY='…'  # your API key", ""]),
    `curl ${origin}/v1/chat/completions \\`,
    `  -H "Authorization: Bearer ${shellKey}" \\`,
    '  -H "Content-Type: application/json" \\',
    `  -d '{"model": "${model}", "messages": [{"role": "user", "content": "Say hello."}]}'`,
  ];
  const python = [
    ...(apiKey ? [] : ["import os"]),
    "from openai import OpenAI",
    "",
    `client = OpenAI(base_url="${origin}/v1", api_key=${apiKey ? `"${apiKey}"` : 'os.environ["KEYBEARER_API_KEY"]'})`,
    "answer = client.chat.completions.create(",
    `    model="${model}",`,
    '    messages=[{"role": "user", "content": "Say hello."}],',
    ")",
    "print(answer.choices[0].message.content)",
  ];
  const typescript = [
    'import OpenAI from "openai";',
    "",
    "const client = new OpenAI({",
    `  baseURL: "${origin}/v1",`,
    `  apiKey: ${apiKey ? `"${apiKey}"` : "process.env.KEYBEARER_API_KEY"},`,
    "});",
    "const answer = await client.chat.completions.create({",
    `  model: "${model}",`,
    '  messages: [{ role: "user", content: "Say hello." }],',
    "});",
    "console.log(answer.choices[0].message.content);",
  ];
  const tab = (id: string, title: string, lines: string[]) => ({
    id,
    title,
    content: <CodeBlock name={title} text={lines.join("\n")} />,
  });
  return (
    <Tabs
      label="Ways to call a model"
      tabs={[tab("curl", "curl", curl), tab("python", "Python", python), tab("typescript", "TypeScript", typescript)]}
    />
  );
}
