// Build what is served: the loader that each widget brings along, and the page. Both are committed.
// Usage: node build.js [folder]

import { build } from "esbuild";

const outdir = process.argv[2] ?? "static";
const common = { bundle: true, charset: "utf8", target: "es2022", loader: { ".css": "text" }, logLevel: "warning", outdir };
const banner = { js: "// Built from hessview/page/src by `npm run build`; do not edit." };

await build({ ...common, banner, entryPoints: ["src/loader.js"], format: "esm" });
// One name, from which module.py exports what each shell of the page needs.
await build({ ...common, banner, entryPoints: ["src/page.js"], format: "iife", globalName: "hessview" });
