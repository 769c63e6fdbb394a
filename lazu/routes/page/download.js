/** Downloads: one after the other, with their progress, until they are there or cancelled. */

import { arrived, call } from './api.js';
import { complain, make, note } from './dom.js';
import { bytes, count } from './format.js';

/** Bytes in memory at most: what came before is given to the browser, which keeps a large blob on disk. */
const LOOSE = 8 * 2 ** 20;

/** Download `files` to where the browser puts downloads. To dismiss the note, as signing out does, cancels it. */
export async function save(files) {
	const stop = new AbortController();
	const [what, more, bar] = [make('span', { className: 'filename', role: 'status' }), make('span', { className: 'more' }), make('progress', { 'aria-label': 'Download' })];
	const close = note([make('span', { className: 'words' }, what, more, bar)], 'Cancel the download', () => stop.abort());
	const failed = [];
	for (const [index, file] of files.entries()) {
		what.textContent = `Downloading ${file.filename} …`;
		const progress = (came) => {
			more.textContent = `${bytes(came)} of ${bytes(file.bytes)}${files.length > 1 ? ` · ${index + 1} of ${count(files.length, 'file')}` : ''}`;
			Object.assign(bar, { max: file.bytes, value: came });
		};
		await take(file, stop.signal, progress).catch((e) => failed.push([file, e]));
		if (stop.signal.aborted) return;
	}
	close();
	const [[file, error] = []] = failed;
	if (file) complain(`${failed.length > 1 ? count(failed.length, 'file') : file.filename} not downloaded: ${error.message}`);
}

async function take({ id, filename }, signal, progress) {
	const reader = (await call(`/v1/files/${id}/content`, { signal })).body.getReader();
	let [parts, loose, came] = [[], 0, 0];
	for (;;) {
		const { done, value } = await arrived(reader.read());
		signal.throwIfAborted();
		if (done) break;
		parts.push(value);
		loose += value.length;
		if (loose > LOOSE) [parts, loose] = [[new Blob(parts)], 0];
		progress((came += value.length));
	}
	const href = URL.createObjectURL(new Blob(parts, { type: 'application/octet-stream' }));
	make('a', { href, download: filename }).click();
	setTimeout(() => URL.revokeObjectURL(href), 60000);
}
