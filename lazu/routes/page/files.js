/** Files: the list, its order and filter, and what is done with several at once. */

import { now } from './api.js';
import { open, save } from './details.js';
import { confirm, copy, find, iconButton, make, say } from './dom.js';
import { bytes, count, moment, when } from './format.js';
import { gone, summary, tile } from './glance.js';
import { Rows } from './rows.js';
import { PLENTY, shelf } from './shelf.js';

const names = new Intl.Collator(undefined, { numeric: true, sensitivity: 'base' });

/** Orders of the list; each is turned round by a minus before its name. */
const ORDERS = {
	name: (a, b) => names.compare(a.filename, b.filename),
	size: (a, b) => a.bytes - b.bytes,
	purpose: (a, b) => names.compare(a.purpose, b.purpose),
	created: (a, b) => (a.id < b.id ? -1 : 1),
	gone: (a, b) => a.expires_at - b.expires_at,
};

const chosen = new Set();
let order = '-created';
let asking = () => {};
let rows;

/** Set the view up; `ask(files)` is called with those that one wants to ask about. */
export function start(ask) {
	asking = ask;
	rows = new Rows(find('#rows'), draw);
	find('#rows').addEventListener('keydown', press);
	find('#filter').oninput = show;
	find('#purposes').onchange = show;
	find('#order').onchange = (event) => arrange(event.target.value);
	find('#refresh').onclick = () => shelf.load();
	for (const head of document.querySelectorAll('#heads [data-order]')) head.onclick = () => turn(head.dataset.order);
	startActions();
	shelf.addEventListener('change', show);
	setInterval(() => rows.redraw(), 30000);
	addEventListener('scroll', () => atEnd() && shelf.files.size >= PLENTY && shelf.more(), { passive: true });
}

function startActions() {
	find('#all').onchange = (event) => chooseAll(event.target.checked);
	find('#drop-choice').onclick = () => chooseAll(false);
	find('#ask-choice').onclick = () => asking(picked());
	find('#save-choice').onclick = () => saveAll(picked());
	find('#delete-choice').onclick = () => remove(picked());
	find('#clear-filter').onclick = () => {
		find('#filter').value = '';
		find('#purposes').value = '';
		show();
		find('#filter').focus();
	};
}

export function show() {
	for (const id of chosen) if (!shelf.files.has(id)) chosen.delete(id);
	if (find('#files').hidden) return;
	const items = found();
	rows.items = items;
	find('#heads').hidden = find('#keys').hidden = !items.length;
	find('#grid').setAttribute('aria-rowcount', items.length + 1);
	find('#no-files').hidden = shelf.files.size > 0 || shelf.state !== 'whole';
	find('#no-match').hidden = items.length > 0 || shelf.files.size === 0;
	find('#loading').hidden = shelf.state !== 'loading' || shelf.files.size > 0;
	find('#list-problem').hidden = shelf.state !== 'failed';
	find('#list-problem').textContent = shelf.error?.message ?? '';
	showHeld();
	showChoice();
}

function found() {
	const text = find('#filter').value.trim().toLowerCase();
	const purpose = find('#purposes').value;
	const fits = (file) => (!purpose || file.purpose === purpose) && (!text || file.filename.toLowerCase().includes(text) || file.id.toLowerCase() === text);
	const compare = ORDERS[order.replace('-', '')];
	const sign = order.startsWith('-') ? -1 : 1;
	return [...shelf.files.values()].filter(fits).sort((a, b) => sign * compare(a, b) || ORDERS.created(b, a));
}

function showHeld() {
	const least = shelf.state === 'whole' ? '' : 'at least ';
	const may = shelf.quota ? ` of ${bytes(shelf.quota)}` : '';
	find('#held').textContent = `${least}${count(shelf.files.size, 'file')} · ${bytes(shelf.held)}${may}`;
	const meter = find('#meter');
	meter.hidden = !shelf.quota;
	meter.max = shelf.quota || 1;
	meter.value = shelf.held;
}

const turn = (name) => arrange(order === name ? `-${name}` : order === `-${name}` ? name : firstTurn(name));
const firstTurn = (name) => (name === 'name' || name === 'purpose' || name === 'gone' ? name : `-${name}`);

