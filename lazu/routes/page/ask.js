/** Ask: a question about files to a model, the answer as it comes, and the same call to copy. */

import { ApiError, call, json, patiently, post, problem } from './api.js';
import { button, copy, find, iconButton, make, say } from './dom.js';
import { glance } from './glance.js';
import { body, SAMPLES } from './samples.js';
import { shelf } from './shelf.js';

/** The newest files are offered; any other is chosen in the list of files. */
const OFFERED = 200;

const files = new Map();
const [question, model, answer] = ['#question', '#model', '#answer'].map((each) => find(each));
let language = 'curl';
let stop = null;

export function start() {
	const form = find('#ask-form');
	form.onsubmit = (event) => {
		event.preventDefault();
		if (stop) stop.abort();
		else ask();
	};
	question.oninput = model.onchange = showSample;
	question.addEventListener('keydown', (event) => event.key === 'Enter' && (event.ctrlKey || event.metaKey) && form.requestSubmit());
	find('#offered').onchange = (event) => add([shelf.files.get(event.target.value)]);
	find('#copy-sample').onclick = () => copy(find('#sample').textContent, `The call for ${language}`);
	find('#retry-models').onclick = load;
	find('#languages').append(...Object.keys(SAMPLES).map((name) => button('quiet small', () => showSample((language = name)), {}, name)));
	shelf.addEventListener('change', () => find('#ask').hidden || show());
}

/** Draw the view from what is loaded. */
function show() {
	for (const id of files.keys()) if (!shelf.files.has(id)) files.delete(id);
	find('#asked-files').replaceChildren(...[...files.values()].map(chip));
	offer();
	showSample();
}

export function clear() {
	stop?.abort();
	stop = null;
	turn('Ask');
	files.clear();
	answer.replaceChildren();
	question.value = '';
	model.replaceChildren();
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
async function learnType({ id }) {
	if (types.has(id)) return;
	const { headers } = await patiently(() => call(`/v1/files/${id}/content`, { method: 'HEAD' })).catch(() => ({ headers: new Headers() }));
	types.set(id, headers.get('content-type'));
}

const part = ({ id }) => ({ type: /^image\/(png|jpeg|gif|webp)/.test(types.get(id)) ? 'input_image' : 'input_file', file_id: id });

/** Load the models; without a model server say what to set. */
export async function load() {
	const turn = (state, text) => {
		find('#ask').dataset.state = state;
		for (const part of document.querySelectorAll('[data-when]')) part.hidden = part.dataset.when !== state;
		find('#broken p').textContent = text;
	};
	if (find('#ask').dataset.state !== 'ready') turn('loading', ''); // else someone may be writing
	try {
		const { data } = await json('/v1/models');
		const kept = model.value;
		model.replaceChildren(...data.map(({ id }) => make('option', { value: id, selected: id === kept }, id)));
		turn(data.length ? 'ready' : 'broken', 'The model server has no models.');
	} catch (e) {
		turn(e.code === 'upstream_not_configured' ? 'unset' : 'broken', e instanceof ApiError ? e.message : 'Its list of models can’t be read.');
	}
	show();
}

function chip(file) {
	const drop = () => {
		files.delete(file.id);
		show();
	};
	return make('li', {}, ...glance(file), iconButton('cross', `Leave ${file.filename} out`, drop));
}

function offer() {
	const others = [...shelf.files.values()].filter(({ id }) => !files.has(id)).sort((a, b) => (a.id < b.id ? 1 : -1));
	const title = new Option(others.length ? 'Add a file …' : 'Drop a file anywhere on this page', '');
	find('#offered').replaceChildren(title, ...others.slice(0, OFFERED).map(({ filename, id }) => new Option(filename, id)));
}

const wanted = () => body(model.value, question.value.trim(), [...files.values()].map(part));

function showSample() {
	const sent = wanted();
	sent.model ||= 'MODEL';
	sent.input[0].content.at(-1).text ||= question.placeholder;
	find('#sample').textContent = SAMPLES[language](location.origin, sent);
	for (const each of find('#languages').children) each.setAttribute('aria-pressed', each.textContent === language);
}

async function ask() {
	const sent = wanted();
	if (!sent.input[0].content.at(-1).text) {
		question.focus();
		return;
	}
	const mine = (stop = new AbortController());
	turn('Stop');
	answer.replaceChildren(make('p', { className: 'faint' }, 'Waiting for the model …'));
	const text = make('div', { className: 'text' });
	try {
		await stream({ ...sent, stream: true }, text);
		if (!text.textContent) text.append('The model said nothing.');
		say('The answer is complete');
	} catch (e) {
		if (stop !== mine) return; // signed out: the answer is nobody's any more
		const why = e.name === 'AbortError' ? 'Stopped.' : e instanceof ApiError ? e.message : 'The answer broke off.';
		answer.replaceChildren(text, make('p', { className: 'problem', role: 'alert' }, why));
	}
	stop = null;
	turn('Ask');
}

function turn(verb) {
	find('#ask-button').textContent = verb;
	answer.setAttribute('aria-busy', verb === 'Stop');
}

/** Send the question; the answer flows into `text`. */
async function stream(sent, text) {
	const response = await post('/v1/responses', sent, stop.signal);
	answer.replaceChildren(text);
	if (!response.headers.get('content-type')?.startsWith('text/event-stream')) return text.append(whole(await response.json()));
	let finished = false;
	for await (const event of events(response.body)) {
		if (/^response\.(output_text|refusal)\.delta$/.test(event.type)) text.append(event.delta);
		if (/^response\.(completed|incomplete)$/.test(event.type)) finished = true;
		if (event.type === 'response.failed' || event.type === 'error') throw problem(502, JSON.stringify({ error: event.response?.error ?? event.error ?? event }));
	}
	if (!finished) throw new Error('no end');
}

/** The answer of a model server that does not stream. */
const whole = ({ output }) => output.flatMap((item) => item.content ?? []).map((each) => each.text ?? each.refusal ?? '').join('');

/** The server-sent events of `stream`, as JSON. */
async function* events(stream) {
	const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
	for (let rest = ''; ; ) {
		const { done, value } = await reader.read();
		if (done) return;
		const blocks = (rest + value).split(/\r?\n\r?\n/);
		rest = blocks.pop();
		for (const block of blocks) {
			const data = block.split(/\r?\n/).filter((line) => line.startsWith('data:')).map((line) => line.slice(5)).join('\n').trim();
			if (data && data !== '[DONE]') yield JSON.parse(data);
		}
	}
}
