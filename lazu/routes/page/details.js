/** One file: what is known of it, what it looks like, what can be done with it. */

import { call, now } from './api.js';
import { copy, find, iconButton, make, say } from './dom.js';
import { bytes, moment } from './format.js';
import { gone, tile } from './glance.js';
import { preview } from './preview.js';
import { shelf } from './shelf.js';

let shown = null;

/** Show `file`; `acts` has what `ask` and `remove` do. */
export function open(file, acts) {
  const dialog = find('#details');
  shown = { file, stop: new AbortController() };
  find('h2', dialog).replaceChildren(tile(file), make('span', {}, file.filename));
  find('dl', dialog).replaceChildren(...facts(file));
  find('#save-one').onclick = () => save(file);
  find('#ask-one').onclick = () => close(acts.ask);
  find('#delete-one').onclick = () => close(acts.remove);
  dialog.onclose = forget;
  dialog.showModal();
  preview(file, find('#preview'), shown.stop.signal);
}

function facts(file) {
  const id = make('dd', { className: 'id' }, make('code', {}, file.id), iconButton('copy', 'Copy the id', () => copy(file.id, 'Id')));
  const rest = [['Size', `${bytes(file.bytes)} (${file.bytes.toLocaleString()} bytes)`], ['Purpose', file.purpose], ['Created', moment(file.created_at)]];
  const pairs = rest.map(([name, value]) => [make('dt', {}, name), make('dd', {}, value)]);
  const end = make('dd', { className: 'end' }, `${gone(file)} (${moment(file.expires_at)})`);
  return [make('dt', {}, 'Id'), id, ...pairs.flat(), make('dt', {}, 'Kept'), end];
}

function close(then) {
  find('#details').close();
  then();
}

function forget() {
  shown?.stop.abort();
  shown = null;
  find('#preview').replaceChildren();
}

/** A file that goes while it is shown says so. */
function look() {
  if (!shown) return;
  const there = shelf.files.has(shown.file.id) && shown.file.expires_at > now();
  find('#details .end').textContent = there ? `${gone(shown.file)} (${moment(shown.file.expires_at)})` : 'This file is gone: it has expired or was deleted.';
  for (const button of document.querySelectorAll('#details footer button:not([value=close])')) button.disabled = !there;
}

shelf.addEventListener('change', look);
setInterval(look, 1000);

/** Bytes gathered in memory before they become a blob, which a browser keeps on disk. */
const HEAP = 8 * 2 ** 20;

/** Download `file` to where the browser puts downloads. */
export async function save(file) {
  const row = make('div', { className: 'saving', role: 'status' });
  const stop = new AbortController();
  find('#savings').append(row);
  try {
    hand(await fetched(file, row, stop), file.filename);
  } catch (e) {
    if (e.name !== 'AbortError') say(`“${file.filename}” was not downloaded: ${e.message}`);
  } finally {
    row.remove();
  }
}

async function fetched(file, row, stop) {
  const bar = make('progress', { max: file.bytes, value: 0, 'aria-label': `Download of ${file.filename}` });
  row.append(make('span', {}, file.filename), bar, iconButton('cross', `Stop the download of ${file.filename}`, () => stop.abort()));
  const response = await call(`/v1/files/${file.id}/content`, { signal: stop.signal });
  const parts = [];
  let [chunks, waiting] = [[], 0];
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (value) chunks.push(value);
    waiting += value?.length ?? 0;
    bar.value += value?.length ?? 0;
    if (done || waiting > HEAP) {
      parts.push(new Blob(chunks));
      [chunks, waiting] = [[], 0];
    }
    if (done) return new Blob(parts, { type: 'application/octet-stream' });
  }
}

function hand(blob, name) {
  const href = URL.createObjectURL(blob);
  make('a', { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60000);
}
