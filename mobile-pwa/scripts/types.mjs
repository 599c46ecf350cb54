// Makes src/api/api.gen.ts from docs/openapi.json. `--check`: fails if it is not current.
import { readFileSync, writeFileSync } from "node:fs";

const source = new URL("../../docs/openapi.json", import.meta.url);
const target = new URL("../src/api/api.gen.ts", import.meta.url);
const document = JSON.parse(readFileSync(source, "utf8"));

const METHODS = ["get", "post", "put", "patch", "delete"];

/** A schema as a TypeScript type. */
function type(schema) {
  if (!schema || schema === true) return "unknown";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  const choice = schema.oneOf ?? schema.anyOf;
  if (choice) return [...new Set(choice.map(type))].join(" | ");
  if (schema.allOf) return schema.allOf.map(type).join(" & ");
  const kinds = [schema.type ?? "object"].flat();
  return [...new Set(kinds.map((kind) => plain(kind, schema)))].join(" | ");
}

function plain(kind, schema) {
  switch (kind) {
    case "string":
      return "string";
    case "integer":
    case "number":
      return "number";
    case "boolean":
      return "boolean";
    case "null":
      return "null";
    case "array":
      if (schema.prefixItems) return `[${schema.prefixItems.map(type).join(", ")}]`;
      return list(type(schema.items));
    default:
      return object(schema);
  }
}

const list = (of) => (/[|& ]/.test(of) ? `Array<${of}>` : `${of}[]`);

function object(schema, indent = "  ") {
  const properties = Object.entries(schema.properties ?? {});
  if (properties.length === 0) {
    const rest = schema.additionalProperties;
    return rest && rest !== true ? `Record<string, ${type(rest)}>` : "Record<string, unknown>";
  }
  const required = new Set(schema.required ?? []);
  const lines = properties.map(([name, of]) => {
    const told = of.description ?? of.oneOf?.find((one) => one.description)?.description;
    const comment = told ? `${indent}/** ${oneLine(told)} */\n` : "";
    return `${comment}${indent}${key(name)}${required.has(name) ? "" : "?"}: ${type(of)};\n`;
  });
  return `{\n${lines.join("")}${indent.slice(2)}}`;
}

const key = (name) => (/^[A-Za-z_]\w*$/.test(name) ? name : JSON.stringify(name));
const oneLine = (text) => text.replaceAll("*/", "* /").replace(/\s+/g, " ").trim();

function declaration(name, schema) {
  const comment = schema.description ? `/** ${oneLine(schema.description)} */\n` : "";
  const whole = schema.properties && !schema.oneOf && !schema.allOf;
  return whole
    ? `${comment}export interface ${name} ${object(schema)}\n`
    : `${comment}export type ${name} = ${type(schema)};\n`;
}

/** What a call of this route takes and gives. */
function route(path, method, operation) {
  const query = (operation.parameters ?? []).filter(
    (it) => it.in !== "header" && it.in !== "cookie" && !path.includes(`{${it.name}}`),
  );
  const fields = query.map((it) => `${key(it.name)}?: ${type(it.schema)}`);
  const body = operation.requestBody?.content?.["application/json"]?.schema;
  const answers = Object.entries(operation.responses ?? {})
    .filter(([status]) => status.startsWith("2"))
    .map(([, answer]) => answer.content?.["application/json"]?.schema)
    .filter(Boolean)
    .map(type);
  const answer = answers.length > 0 ? [...new Set(answers)].join(" | ") : "null";
  const parts = [`answer: ${answer}`];
  if (fields.length > 0) parts.unshift(`query: { ${fields.join("; ")} }`);
  if (body) parts.unshift(`body: ${type(body)}`);
  return `  ${JSON.stringify(`${method} ${path}`)}: { ${parts.join("; ")} };\n`;
}

const schemas = Object.entries(document.components.schemas).map(([name, schema]) => declaration(name, schema));
const routes = Object.entries(document.paths).flatMap(([path, methods]) =>
  METHODS.filter((method) => methods[method]).map((method) => route(path, method, methods[method])),
);
const text = `// Made from docs/openapi.json by scripts/types.mjs; do not edit.

${schemas.join("\n")}
/** Every route: what it takes and what it answers. */
export interface Routes {
${routes.join("")}}
`;

if (process.argv.includes("--check")) {
  let have = "";
  try {
    have = readFileSync(target, "utf8");
  } catch {
    // Not there is not current.
  }
  if (have !== text) {
    console.error("mobile-pwa/src/api/api.gen.ts is not what docs/openapi.json says: npm run types");
    process.exit(1);
  }
} else {
  writeFileSync(target, text);
}