function arrange(wanted) {
	order = wanted;
	find('#order').value = order;
	for (const head of document.querySelectorAll('#heads [data-order]')) {
		const [up, down] = [head.dataset.order === order, `-${head.dataset.order}` === order];
		head.parentElement.setAttribute('aria-sort', up ? 'ascending' : down ? 'descending' : 'none');
	}
	show();
}

function draw(file, index) {
	const picked = chosen.has(file.id);
	const row = make('div', { className: 'row', role: 'row', 'aria-rowindex': index + 2, 'aria-selected': picked });
	row.append(
		cell('pick', make('input', { type: 'checkbox', checked: picked, tabIndex: -1, 'aria-label': `Select ${file.filename}`, onclick: () => choose(file) })),
		cell('name', tile(file), make('span', { className: 'words' }, make('span', { className: 'filename', title: file.filename }, file.filename), make('span', { className: 'more' }, summary(file)))),
		cell('size', bytes(file.bytes)),
		cell('purpose', file.purpose),
		cell('created', make('span', { title: moment(file.created_at) }, when(file.created_at, now()))),
		cell('gone', make('span', { title: moment(file.expires_at) }, gone(file))),
		cell('acts', ...actions(file)),
	);
	row.onclick = (event) => event.target.closest('button, input') || (event.ctrlKey || event.metaKey ? choose(file) : show1(file));
	return row;
}

const cell = (name, ...inside) => make('div', { className: `cell ${name}`, role: 'gridcell' }, ...inside);

function actions(file) {
	const quiet = { tabIndex: -1 };
	return [
		iconButton('copy', `Copy the id of ${file.filename}`, () => copy(file.id, 'Id'), quiet),
		iconButton('save', `Download ${file.filename}`, () => save(file), quiet),
		iconButton('bin', `Delete ${file.filename}`, () => remove([file]), quiet),
	];
}

const show1 = (file) => open(file, { remove: () => remove([file]), ask: () => asking([file]) });

/** What the keys do on a row: the hint under the list says so. */
function press(event) {
	const file = rows.items[rows.active];
	if (!file || event.target.dataset.index === undefined) return;
	const does = {
		Enter: () => show1(file),
		' ': () => choose(file),
		Delete: () => remove(chosen.size ? picked() : [file]),
		c: () => copy(file.id, 'Id'),
		a: () => (event.ctrlKey || event.metaKey) && chooseAll(true),
		Escape: () => chooseAll(false),
	}[event.key];
	if (!does || (event.key === 'c' && (event.ctrlKey || event.metaKey))) return;
	event.preventDefault();
	does();
}

function choose(file) {
	if (!chosen.delete(file.id)) chosen.add(file.id);
	rows.redraw();
	showChoice();
}

function chooseAll(all) {
	chosen.clear();
	if (all) for (const file of found()) chosen.add(file.id);
	rows.redraw();
	showChoice();
}

const picked = () => [...chosen].map((id) => shelf.files.get(id)).filter(Boolean);

function showChoice() {
	const files = picked();
	find('#choice').hidden = !files.length;
	find('#tools-plain').hidden = files.length > 0;
	find('#chosen').textContent = `${count(files.length, 'file')} selected · ${bytes(files.reduce((sum, file) => sum + file.bytes, 0))}`;
	find('#all').checked = files.length > 0 && files.length === rows.items.length;
	find('#all').indeterminate = files.length > 0 && files.length < rows.items.length;
}

async function saveAll(files) {
	for (const file of files) await save(file);
}

/** Delete after asking, five at once; says what could not be. */
async function remove(files) {
	const [what, them] = files.length === 1 ? [`“${files[0].filename}”`, 'it'] : [count(files.length, 'file'), 'them'];
	if (!(await confirm(`Delete ${what}?`, `Whoever uses ${them} by id gets an error from now on. There is no recycle bin.`, 'Delete'))) return;
	const waiting = [...files];
	const failed = [];
	const work = async () => {
		for (let file = waiting.pop(); file; file = waiting.pop()) await shelf.delete(file.id).catch((e) => failed.push(e));
	};
	await Promise.all([1, 2, 3, 4, 5].map(work));
	say(failed.length ? `${count(failed.length, 'file')} not deleted: ${failed[0].message}` : `Deleted ${what}`);
	rows.focus(rows.active);
}

const atEnd = () => innerHeight + scrollY > document.body.scrollHeight - 2000;
