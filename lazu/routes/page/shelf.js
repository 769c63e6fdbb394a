/** The files of the key, as far as they are loaded: what every view shows. */

import { call, json, key, now, patiently } from './api.js';

const FIRST = 100;
const PAGE = 1000;

/** Loaded without being asked for; what is older comes when one scrolls to the end. */
export const PLENTY = 10000;

class Shelf extends EventTarget {
	/** Files by id, in no order. */
	files = new Map();

	/** `loading`, `more` (older ones are not loaded), `whole`, or `failed`. */
	state = 'loading';

	/** Bytes that the key may hold, 0 for no limit. */
	quota = 0;

	/** The id behind which the next page begins. */
	#oldest = null;

	#told = null;

	/** Of which loading this is: an older one that still runs has nothing to say. */
	#turn = 0;

	/** Load the files anew, a screenful first. What is shown stays until there is as much. */
	async load() {
		const fresh = new Map();
		this.#oldest = null;
		await this.#loading(async (turn) => {
			const kept = this.files;
			let limit = FIRST;
			do {
				await this.#take(fresh, turn, limit);
				limit = PAGE;
				if (fresh.size >= kept.size || this.state === 'whole') this.#show(fresh, turn);
			} while (turn === this.#turn && this.state === 'more' && fresh.size < PLENTY);
			this.#show(fresh, turn);
		});
	}

	async more() {
		if (this.state !== 'more') return;
		await this.#loading(async (turn) => {
			await this.#take(this.files, turn, PAGE);
			this.#show(this.files, turn);
		});
	}

	async #loading(work) {
		this.#turn += 1;
		this.state = 'loading';
		const turn = this.#turn;
		try {
			await work(turn);
		} catch (e) {
			if (turn !== this.#turn) return;
			this.state = 'failed';
			this.error = e;
			this.#changed();
		}
	}

	async #take(files, turn, limit) {
		const path = `/v1/files?limit=${limit}${this.#oldest ? `&after=${this.#oldest}` : ''}`;
		const response = await patiently(() => call(path));
		const page = await response.json();
		if (turn !== this.#turn) return;
		for (const file of page.data) files.set(file.id, file);
		this.#oldest = page.last_id ?? this.#oldest;
		this.quota = Number(response.headers.get('x-lazu-quota-bytes')) || 0;
		this.state = page.has_more ? 'more' : 'whole';
	}

	#show(files, turn) {
		if (turn !== this.#turn) return;
		this.files = files;
		this.#changed();
	}

	/** Take a file in that was just uploaded. */
	add(file) {
		this.files.set(file.id, file);
		this.#changed();
		// What is being loaded may have been asked for before this file was there.
		if (this.state === 'loading') this.load();
	}

	/** Delete on the server; a file that is gone already is gone. */
	async delete(id) {
		try {
			await json(`/v1/files/${id}`, { method: 'DELETE' });
		} catch (e) {
			if (e.status !== 404) throw e;
		}
		this.drop([id]);
	}

	/** Forget files that are no longer there. */
	drop(ids) {
		for (const id of ids) this.files.delete(id);
		if (ids.length) this.#changed();
	}

	/** Forget what has expired. */
	expire() {
		const time = now();
		this.drop([...this.files.values()].filter((file) => file.expires_at <= time).map((file) => file.id));
	}

	/** Forget everything, as when signing out. */
	clear() {
		this.#turn += 1;
		this.files = new Map();
		this.state = 'loading';
		this.#changed();
	}

	get held() {
		let sum = 0;
		for (const file of this.files.values()) sum += file.bytes;
		return sum;
	}

	/** Tell the views, once for many changes at a time. */
	#changed() {
		this.#told ??= setTimeout(() => {
			this.#told = null;
			this.dispatchEvent(new Event('change'));
		}, 20);
	}
}

export const shelf = new Shelf();

setInterval(() => key.get() && shelf.expire(), 1000);
