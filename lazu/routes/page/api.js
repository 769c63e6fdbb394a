/** The door to Lazu: every request of the page, with the visitor's key, and what went wrong in the server's own words. */

const KEY = 'lazu.key';

/** What the rest of the page listens to: `refused` (the key is not accepted), `away` and `back` (the server). */
export const events = new EventTarget();

const tell = (name) => events.dispatchEvent(new Event(name));

/** Another answer than 200; `status` is 0 when there was none. `final`: a repeat can't help. */
export class ApiError extends Error {
	constructor(status, error, headers = new Headers()) {
		super(error?.message ?? `Lazu answered ${status}.`);
		this.status = status;
		this.code = error?.code;
		this.final = headers.get('x-should-retry') === 'false' || ![0, 408, 429, 500, 502, 503, 504].includes(status);
		this.wait = Number(headers.get('retry-after')) || 0;
	}
}

export const unreachable = () => new ApiError(0, { message: 'Lazu can’t be reached.' });

let kept = null;

/** The tab's storage; none where the browser forbids it. */
function storage() {
	try {
		return sessionStorage;
	} catch {
		return null;
	}
}

/** The key, kept until the tab is closed or signed out, or where that can't be, until the page is left. */
export const key = {
	get: () => storage()?.getItem(KEY) ?? kept,
	set(value) {
		if (storage()) storage().setItem(KEY, value);
		else kept = value;
	},
	forget() {
		kept = null;
		storage()?.removeItem(KEY);
	},
};

/** Seconds that this page is open, whatever becomes of the visitor's clock meanwhile. */
const open = () => performance.now() / 1000;

let opened = Date.now() / 1000 - open();

/** The server's time, in Unix seconds: it decides what has expired. */
export const now = () => Math.floor(opened + open());

function noteTime(response) {
	const date = Date.parse(response.headers.get('date')) / 1000;
	if (date && Math.abs(date - now()) > 2) opened = date - open();
}

/** The key as a header carries it: in UTF-8, since it may have letters of any language. */
export const authorization = () => ({ Authorization: `Bearer ${String.fromCharCode(...new TextEncoder().encode(key.get()))}` });

/** The answer to one request; throws `ApiError` unless it is a success. */
export async function call(path, { headers, ...options } = {}) {
	const used = key.get();
	const response = await arrived(fetch(path, { cache: 'no-store', credentials: 'omit', ...options, headers: { ...authorization(), ...headers } }));
	noteTime(response);
	if (!response.ok) throw problem(response.status, await read(response, 'text'), response.headers, used);
	return response;
}

/** What `coming` gives; fetch and bodies say with a TypeError that the line broke, with a SyntaxError that they are no JSON. */
export const arrived = (coming) =>
	coming.catch((e) => {
		throw e instanceof TypeError ? unreachable() : e instanceof SyntaxError ? new Error('The answer can’t be read: it is not Lazu’s.') : e;
	});

/** The body of an answer, as `json`, `text`, `blob` or `arrayBuffer`; throws `ApiError` if the line breaks meanwhile. */
export const read = (response, kind) => arrived(response[kind]());

/** The error of an answer; tells the page when the key that was `used` is no longer accepted, unless it has another by now. */
export function problem(status, text, headers, used) {
	let error;
	try {
		({ error } = JSON.parse(text));
	} catch {
		// of a proxy, not of Lazu
	}
	if (status === 401 && used === key.get()) tell('refused');
	return new ApiError(status, error, headers);
}

export const json = async (path, options) => read(await call(path, options), 'json');

/** Send `body` as JSON. */
export const post = (path, body, signal) => call(path, { method: 'POST', body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' }, signal });

/** Wait; ends at once when `signal` does. */
export const pause = (seconds, signal) =>
	new Promise((resolve) => {
		setTimeout(resolve, seconds * 1000);
		signal?.addEventListener('abort', resolve);
	});

let again = '';

/** The script `name`, loaded when it is needed: many browsers never ask again at an address where that failed. */
export async function load(name) {
	try {
		return await import(`./${name}${again}`);
	} catch {
		again = `?${Date.now()}`;
		throw new Error('The preview can’t be loaded.');
	}
}

/** What `ask` gives, asked again while the server restarts or is overloaded; meanwhile the page says so. */
export async function patiently(ask) {
	for (let seconds = 0.5; ; seconds = Math.min(seconds * 1.6, 8)) {
		try {
			const answer = await ask();
			tell('back');
			return answer;
		} catch (e) {
			const answered = e.final || e.status === 500;
			if (e instanceof ApiError) tell(answered ? 'back' : 'away');
			if (!(e instanceof ApiError) || answered) throw e;
			await pause(Math.max(seconds, e.wait));
		}
	}
}
