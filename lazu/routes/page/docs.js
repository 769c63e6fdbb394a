/** The API as a page, made from /openapi.json: whatever that says is what is shown. */

import { copy, find, make } from './dom.js';

let api;

const named = (thing) => (thing?.$ref ? thing.$ref.slice(2).split('/').reduce((at, name) => at[name], api) : thing ?? {});
const title = (thing) => thing?.$ref?.split('/').at(-1);

/** Words in backticks as code. */
const prose = (text = '') => text.split('`').map((word, i) => (i % 2 ? make('code', {}, word) : word));

/** A schema in a few words. */
function type(given) {
	const schema = named(given);
	const kinds = [schema.type ?? []].flat().join(' or ');
	if (schema.const !== undefined) return JSON.stringify(schema.const);
	if (schema.enum) return schema.enum.map((each) => JSON.stringify(each)).join(' or ');
	if (schema.type === 'array') return `array of ${title(schema.items) ?? type(schema.items)}`;
	const bounds = [schema.minimum ?? '', schema.maximum ?? ''].join(' to ');
	return [title(given) ?? kinds, schema.format, bounds === ' to ' ? '' : bounds, schema.default === undefined ? '' : `default ${schema.default}`].filter(Boolean).join(', ');
}

function table(heads, rows) {
	const line = (tag, cells) => make('tr', {}, ...cells.map((cell) => make(tag, {}, ...[cell].flat())));
	return make('table', {}, make('thead', {}, line('th', heads)), make('tbody', {}, ...rows.map((row) => line('td', row))));
}

const fields = (heading, schema) =>
	table([heading, 'Type', 'Meaning'], Object.entries(named(schema).properties ?? {}).map(([name, each]) => [make('code', {}, name), type(each), prose(named(each).description)]));

/** The error codes that a response may carry. */
const codes = (response) => named(response?.content?.['application/json']?.schema).allOf?.[1]?.properties?.error?.properties?.code?.enum ?? [];

function answers(operation) {
	const rows = Object.entries(operation.responses).map(([status, response]) => {
		const what = named(response);
		return [status === 'default' ? 'other' : status, codes(what).map((code) => make('code', {}, `${code} `)), prose(what.description)];
	});
	return table(['Answer', 'Code', 'Meaning'], rows);
}

function asked(operation, item) {
	const parameters = [...(item.parameters ?? []), ...(operation.parameters ?? [])].map(named);
	const shown = [];
	if (parameters.length) shown.push(table(['Parameter', 'Type', 'Meaning'], parameters.map((each) => [make('code', {}, each.name), type(each.schema), prose(each.description)])));
	for (const [kind, { schema }] of Object.entries(named(operation.requestBody).content ?? {})) {
		if (named(schema).properties) shown.push(fields(kind, schema));
	}
	return shown;
}

function curl(method, path, operation) {
	const kinds = Object.entries(named(operation.requestBody).content ?? {});
	const lines = [`curl ${method === 'get' ? '' : `-X ${method.toUpperCase()} `}${location.origin}${path}`];
	if (!operation.security || operation.security.length) lines.push('-H "Authorization: Bearer $LAZU_API_KEY"');
	if (kinds[0]?.[0] === 'multipart/form-data') for (const name of named(kinds[0][1].schema).required ?? []) lines.push(`-F ${name}=${name === 'purpose' ? 'user_data' : '@./paper.pdf'}`);
	if (kinds[0]?.[0] === 'application/json') lines.push('-H "Content-Type: application/json"', '-d @request.json');
	return lines.join(' \\\n  ');
}

function section(method, path, item) {
	const operation = item[method];
	const line = curl(method, path, operation);
	return make(
		'section',
		{ id: operation.operationId },
		make('h3', {}, make('code', { className: `verb ${method}` }, method.toUpperCase()), make('code', {}, path)),
		make('p', {}, ...prose(operation.summary), ...prose(operation.description && ` ${operation.description}`)),
		make('pre', {}, line),
		make('button', { type: 'button', className: 'small', onclick: () => copy(line, 'The call') }, 'Copy'),
		...asked(operation, item),
		answers(operation),
	);
}

function show() {
	const all = Object.entries(api.paths).flatMap(([path, item]) => Object.keys(item).filter((name) => item[name].responses).map((method) => [method, path, item]));
	const parts = [make('h1', {}, `${api.info.title}: the API`), make('p', {}, ...prose(api.info.description))];
	for (const tag of api.tags) {
		const mine = all.filter(([method, , item]) => item[method].tags.includes(tag.name));
		parts.push(make('h2', { id: tag.name }, tag.name), make('p', {}, ...prose(tag.description)), ...mine.map((each) => section(...each)));
		find('#tags').append(make('a', { href: `#${tag.name}` }, tag.name));
	}
	const objects = Object.entries(api.components.schemas).filter(([, schema]) => schema.properties);
	parts.push(make('h2', { id: 'objects' }, 'objects'), ...objects.flatMap(([name, schema]) => [make('h3', {}, name), fields('Field', schema)]));
	find('#tags').append(make('a', { href: '#objects' }, 'objects'));
	find('#api').replaceChildren(...parts);
	if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

try {
	api = await (await fetch('/openapi.json')).json();
	show();
} catch {
	find('#api').replaceChildren(make('p', { className: 'empty problem', role: 'alert' }, 'Lazu can’t be reached. Load this page again.'));
}
