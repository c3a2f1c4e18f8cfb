import js from "@eslint/js";
import globals from "globals";

export default [
  { ignores: ["static/", "node_modules/"] },
  js.configs.recommended,
  {
    rules: {
      eqeqeq: "error",
      "no-var": "error",
      "prefer-const": ["error", { destructuring: "all" }],
    },
    linterOptions: { reportUnusedDisableDirectives: "error" },
  },
  { files: ["src/**/*.js"], languageOptions: { globals: { ...globals.browser, Plotly: "readonly" } } },
  { files: ["*.js", "test/**/*.js"], languageOptions: { globals: globals.node } },
];
