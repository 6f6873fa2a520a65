import { readdir, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

const server = process.env.KEYBEARER_URL ?? "http://127.0.0.1:4356";

/** Compresses what was built, so that neither cargo nor the running server has to. */
function compressed(): Plugin {
  let directory = "";
  return {
    name: "keybearer-compressed",
    apply: "build",
    configResolved(config) {
      directory = resolve(config.root, config.build.outDir);
    },
    async closeBundle() {
      for (const name of await readdir(directory, { recursive: true })) {
        if (!/\.(js|css|html|svg)$/.test(name)) continue;
        const path = join(directory, name);
        const bytes = await readFile(path);
        const brotli = { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } };
        await writeFile(`${path}.br`, brotliCompressSync(bytes, brotli));
        await writeFile(`${path}.gz`, gzipSync(bytes, { level: 9 }));
      }
    },
  };
}

export default defineConfig({
  base: "/console/",
  logLevel: "warn",
  plugins: [react(), tailwindcss(), compressed()],
  resolve: { alias: { "@": resolve(import.meta.dirname, "src") } },
  build: {
    target: "es2022",
    // An inlined file would be a `data:` URL, which the policy of the pages refuses for everything but pictures.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    // The licences of what is bundled ask to be shipped with it.
    license: { fileName: "licenses.md" },
  },
  worker: { format: "es" },
  server: { proxy: { "/api": server, "/v1": server } },
  test: { include: ["src/**/*.test.ts"], environment: "node" },
});
