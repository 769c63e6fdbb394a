/** What a file looks like, inert: pictures as pictures, text as text, a PDF without whatever it could run. */

import { call, load, read } from './api.js';
import { make } from './dom.js';
import { bytes } from './format.js';

const PICTURE = /^image\/(png|jpeg|gif|webp)$/;
const TEXT = /^(text\/|message\/)|[/+](json|jsonl|xml|yaml|toml|sql|javascript|x-ndjson|x-subrip|x-ipynb\+json)$|^image\/svg/;

/** What a text that is no Unicode is in, by the visitor's language, much as HTML's standard has it; else windows-1252. */
const LEGACY = { ar: 'windows-1256', cs: 'windows-1250', el: 'windows-1253', he: 'windows-1255', hu: 'windows-1250', ja: 'shift_jis', ko: 'euc-kr', pl: 'windows-1250', ru: 'windows-1251', tr: 'windows-1254', uk: 'windows-1251', zh: 'gb18030' };

const KANA = /[ぁ-ヺ]/;

/** Of a text, this much is shown. */
const TEXT_BYTES = 256 * 1024;

/** A larger picture or PDF is for downloading. */
const MOST = 48 * 2 ** 20;

const hint = (text) => make('p', { className: 'faint', role: 'status' }, text);

/** Show `file` in `box`; `signal` ends it. */
export async function preview(file, box, signal) {
	if (signal.aborted) return;
	box.replaceChildren(hint('Loading …'));
	const shown = await draw(file, signal).catch((e) => [hint(e.message)]);
	if (!signal.aborted) box.replaceChildren(...shown);
}

async function draw(file, signal) {
	const get = (options) => call(`/v1/files/${file.id}/content`, { signal, ...options });
	const { headers } = await get({ method: 'HEAD' });
	const type = (headers.get('content-type') ?? '').split(';')[0];
	if (TEXT.test(type)) return text(file, await get({ headers: { Range: `bytes=0-${TEXT_BYTES - 1}` } }));
	if (!PICTURE.test(type) && type !== 'application/pdf') return [hint(`No preview of ${type || 'this type'}.`)];
	if (file.bytes > MOST) return [hint(`A preview is shown up to ${bytes(MOST)}.`)];
	const data = await read(await get(), 'arrayBuffer');
	return (PICTURE.test(type) ? picture : paper)(file, data, type, signal);
}

/** An address of `data` until `signal` says that nobody looks any more. */
function address(data, type, signal) {
	const url = URL.createObjectURL(new Blob([data], { type }));
	signal.addEventListener('abort', () => URL.revokeObjectURL(url));
	return url;
}

function picture(file, data, type, signal) {
	const img = make('img', { alt: `The picture ${file.filename}`, src: address(data, type, signal) });
	img.onerror = () => img.replaceWith(hint('The browser can’t show this picture.'));
	return [img];
}

async function text(file, response) {
	const data = new Uint8Array(await read(response, 'arrayBuffer'));
	const cut = file.bytes > data.length;
	const charset = /charset=([\w-]+)/.exec(response.headers.get('content-type'))?.[1];
	if (charset === 'utf-32') return [hint('No preview of a text in UTF-32, which browsers don’t read.')];
	const declared = marked(data) ?? charset;
	const [words, guessed] = declared ? [decode(data, cut, declared)] : guess(data, cut);
	const hints = [guessed && `Read as ${guessed}, which is a guess: this text is no Unicode.`, cut && `The first ${bytes(data.length)} of ${bytes(file.bytes)}.`];
	return [make('pre', { tabIndex: 0, role: 'region', 'aria-label': `Text of ${file.filename}` }, words), ...hints.filter(Boolean).map(hint)];
}

const marked = ([first, second]) => ({ 0xfffe: 'utf-16le', 0xfeff: 'utf-16be' })[first * 256 + second];

/** The text of `data`, whose end may be `cut` within a character. */
const decode = (data, cut, label, fatal = false) => new TextDecoder(label, { fatal }).decode(data, { stream: cut });

/** The text of `data`, and the encoding, unless it is UTF-8, maybe with a few broken characters. */
function guess(data, cut) {
	const unicode = decode(data, cut, 'utf-8');
	const [good, bad] = [/[^\0-\x7f\ufffd]/g, /\ufffd/g].map((each) => unicode.match(each)?.length ?? 0);
	if (good >= bad) return [unicode];
	for (const [label, fits] of [['shift_jis', KANA], ['euc-jp', KANA], [LEGACY[navigator.language.slice(0, 2)] ?? 'windows-1252', /^/]]) {
		try {
			const words = decode(data, cut, label, true);
			if (fits.test(words)) return [words, label];
		} catch {
			// not this one
		}
	}
	return [decode(data, cut, 'windows-1252'), 'windows-1252'];
}

/** A copy without scripts, in the browser's own viewer: that one would run them, and shows nothing in a sandboxed frame. */
async function paper(file, data, type, signal) {
	if (!navigator.pdfViewerEnabled) return [hint('This browser shows no PDF.')];
	const { tame } = await load('pdf.js');
	const copy = await tame(new Uint8Array(data));
	if (!copy) return [hint('This PDF can’t be shown safely: it is encrypted, damaged or hides what it runs. Download it to open it.')];
	return [make('iframe', { title: `The document ${file.filename}`, src: `${address(copy, type, signal)}#toolbar=0&navpanes=0`, referrerPolicy: 'no-referrer' })];
}
