/** What a file looks like, inert: pictures as pictures, text as text, a PDF without whatever it could run. */

import { call } from './api.js';
import { make } from './dom.js';
import { bytes } from './format.js';

const PICTURES = ['image/png', 'image/jpeg', 'image/gif', 'image/webp'];
const TEXT = /^(text\/|message\/)|[/+](json|jsonl|xml|yaml|toml|sql|javascript|x-ndjson|x-subrip|x-ipynb\+json)$|^image\/svg/;

/** Of a text, this much is shown. */
const TEXT_BYTES = 256 * 1024;

/** A larger picture or PDF is for downloading. */
const MOST = 48 * 2 ** 20;

/** Show `file` in `box`; `signal` ends it. */
export async function preview(file, box, signal) {
	box.replaceChildren(make('p', { className: 'faint', role: 'status' }, 'Loading …'));
	try {
		const shown = await draw(file, signal);
		if (!signal.aborted) box.replaceChildren(...shown);
	} catch (e) {
		if (!signal.aborted) box.replaceChildren(make('p', { className: 'faint' }, e.message));
	}
}

async function draw(file, signal) {
	const path = `/v1/files/${file.id}/content`;
	const { headers } = await call(path, { method: 'HEAD', signal });
	const type = (headers.get('content-type') ?? '').split(';')[0];
	if (TEXT.test(type)) return text(file, await call(path, { signal, headers: { Range: `bytes=0-${TEXT_BYTES - 1}` } }));
	if (file.bytes > MOST) return none(`A preview is shown up to ${bytes(MOST)}.`);
	if (PICTURES.includes(type)) return picture(file, await read(path, type, signal), signal);
	if (type === 'application/pdf') return paper(file, await read(path, type, signal), signal);
	return none(`No preview of ${type || 'this type'}.`);
}

const none = (why) => [make('p', { className: 'faint' }, why)];

const read = async (path, type, signal) => new Blob([await (await call(path, { signal })).arrayBuffer()], { type });

/** An address of `blob` until `signal` says that nobody looks any more. */
function address(blob, signal) {
	const url = URL.createObjectURL(blob);
	signal.addEventListener('abort', () => URL.revokeObjectURL(url));
	return url;
}

function picture(file, blob, signal) {
	const img = make('img', { alt: `The picture ${file.filename}`, src: address(blob, signal) });
	img.onerror = () => img.replaceWith(...none('The browser can’t show this picture.'));
	return [img];
}

async function text(file, response) {
	const data = new Uint8Array(await response.arrayBuffer());
	const more = file.bytes > data.length ? [make('p', { className: 'faint' }, `The first ${bytes(data.length)} of ${bytes(file.bytes)}.`)] : [];
	return [make('pre', { tabIndex: 0, role: 'region', 'aria-label': `Text of ${file.filename}` }, new TextDecoder(encoding(data)).decode(data)), ...more];
}

function encoding(data) {
	const mark = data[0] * 256 + data[1];
	return { 0xfffe: 'utf-16le', 0xfeff: 'utf-16be' }[mark] ?? 'utf-8';
}

/** A copy without scripts, in the browser's own viewer: that one would run them, and shows nothing in a sandboxed frame. */
async function paper(file, blob, signal) {
	if (!navigator.pdfViewerEnabled) return none('This browser shows no PDF.');
	const { tame } = await import('./pdf.js');
	const copy = await tame(new Uint8Array(await blob.arrayBuffer()));
	if (!copy) return none('This PDF can’t be shown safely: it is encrypted, damaged or hides what it runs. Download it to open it.');
	const src = address(new Blob([copy], { type: 'application/pdf' }), signal);
	return [make('iframe', { title: `The document ${file.filename}`, src: `${src}#toolbar=0&navpanes=0`, referrerPolicy: 'no-referrer' })];
}
