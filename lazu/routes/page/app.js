/** The page: signing in and out, and which view is shown. */

import { events, json, key } from './api.js';
import * as ask from './ask.js';
import { find } from './dom.js';
import * as files from './files.js';
import { shelf } from './shelf.js';
import * as upload from './upload.js';

const VIEWS = ['files', 'upload', 'ask'];

/** The view that the address names; it holds nothing else. */
const named = () => VIEWS.find((view) => location.hash === `#${view}`) ?? 'files';

const tab = (view) => find(`nav [href="#${view}"]`);

function show() {
	const view = key.get() ? named() : 'sign-in';
	for (const name of [...VIEWS, 'sign-in']) find(`#${name}`).hidden = name !== view;
	document.body.classList.toggle('signed-in', view !== 'sign-in');
	for (const name of VIEWS) {
		if (name === view) tab(name).setAttribute('aria-current', 'page');
		else tab(name).removeAttribute('aria-current');
	}
	document.title = view === 'sign-in' ? 'Lazu' : `${find(`#${view} h1`).textContent} · Lazu`;
	if (view === 'files') files.show();
	if (view === 'ask') ask.load();
}

function go(view) {
	history.pushState(null, '', `#${view}`);
	show();
}

async function signIn(event) {
	event.preventDefault();
	const [field, button] = [find('#key'), find('#sign-in button')];
	button.disabled = true;
	tellProblem('');
	try {
		key.set(field.value.trim());
		await json('/v1/files?limit=1');
		field.value = '';
		enter();
	} catch (e) {
		leave(e.status === 401 ? 'This key is unknown or revoked.' : e.message);
	}
	button.disabled = false;
}

function tellProblem(text) {
	find('#key-problem').textContent = text;
	find('#key').setAttribute('aria-invalid', text !== '');
}

function enter() {
	show();
	shelf.load();
	upload.learn().catch(() => {}); // then nothing is known before it is sent
	tab(named()).focus();
}

/** Forget the key and all that it opened. */
function leave(why) {
	for (const dialog of document.querySelectorAll('dialog[open]')) dialog.close();
	for (const part of [shelf, upload, ask, files]) part.clear(); // with the key: uploads are cancelled on the server too
	key.forget();
	for (const each of document.querySelectorAll('#notes button')) each.click(); // which cancels downloads
	find('#said').replaceChildren();
	show();
	tellProblem(why);
	find('#key').focus();
}

find('#sign-in form').onsubmit = signIn;
find('#sign-out').onclick = () => leave('');
events.addEventListener('refused', () => document.body.classList.contains('signed-in') && leave('This key is no longer accepted.'));
for (const name of ['away', 'back']) events.addEventListener(name, () => (find('#away').hidden = name === 'back'));
addEventListener('hashchange', show);
addEventListener('pageshow', () => key.get() || leave('')); // also when the back button brings a page from before signing out
document.addEventListener('visibilitychange', () => !document.hidden && key.get() && shelf.state !== 'loading' && shelf.load());

async function question(some) {
	go('ask');
	await ask.add(some);
	find('#question').focus();
}

/** What was dropped on a question belongs to it. */
const arrived = (file) => named() === 'ask' && ask.add([file]);

files.start(question);
ask.start();
upload.start({ arrived, ask: (file) => question([file]), go: (view) => named() === 'ask' || go(view), ready: () => Boolean(key.get()) });
if (key.get()) enter();
