/** The call that the page makes, for curl, Python and Node: to paste and run. The key comes from the environment. */

/** The body of the request: `parts` are the files, by id. */
export function body(model, question, parts) {
	return { model, input: [{ role: 'user', content: [...parts, { type: 'input_text', text: question }] }] };
}

const indent = (text, by) => text.replaceAll('\n', `\n${by}`);

/** A quoted here-document: the shell changes nothing of it, and a line of JSON is never JSON alone. */
const curl = (origin, sent) => `curl ${origin}/v1/responses \\
  -H "Authorization: Bearer $LAZU_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d @- <<'JSON'
${JSON.stringify(sent, null, 2)}
JSON`;

/** A JSON string is a Python string too. */
const python = (origin, sent) => `import os

from openai import OpenAI

client = OpenAI(base_url="${origin}/v1", api_key=os.environ["LAZU_API_KEY"])

response = client.responses.create(
    model=${JSON.stringify(sent.model)},
    input=${indent(JSON.stringify(sent.input, null, 4), '    ')},
)
print(response.output_text)`;

const node = (origin, sent) => `import OpenAI from 'openai';

const client = new OpenAI({ baseURL: '${origin}/v1', apiKey: process.env.LAZU_API_KEY });

const response = await client.responses.create({
  model: ${JSON.stringify(sent.model)},
  input: ${indent(JSON.stringify(sent.input, null, 2), '  ')},
});
console.log(response.output_text);`;

export const SAMPLES = { curl, Python: python, Node: node };
