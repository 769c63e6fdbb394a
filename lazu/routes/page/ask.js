/** Ask: a question about files to a model, the answer as it comes, and the same call to copy. */

import { ApiError, call, json, patiently, post, problem } from './api.js';
import { button, copy, find, iconButton, make, say } from './dom.js';
import { glance } from './glance.js';
import { body, SAMPLES } from './samples.js';
import { shelf } from './shelf.js';

/** The newest files are offered; any other is chosen in the list of files. */
const OFFERED = 200;

/** The files of the question, and their chips: each stays in the document, with the keyboard, while its file is asked about. */
const files = new Map();
const chips = new Map();

const [question, model, answer, offered] = ['#question', '#model', '#answer', '#offered'].map((each) => find(each));
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
	find('#add').onclick = addOffered;
	find('#copy-sample').onclick = () => copy(find('#sample').textContent, `The call for ${language}`);
	find('#retry-models').onclick = load;
	find('#languages').append(...Object.keys(SAMPLES).map((name) => button('quiet small', () => showSample((language = name)), {}, name)));
	shelf.addEventListener('change', () => find('#ask').hidden || show());
}

/** Draw the view from what is loaded. */
function show() {
	for (const file of files.values()) if (!shelf.files.has(file.id)) leaveOut(file);
	offer();
	showSample();
}

export function clear() {
	stop?.abort();
	stop = null;
	turn('Ask');
	for (const file of files.values()) leaveOut(file);
	answer.replaceChildren();
	question.value = '';
	model.replaceChildren();
	show();
}

/** Have `more` files in the question. */
export async function add(more) {
	for (const file of more) {
		if (!files.has(file.id)) find('#asked-files').append(chip(file));
		files.set(file.id, file);
	}
	show();
	await Promise.all(more.map(learnType));
	showSample();
}

/** Only when one says so: with the keyboard a list is gone through name by name. */
function addOffered() {
	const file = shelf.files.get(offered.value);
	if (!file) return offered.focus();
	add([file]);
	say(`${file.filename} is added`);
}

/** The types that the model server takes as pictures. */
let pictures = [];

const types = new Map();
const learning = new Map();

/** Whether a file goes as picture or as document depends on what it is, not on what it is called. */
function learnType({ id }) {
	const ask = async () => {
		const { headers } = await patiently(() => call(`/v1/files/${id}/content`, { method: 'HEAD' }));
		types.set(id, headers.get('content-type'));
	};
	if (!learning.has(id)) learning.set(id, ask().catch(() => learning.delete(id)));
	return learning.get(id);
}

const part = ({ id }) => ({ type: pictures.includes(types.get(id)) ? 'input_image' : 'input_file', file_id: id });

/** Load the models; without a model server say what to set. */
export async function load() {
	const turn = (state, text) => {
		find('#ask').dataset.state = state;
		for (const part of document.querySelectorAll('[data-when]')) part.hidden = part.dataset.when !== state;
		find('#broken p').textContent = text;
	};
	if (find('#ask').dataset.state !== 'ready') turn('loading', ''); // else someone may be writing
	try {
		const [{ data }, rules] = await Promise.all([json('/v1/models'), json('/page/rules.json')]);
		pictures = rules.pictures;
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
		leaveOut(file);
		show();
	};
	const made = make('li', {}, ...glance(file), iconButton('cross', `Leave ${file.filename} out`, drop));
	chips.set(file.id, made);
	return made;
}

/** The keyboard goes from a chip that goes to the next one. */
function leaveOut({ id }) {
	const gone = chips.get(id);
	const next = gone.nextSibling ?? gone.previousSibling;
	if (gone.contains(document.activeElement)) (next ? find('button', next) : offered).focus();
	gone.remove();
	for (const each of [files, chips]) each.delete(id);
}

function offer() {
	const others = [...shelf.files.values()].filter(({ id }) => !files.has(id)).sort((a, b) => (a.id < b.id ? 1 : -1));
	const title = new Option(others.length ? 'Choose a file …' : 'Drop a file anywhere on this page', '');
	const kept = offered.value;
	offered.replaceChildren(title, ...others.slice(0, OFFERED).map(({ filename, id }) => new Option(filename, id, false, id === kept)));
}

/** What is asked: of which model, in which words, about which files. */
const asked = () => [model.value, question.value.trim(), [...files.values()]];

const wanted = (name, text, some) => body(name, text, some.map(part));

function showSample() {
	const sent = wanted(...asked());
	sent.model ||= 'MODEL';
	sent.input[0].content.at(-1).text ||= question.placeholder;
	find('#sample').textContent = SAMPLES[language](location.origin, sent);
	for (const each of find('#languages').children) each.setAttribute('aria-pressed', each.textContent === language);
}

async function ask() {
	const what = asked();
	if (!what[1]) return question.focus();
	const mine = (stop = new AbortController());
	turn('Stop');
	answer.replaceChildren(make('p', { className: 'faint' }, 'Waiting for the model …'));
	const text = make('div', { className: 'text' });
	try {
		await Promise.race([Promise.all(what[2].map(learnType)), aborted(mine.signal)]);
		await stream({ ...wanted(...what), stream: true }, text);
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

const aborted = (signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));

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
