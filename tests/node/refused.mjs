// Uploads that must be refused, by the OpenAI SDK for Node with its own retries: node refused.mjs JOBS
// JOBS: JSON [{baseURL, apiKey, path, purpose, how: "stream" | "buffer"}]; prints [[status, code]] as one line of JSON.
import fs from 'node:fs';
import OpenAI, { toFile } from 'openai';

const seen = [];
for (const { baseURL, apiKey, path, purpose, how } of JSON.parse(process.argv[2])) {
  const client = new OpenAI({ baseURL, apiKey });
  try {
    const file = how === 'stream' ? fs.createReadStream(path) : await toFile(fs.readFileSync(path), 'a.dat');
    await client.files.create({ file, purpose });
    seen.push([200, null]);
  } catch (error) {
    seen.push([error.status ?? 0, error.code ?? String(error)]);
  }
}
console.log(JSON.stringify(seen));
