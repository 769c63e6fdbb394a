// The OpenAI SDK for Node against Lazu: node uploads.mjs BASE_URL KEY FILE; the file goes in parts of 1 MiB, at once and backwards.
import fs from 'node:fs/promises';
import OpenAI, { toFile } from 'openai';

const [baseURL, apiKey, path] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const data = await fs.readFile(path);

const pending = await client.uploads.create({ filename: 'film.dat', bytes: data.length, mime_type: 'video/mp4', purpose: 'user_data' });
const places = Array.from({ length: Math.ceil(data.length / 2 ** 20) }, (_, n) => n * 2 ** 20).reverse();
const sent = await Promise.all(
  places.map(async (at) => client.uploads.parts.create(pending.id, { data: await toFile(data.subarray(at, at + 2 ** 20), 'part') })),
);
const completed = await client.uploads.complete(pending.id, { part_ids: sent.reverse().map((part) => part.id) });
const other = await client.uploads.create({ filename: 'no.dat', bytes: 5, mime_type: 'text/plain', purpose: 'user_data' });
const cancelled = await client.uploads.cancel(other.id);
let refused;
try {
  await client.uploads.parts.create(other.id, { data: await toFile(Buffer.from('late'), 'part') });
} catch (error) {
  refused = [error.constructor.name, error.status, error.code];
}
console.log(JSON.stringify({ pending, sent, completed, cancelled, refused }));
