/** Ask: a question about files to a model, the answer as it comes, and the same call to copy. */

import { ApiError, call, json, patiently, post, problem } from './api.js';
import { copy, find, iconButton, make, say } from './dom.js';
import { count } from './format.js';
import { summary, tile } from './glance.js';
import { body, SAMPLES } from './samples.js';
import { shelf } from './shelf.js';

/** Of the files that fit the filter, this many are offered. */
const OFFERED = 8;

const files = new Map();
let language = 'curl';
let stop = null;

export function start() {
	find('#ask-form').onsubmit = (event) => {
		event.preventDefault();
		if (stop) stop.abort();
		else ask();
	};
	find('#question').oninput = showSample;
	find('#question').onkeydown = (event) => event.key === 'Enter' && (event.ctrlKey || event.metaKey) && find('#ask-form').requestSubmit();
	find('#model').onchange = showSample;
	find('#offer-filter').oninput = offer;
	find('#copy-sample').onclick = () => copy(find('#sample').textContent, `The call for ${language}`);
	find('#retry-models').onclick = load;
	find('#languages').append(...Object.keys(SAMPLES).map(languageButton));
	shelf.addEventListener('change', () => find('#ask').hidden || show());
}

function languageButton(name) {
	const pick = () => {
		language = name;
		showSample();
	};
	return make('button', { type: 'button', className: 'quiet small', onclick: pick, 'data-language': name }, name);
}

/** Draw the view from what is loaded. */
export function show() {
	for (const id of files.keys()) if (!shelf.files.has(id)) files.delete(id);
	find('#asked-files').replaceChildren(...[...files.values()].map(chip));
	offer();
	showSample();
}

export function clear() {
	stop?.abort();
	files.clear();
	find('#answer').replaceChildren();
	find('#question').value = '';
	find('#model').replaceChildren();
	show();
}

/** Have `more` files in the question. */
export async function add(more) {
	for (const file of more) files.set(file.id, file);
	await Promise.all(more.map(learnType));
	show();
}

const types = new Map();

/** Whether a file goes as picture or as document depends on what it is, not on what it is called. */
async function learnType(file) {
	if (types.has(file.id)) return;
	const { headers } = await patiently(() => call(`/v1/files/${file.id}/content`, { method: 'HEAD' })).catch(() => ({ headers: new Headers() }));
	types.set(file.id, headers.get('content-type') ?? '');
}

const part = (file) => ({ type: /^image\/(png|jpeg|gif|webp)/.test(types.get(file.id)) ? 'input_image' : 'input_file', file_id: file.id });

/** Load the models; without a model server say what to set. */
export async function load() {
	const view = find('#ask');
	view.dataset.state = 'loading';
	try {
		const { data } = await json('/v1/models');
		const kept = find('#model').value;
		find('#model').replaceChildren(...data.map(({ id }) => make('option', { value: id, selected: id === kept }, id)));
		view.dataset.state = data.length ? 'ready' : 'broken';
		find('#broken p').textContent = 'The model server has no models.';
	} catch (e) {
		if (!(e instanceof ApiError)) throw e;
		view.dataset.state = e.code === 'upstream_not_configured' ? 'unset' : 'broken';
		find('#broken p').textContent = e.message;
	}
	show();
}

function chip(file) {
	const drop = () => {
		files.delete(file.id);
		show();
	};
	return make('li', {}, tile(file), make('span', { className: 'filename', title: summary(file) }, file.filename), iconButton('cross', `Leave ${file.filename} out`, drop));
}

function offer() {
	const text = find('#offer-filter').value.trim().toLowerCase();
	const fits = [...shelf.files.values()].filter((file) => !files.has(file.id) && file.filename.toLowerCase().includes(text)).sort((a, b) => (a.id < b.id ? 1 : -1));
	const button = (file) => make('button', { type: 'button', className: 'quiet', onclick: () => add([file]) }, tile(file), make('span', { className: 'filename' }, file.filename));
	find('#offered').replaceChildren(...fits.slice(0, OFFERED).map((file) => make('li', {}, button(file))));
	const more = fits.length - OFFERED;
	find('#offered-more').textContent = more > 0 ? `and ${count(more, 'more file')}` : shelf.files.size ? '' : 'No files yet: drop one anywhere on this page.';
}

const wanted = () => body(find('#model').value, find('#question').value.trim(), [...files.values()].map(part));

function showSample() {
	const sent = wanted();
	sent.model ||= 'MODEL';
	sent.input[0].content.at(-1).text ||= find('#question').placeholder;
	find('#sample').textContent = SAMPLES[language](location.origin, sent);
	for (const button of document.querySelectorAll('#languages button')) button.setAttribute('aria-pressed', button.dataset.language === language);
}

async function ask() {
	const sent = wanted();
	if (!sent.input[0].content.at(-1).text) {
		find('#question').focus();
		return;
	}
	const answer = find('#answer');
	answer.replaceChildren(make('p', { className: 'faint waiting' }, 'Waiting for the model …'));
	stop = new AbortController();
	turn(true);
	try {
		await stream({ ...sent, stream: true }, answer);
	} catch (e) {
		end(answer, e.name === 'AbortError' ? 'Stopped.' : e instanceof ApiError ? e.message : 'The answer broke off.');
	}
	stop = null;
	turn(false);
}

function turn(busy) {
	find('#ask-button').textContent = busy ? 'Stop' : 'Ask';
	find('#answer').setAttribute('aria-busy', busy);
}

const end = (answer, text) => {
	find('.waiting', answer)?.remove();
	answer.append(make('p', { className: 'problem', role: 'alert' }, text));
};

async function stream(sent, answer) {
	const response = await post('/v1/responses', sent, { signal: stop.signal });
	const text = make('div', { className: 'text' });
	answer.replaceChildren(text);
	if (!response.headers.get('content-type')?.startsWith('text/event-stream')) return whole(await response.json(), text);
	let finished = false;
	for await (const event of events(response.body)) {
		if (event.type === 'response.output_text.delta') text.append(event.delta);
		if (event.type === 'response.refusal.delta') text.append(event.delta);
		if (/^response\.(completed|incomplete)$/.test(event.type)) finished = true;
		if (event.type === 'response.failed' || event.type === 'error') throw problem(502, JSON.stringify({ error: event.response?.error ?? event.error ?? event }), new Headers());
	}
	if (!finished) throw new Error('no end');
	if (!text.textContent) text.append('The model said nothing.');
	say('The answer is complete');
}

/** The answer of a model server that does not stream. */
function whole(response, text) {
	const parts = response.output?.flatMap((item) => item.content ?? []) ?? [];
	text.append(parts.map((each) => each.text ?? each.refusal ?? '').join('') || 'The model said nothing.');
}

/** The server-sent events of `stream`, as JSON. */
async function* events(stream) {
	const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
	for (let rest = ''; ; ) {
		const { done, value } = await reader.read();
		if (done) return;
		const blocks = (rest + value).split(/\r?\n\r?\n/);
		rest = blocks.pop();
		for (const block of blocks) {
			const data = block.split(/\r?\n/).filter((line) => line.startsWith('data:')).map((line) => line.slice(5).trim()).join('\n');
			if (data && data !== '[DONE]') yield JSON.parse(data);
		}
	}
}
