/** Upload: files by dropping, pasting and choosing; five at once, each with its progress. */

import { call, now } from './api.js';
import { find, icon, iconButton, make, say } from './dom.js';
import { bytes, count, span } from './format.js';
import { tile } from './glance.js';
import { proposed, rules, Sending } from './sending.js';
import { shelf } from './shelf.js';

const AT_ONCE = 5;

const queue = [];
const rowOf = new Map();
let uses = {};

/** Set the view up. `uses` has what to do: `arrived(file)`, `ask(file)`, `go(view)`; `ready()` says whether to take files. */
export function start(given) {
	uses = given;
	find('#pick').onclick = () => find('#picked-files').click();
	find('#pick-folder').onclick = () => find('#picked-folder').click();
	for (const input of [find('#picked-files'), find('#picked-folder')]) input.onchange = () => takeChosen(input);
	find('#clear-done').onclick = clearDone;
	find('#cancel-all').onclick = () => queue.forEach((each) => each.cancel());
	document.addEventListener('paste', paste);
	startDropping();
	addEventListener('beforeunload', (event) => busy().length && event.preventDefault());
}

let learned;

/** Learn what may be uploaded. */
export const learn = () => (learned = ask());

async function ask() {
	Object.assign(rules, await (await call('/page/rules.json')).json());
	for (const list of [find('#purposes'), find('#purpose')]) list.replaceChildren(list.options[0], ...Object.keys(rules.purposes).map((name) => new Option(name)));
	const limits = Object.entries(rules.purposes).map(([name, { max_bytes: most }]) => `${name} up to ${bytes(most)}`);
	find('#limits').textContent = `${limits.join(', ')}; no programs. Kept for ${span(rules.retention_days * 86400)} at most.`;
}

/** Stop and forget everything, as when signing out. */
export function clear() {
	for (const each of queue.splice(0)) each.cancel();
	rowOf.clear();
	find('#queue').replaceChildren();
	tell();
}

function startDropping() {
	let depth = 0;
	const over = (change) => {
		depth = Math.max(0, depth + change);
		document.body.classList.toggle('dropping', depth > 0 && uses.ready());
	};
	addEventListener('dragenter', (event) => carriesFiles(event) && over(1));
	addEventListener('dragleave', (event) => carriesFiles(event) && over(-1));
	addEventListener('dragover', (event) => event.preventDefault());
	addEventListener('drop', async (event) => {
		event.preventDefault();
		over(-depth);
		take(await dropped(event.dataTransfer));
	});
}

const carriesFiles = (event) => event.dataTransfer.types.includes('Files');

/** All files of a drop, those within folders too. */
async function dropped(transfer) {
	const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
	if (!entries.length) return [...transfer.files];
	return (await Promise.all(entries.map(within))).flat();
}

async function within(entry) {
	if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
	const reader = entry.createReader();
	const files = [];
	for (;;) {
		const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
		if (!some.length) return files;
		files.push(...(await Promise.all(some.map(within))).flat());
	}
}

function takeChosen(input) {
	take([...input.files]);
	input.value = '';
}

function paste(event) {
	const files = [...event.clipboardData.files];
	if (!files.length || !uses.ready()) return;
	event.preventDefault();
	take(files.map(named));
}

/** A pasted picture is always called `image.png`; with the time it can be found again. */
function named(file) {
	if (file.name !== 'image.png') return file;
	const time = new Date(now() * 1000).toISOString().slice(0, 19).replace('T', ' ').replaceAll(':', '.');
	return new File([file], `pasted ${time}.png`, { type: file.type });
}

async function take(list) {
	const files = [...list]; // the list may be emptied meanwhile
	await learned?.catch(() => {}); // else a picture that comes early is taken for any file
	if (!files.length || !uses.ready()) return;
	const [purpose, keep] = [find('#purpose').value, Number(find('#keep').value)];
	for (const file of files) {
		const sending = new Sending(file, purpose || proposed(file), keep);
		sending.addEventListener('change', () => draw(sending));
		queue.push(sending);
		find('#queue').append(row(sending));
		draw(sending);
	}
	uses.go('upload');
	say(`${count(files.length, 'file')} to upload`);
	pump();
}

function pump() {
	const waiting = queue.filter((each) => each.state === 'waiting');
	for (const each of waiting.slice(0, Math.max(0, AT_ONCE - busy().length))) run(each);
}

const busy = () => queue.filter((each) => each.state === 'sending' || each.state === 'checking');

async function run(sending) {
	await sending.go();
	if (sending.state === 'done') {
		shelf.add(sending.made);
		uses.arrived(sending.made);
	}
	if (sending.state === 'failed') say(`${sending.file.name}: ${sending.error.message}`);
	pump();
}

function row(sending) {
	const name = sending.file.name;
	const bar = make('progress', { max: sending.file.size || 1, value: 0, 'aria-label': `Upload of ${name}` });
	const words = make('span', { className: 'words' }, make('span', { className: 'filename', title: name }, name), make('span', { className: 'more' }), bar);
	const parts = {
		item: make('li', {}, tile({ filename: name }), words),
		more: find('.more', words),
		bar,
		stop: iconButton('cross', `Cancel ${name}`, () => sending.cancel()),
		again: make('button', { type: 'button', className: 'small', onclick: () => retry(sending), 'aria-label': `Try ${name} again` }, icon('again'), 'Try again'),
		ask: make('button', { type: 'button', className: 'small', onclick: () => uses.ask(sending.made), 'aria-label': `Ask about ${name}` }, 'Ask'),
	};
	parts.item.append(parts.ask, parts.again, parts.stop);
	rowOf.set(sending, parts);
	return parts.item;
}

function retry(sending) {
	sending.again();
	pump();
}

function draw(sending) {
	const { item, more, bar, stop, again, ask } = rowOf.get(sending) ?? {};
	if (!item) return;
	const { state } = sending;
	item.className = state;
	bar.value = state === 'done' ? bar.max : sending.sent;
	bar.hidden = !['sending', 'checking'].includes(state);
	again.hidden = state !== 'failed' && state !== 'cancelled';
	ask.hidden = state !== 'done';
	stop.hidden = state === 'done' || state === 'cancelled';
	more.textContent = words(sending);
	tell();
}

function words(sending) {
	const { file, purpose, state } = sending;
	const size = bytes(file.size);
	const facts = { waiting: 'waiting', checking: 'checking', cancelled: 'cancelled', done: `${purpose} · uploaded` };
	if (state === 'failed') return sending.error.message;
	if (state !== 'sending') return `${size} · ${facts[state]}`;
	const rest = sending.left === null ? '' : ` · ${bytes(Math.round(sending.speed))}/s · ${span(Math.ceil(sending.left))} left`;
	return `${bytes(sending.sent)} of ${size}${rest}`;
}

/** How it goes, beside the name of the view and above the list. */
function tell() {
	const [left, done] = [queue.filter((each) => ['waiting', 'sending', 'checking'].includes(each.state)).length, queue.filter((each) => each.state === 'done').length];
	find('#pending').textContent = left || '';
	find('#pending').hidden = !left;
	find('#queue-tools').hidden = !queue.length;
	find('#queue-state').textContent = left ? `${count(left, 'file')} to go` : `${count(done, 'file')} uploaded`;
	find('#clear-done').hidden = left === queue.length;
	find('#cancel-all').hidden = !left;
}

function clearDone() {
	for (const each of queue.filter((sending) => sending.state === 'done' || sending.state === 'cancelled')) {
		queue.splice(queue.indexOf(each), 1);
		rowOf.get(each).item.remove();
		rowOf.delete(each);
	}
	tell();
}
