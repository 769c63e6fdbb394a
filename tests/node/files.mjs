// The OpenAI SDK for Node against Lazu: node files.mjs BASE_URL KEY FILE; prints what it saw as one line of JSON.
import fs from 'node:fs';
import OpenAI, { toFile } from 'openai';

const [baseURL, apiKey, path] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });

const streamed = await client.files.create({ file: fs.createReadStream(path), purpose: 'user_data' });
const buffered = await client.files.create({ file: await toFile(Buffer.from('from a buffer'), 'b.txt'), purpose: 'user_data' });
const content = await (await client.files.content(streamed.id)).text();
const listed = [];
for await (const file of client.files.list({ limit: 1 })) listed.push(file.id);
const retrieved = await client.files.retrieve(buffered.id);
const deleted = await client.files.delete(buffered.id);
let missing;
try {
  await client.files.retrieve(buffered.id);
} catch (error) {
  missing = [error.constructor.name, error.status, error.code];
}
console.log(JSON.stringify({ streamed, buffered, content, listed, retrieved, deleted, missing }));
