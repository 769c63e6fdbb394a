/** The files of the key, as far as they are loaded: what every view shows. */

import { call, json, key, now, patiently, read } from './api.js';

const FIRST = 100;
const PAGE = 1000;

/** Loaded without being asked for; what is older comes when one scrolls to the end. */
const PLENTY = 10000;

/** Milliseconds between two changes of what is shown: a list that moves all the time can't be read. */
const OFTEN = 500;

/** A page of the list, and the bytes that the key may hold. */
async function take(path) {
	const response = await call(path);
	return [await read(response, 'json'), Number(response.headers.get('x-lazu-quota-bytes'))];
}

class Shelf extends EventTarget {
	/** Files by id, in no order. */
	files = new Map();

	/** `loading`, `more` (older ones are not loaded), `whole`, or `failed`. */
	state = 'loading';

	/** Bytes that the key may hold, 0 for no limit. */
	quota = 0;

	/** The files of the loading that goes on: another one has nothing to say any more. */
	#fresh = this.files;

	/** The id behind which the next page begins. */
	#oldest = null;

	/** Ids that were deleted: a page of the list may have been made before. */
	#gone = new Set();

	#timer = null;
	#told = -OFTEN;

	/** Load the files anew, a screenful first. What is shown stays until there is as much. */
	load() {
		this.#oldest = null;
		return this.#loading(new Map(), PLENTY);
	}

	/** Load older files. */
	more() {
		if (this.state === 'more') this.#loading(this.files, this.files.size + PAGE);
	}

	async #loading(files, enough) {
		this.#fresh = files;
		this.state = 'loading';
		try {
			while (this.#fresh === files && this.state === 'loading') await this.#take(files, enough);
		} catch (e) {
			if (this.#fresh !== files) return;
			this.state = 'failed';
			this.error = e;
			this.#changed();
		}
	}

	async #take(files, enough) {
		const path = this.#oldest ? `/v1/files?limit=${PAGE}&after=${this.#oldest}` : `/v1/files?limit=${FIRST}`;
		const [page, quota] = await patiently(() => take(path));
		if (this.#fresh !== files) return;
		for (const file of page.data) if (!this.#gone.has(file.id)) files.set(file.id, file);
		this.#oldest = page.last_id;
		this.quota = quota;
		if (!page.has_more) this.state = 'whole';
		else if (files.size >= enough) this.state = 'more';
		if (this.state === 'loading' && files.size < this.files.size) return;
		this.files = files;
		this.#changed();
	}

	/** Take a file in that was just uploaded. */
	add(file) {
		for (const files of [this.files, this.#fresh]) files.set(file.id, file);
		this.#changed();
	}

	/** Delete on the server; a file that is gone already is gone. */
	async delete(id) {
		await json(`/v1/files/${id}`, { method: 'DELETE' }).catch((e) => {
			if (e.status !== 404) throw e;
		});
		this.#gone.add(id);
		this.#drop(id);
	}

	#drop(id) {
		for (const files of [this.files, this.#fresh]) files.delete(id);
		this.#changed();
	}

	/** Forget what has expired, until the server's list has it again. */
	expire() {
		for (const file of this.files.values()) if (file.expires_at <= now()) this.#drop(file.id);
	}

	/** Forget everything, as when signing out. */
	clear() {
		this.files = this.#fresh = new Map();
		this.state = 'loading';
		this.#changed();
	}

	get held() {
		return [...this.files.values()].reduce((sum, file) => sum + file.bytes, 0);
	}

	/** Tell the views, once for many changes. */
	#changed() {
		this.#timer ??= setTimeout(() => {
			this.#timer = null;
			this.#told = performance.now();
			this.dispatchEvent(new Event('change'));
		}, Math.max(20, this.#told + OFTEN - performance.now()));
	}
}

export const shelf = new Shelf();

const apart = () => Date.now() - performance.now();

let before = apart();

/** Forget what has expired. A machine that was asleep, where the page's own time may stand still, asks for the server's. */
function tick() {
	const slept = Math.abs(apart() - before) > 60000;
	before = apart();
	if (!key.get()) return;
	if (slept && shelf.state !== 'loading') shelf.load();
	shelf.expire();
}

setInterval(tick, 1000);
