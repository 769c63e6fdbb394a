/** The API as a page, made from /openapi.json: whatever that says is what is shown. */

import { button, copy, find, make } from './dom.js';

let api;

/** What a reference names, or the thing itself. */
const named = (thing) => (thing?.$ref ? thing.$ref.slice(2).split('/').reduce((at, name) => at[name], api) : thing ?? {});
const title = (thing) => thing?.$ref?.split('/').at(-1);

const code = (text, className = '') => make('code', { className }, text);

/** Words in backticks as code. */
const prose = (text = '') => text.split('`').map((word, i) => (i % 2 ? code(word) : word));

const heading = (name) => make('h2', { id: name }, name);

/** A schema in a few words. */
function type(given) {
	const schema = named(given);
	if (schema.const !== undefined) return JSON.stringify(schema.const);
	if (schema.enum) return schema.enum.map((each) => JSON.stringify(each)).join(' or ');
	if (schema.type === 'array') return `array of ${title(schema.items) ?? type(schema.items)}`;
	const kinds = title(given) ?? [schema.type ?? []].flat().join(' or ');
	const bounds = 'minimum' in schema || 'maximum' in schema ? `${schema.minimum ?? ''} to ${schema.maximum ?? ''}` : '';
	return [kinds, schema.format, bounds, 'default' in schema ? `default ${schema.default}` : ''].filter(Boolean).join(', ');
}

function table(heads, rows) {
	const line = (tag, cells) => make('tr', {}, ...cells.map((cell) => make(tag, {}, ...cell)));
	return make('table', {}, make('thead', {}, line('th', heads.map((each) => [each]))), make('tbody', {}, ...rows.map((row) => line('td', row))));
}

/** A table of parameters or fields, each a name, its schema and what it means; none of none. */
const meanings = (what, rows) => (rows.length ? [table([what, 'Type', 'Meaning'], rows.map(([name, schema, text]) => [[code(name)], [type(schema)], prose(text)]))] : []);

const fields = (what, schema) => meanings(what, Object.entries(named(schema).properties ?? {}).map(([name, each]) => [name, each, named(each).description]));

const bodies = (operation) => Object.entries(named(operation.requestBody).content ?? {});

/** The error codes that a response may carry. */
const codes = (response) => named(response.content?.['application/json']?.schema).allOf?.[1]?.properties?.error?.properties?.code?.enum ?? [];

function answers(operation) {
	const rows = Object.entries(operation.responses).map(([status, each]) => {
		const response = named(each);
		const headers = Object.entries(response.headers ?? {}).map(([name, header]) => ` \`${name}\`: ${named(header).description}`);
		return [[status.replace('default', 'other')], codes(response).map((name) => code(`${name} `)), prose(response.description + headers.join(''))];
	});
	return table(['Answer', 'Code', 'Meaning'], rows);
}

function asked(operation, item) {
	const parameters = [...(item.parameters ?? []), ...(operation.parameters ?? [])].map(named);
	const rows = parameters.map((each) => [each.name, each.schema, each.description]);
	return [...meanings('Parameter', rows), ...bodies(operation).flatMap(([kind, { schema }]) => fields(kind, schema))];
}

function curl(method, path, operation) {
	const [[kind, { schema }] = ['', {}]] = bodies(operation);
	const lines = [`curl ${method === 'get' ? '' : `-X ${method.toUpperCase()} `}${location.origin}${path}`];
	if (operation.security?.length !== 0) lines.push('-H "Authorization: Bearer $LAZU_API_KEY"');
	if (kind === 'multipart/form-data') for (const name of named(schema).required ?? []) lines.push(`-F ${name}=${name === 'purpose' ? 'user_data' : '@./paper.pdf'}`);
	if (kind === 'application/json') lines.push('-H "Content-Type: application/json"', '-d @request.json');
	return lines.join(' \\\n  ');
}

function section([method, path, item]) {
	const operation = item[method];
	const line = curl(method, path, operation);
	return make(
		'section',
		{ id: operation.operationId },
		make('h3', {}, code(method.toUpperCase(), `verb ${method}`), ' ', code(path)),
		make('p', {}, ...prose(`${operation.summary} ${operation.description ?? ''}`)),
		make('pre', {}, line),
		button('small', () => copy(line, 'The call'), {}, 'Copy'),
		...asked(operation, item),
		answers(operation),
	);
}

function show() {
	const all = Object.entries(api.paths).flatMap(([path, item]) => Object.keys(item).filter((name) => item[name].responses).map((method) => [method, path, item]));
	const mine = (tag) => all.filter(([method, , item]) => item[method].tags.includes(tag.name)).map(section);
	const objects = Object.entries(api.components.schemas).filter(([, schema]) => schema.properties);
	find('main').replaceChildren(
		make('h1', {}, `${api.info.title}: the API`),
		make('p', {}, ...prose(api.info.description)),
		...api.tags.flatMap((tag) => [heading(tag.name), make('p', {}, ...prose(tag.description)), ...mine(tag)]),
		heading('objects'),
		...objects.flatMap(([name, schema]) => [make('h3', {}, name), ...fields('Field', schema)]),
	);
	find('nav').append(...[...api.tags, { name: 'objects' }].map(({ name }) => make('a', { href: `#${name}` }, name)));
	if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

try {
	api = await (await fetch('/openapi.json')).json();
	show();
} catch {
	find('main').replaceChildren(make('p', { className: 'empty problem', role: 'alert' }, 'Lazu can’t be reached. Load this page again.'));
}
