// AI SDK: node ask_ai_sdk.mjs URL FILE MODEL prints what the model says of a file.
import { createOpenAI } from "@ai-sdk/openai";
import { generateText } from "ai";
import fs from "node:fs";
import path from "node:path";

const TYPES = { ".pdf": "application/pdf", ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document" };
const [url, name, model] = process.argv.slice(2);
const file = { type: "file", data: fs.readFileSync(name), filename: path.basename(name), mediaType: TYPES[path.extname(name)] };
const { text } = await generateText({
  model: createOpenAI({ baseURL: url, apiKey: "k" })(model),
  messages: [{ role: "user", content: [file, { type: "text", text: "What does the file say?" }] }],
  maxOutputTokens: 24,
  maxRetries: 0,
});
console.log(text);
