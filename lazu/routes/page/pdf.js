/**
 * A PDF without what it could run, for the browser's own viewer: that one runs a document's scripts, and in a sandboxed frame
 * shows nothing (docs/decisions/0090-page.md). Every object is read and written anew, actions left out, so that the viewer
 * sees only what was understood here (ISO 32000-1 §7). What can't be read so is not shown.
 */

const SPACE = /(?:[\0\s]|%[^\r\n]*)*/y;
const WORD = /[^\0\s()<>[\]{}/%]+/y;
const REF = /(\d{1,7})\s+\d{1,5}\s+R(?![^\0\s()<>[\]{}/%])/y;
const OBJECT = /(?<!\d)(\d{1,7})\s+\d{1,5}\s+obj/g;
const DEEPEST = 60;

/** Characters that are read out of object streams, all together: a small one may unpack to gigabytes, or be named a thousand times. */
const MOST = 64 * 2 ** 20;

/** Entries that start something or lead out of the file. */
const LEFT_OUT = new Set('JS JavaScript OpenAction AcroForm XFA EmbeddedFiles EF RichMediaContent'.split(' '));

/** Entries by which the data of a stream are in another file. */
const OUTSIDE = new Set(['F', 'FFilter', 'FDecodeParms']);

/** Actions other than going to a page. */
const ACTIONS = new Set('JavaScript Launch URI GoToR GoToE SubmitForm ImportData ResetForm Rendition RichMediaExecute Movie Sound Named Hide'.split(' '));

/**
 * Names that must not be in the copy, however spelled (each letter may be `#` and its code), not even within a stream: a
 * viewer that mends a broken file looks for objects there too.
 */
const [ENCRYPTED, ...NEVER] = ['Encrypt', 'JavaScript', 'ObjStm', 'AcroForm'].map((name) => new RegExp(`/${[...name].map((c) => `(${c}|#${hex(c)})`).join('')}`, 'i'));

function hex(c) {
	return c.charCodeAt(0).toString(16).padStart(2, '0');
}

class Name extends String {}
class Ref extends String {}
class Stream {
	constructor(dict, data) {
		Object.assign(this, { dict, data });
	}
}

/** Reads values out of `text`, whose characters are bytes. */
class Reader {
	constructor(text, at = 0) {
		Object.assign(this, { text, at });
	}

	match(pattern) {
		pattern.lastIndex = this.at;
		const found = pattern.exec(this.text);
		if (found) this.at = pattern.lastIndex;
		return found;
	}

	value(depth = 0) {
		if (depth > DEEPEST) throw new RangeError('too deep');
		this.match(SPACE);
		const [c, next] = [this.text[this.at], this.text[this.at + 1]];
		if (c === '<' && next === '<') return this.dict(depth);
		if (c === '[') return this.list(']', depth);
		if (c === '(') return this.literal();
		if (c === '<') return this.match(/<[0-9A-Fa-f\s]*>/y)[0].replace(/\s/g, '');
		if (c === '/') return this.name();
		const ref = this.match(REF);
		if (ref) return new Ref(`${Number(ref[1])} 0 R`);
		const [word] = this.match(WORD);
		if (!/^([+-]?[\d.]+|true|false|null)$/.test(word)) throw new SyntaxError(word);
		return word;
	}

	name() {
		this.at += 1;
		return new Name((this.match(WORD)?.[0] ?? '').replace(/#([0-9A-Fa-f]{2})/g, (_, code) => String.fromCharCode(parseInt(code, 16))));
	}

	list(end, depth) {
		this.at += end.length;
		const values = [];
		for (this.match(SPACE); !this.text.startsWith(end, this.at); this.match(SPACE)) values.push(this.value(depth + 1));
		this.at += end.length;
		return values;
	}

	dict(depth) {
		const values = this.list('>>', depth);
		const dict = new Map();
		for (let i = 0; i + 1 < values.length; i += 2) dict.set(String(values[i]), values[i + 1]);
		return dict;
	}

	literal() {
		const start = this.at;
		let open = 0;
		do {
			const c = this.text[this.at++];
			if (c === undefined) throw new SyntaxError('no end');
			if (c === '\\') this.at += 1;
			else open += (c === '(') - (c === ')');
		} while (open);
		return this.text.slice(start, this.at);
	}

	/** The object that stands here: a value, or a stream. */
	object() {
		const dict = this.value();
		this.match(SPACE);
		if (!(dict instanceof Map) || !this.match(/stream(\r\n?|\n)/y)) return dict;
		const start = this.at;
		const said = start + Number(dict.get('Length'));
		this.at = /^\s*endstream/.test(this.text.slice(said, said + 14)) ? said : this.text.indexOf('endstream', start);
		if (this.at < 0) throw new SyntaxError('no end');
		return new Stream(dict, this.text.slice(start, this.at));
	}
}

/** Bytes as characters; and back. */
function characters(data) {
	let text = '';
	for (let at = 0; at < data.length; at += 32768) text += String.fromCharCode(...data.subarray(at, at + 32768));
	return text;
}

function binary(text) {
	const data = new Uint8Array(text.length);
	for (let at = 0; at < text.length; at += 1) data[at] = text.charCodeAt(at);
	return data;
}

/** All objects by number, those within object streams too, and the reference of the document's catalog. */
async function read(text) {
	if (ENCRYPTED.test(text)) throw new SyntaxError('encrypted');
	const objects = new Map();
	const room = { left: MOST };
	let root = null;
	const note = (dict) => (root = dict.get('Root') ?? root);
	OBJECT.lastIndex = 0;
	for (let found = OBJECT.exec(text); found; found = OBJECT.exec(text)) {
		const reader = new Reader(text, OBJECT.lastIndex);
		const object = reader.object();
		OBJECT.lastIndex = reader.at;
		const type = object instanceof Stream && object.dict.get('Type');
		if (type instanceof Ref) throw new SyntaxError('a type elsewhere');
		if (String(type) === 'ObjStm') await unpack(object, objects, room);
		else if (String(type) === 'XRef') note(object.dict);
		else objects.set(Number(found[1]), object);
	}
	for (const found of text.matchAll(/trailer\s*(?=<<)/g)) note(new Reader(text, found.index + found[0].length).value());
	return { objects, root };
}

function spend(room, size) {
	room.left -= size;
	if (room.left < 0) throw new RangeError('too much');
}

async function inflate(data, room) {
	const bounded = new TransformStream({
		transform(chunk, out) {
			spend(room, chunk.length);
			out.enqueue(chunk);
		},
	});
	const stream = new Blob([binary(data)]).stream().pipeThrough(new DecompressionStream('deflate')).pipeThrough(bounded);
	return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Take the objects out of an object stream (§7.5.7). */
async function unpack({ dict, data }, objects, room) {
	if (String([dict.get('Filter')].flat()[0]) !== 'FlateDecode' || dict.has('DecodeParms')) throw new SyntaxError('packed otherwise');
	const text = characters(await inflate(data, room));
	const head = new Reader(text);
	for (let left = Number(dict.get('N')); left > 0; left -= 1) {
		const number = Number(head.value());
		const at = Number(dict.get('First')) + Number(head.value());
		const reader = new Reader(text, at);
		objects.set(number, reader.value());
		spend(room, reader.at - at);
	}
}

/** A value as text, without what is left out. */
function write(value) {
	if (value instanceof Name) return `/${[...value].map((c) => (/[\w.+-]/.test(c) ? c : `#${hex(c)}`)).join('')}`;
	if (Array.isArray(value)) return `[${value.map(write).join(' ')}]`;
	if (value instanceof Stream) return writeStream(value);
	if (!(value instanceof Map)) return String(value);
	const kind = value.get('S');
	if (kind instanceof Ref || ACTIONS.has(String(kind))) return 'null';
	const kept = [...value].filter(([name]) => !LEFT_OUT.has(name));
	return `<<${kept.map(([name, each]) => `${write(new Name(name))} ${write(each)}`).join('\n')}>>`;
}

function writeStream({ dict, data }) {
	const own = new Map([...dict].filter(([name]) => !OUTSIDE.has(name)));
	return `${write(own.set('Length', data.length))}\nstream\n${data}\nendstream`;
}

function compose(objects, root) {
	let text = '%PDF-1.7\n';
	let table = '0 1\n0000000000 65535 f \n';
	let size = 0;
	for (const [number, object] of objects) {
		table += `${number} 1\n${String(text.length).padStart(10, '0')} 00000 n \n`;
		text += `${number} 0 obj\n${write(object)}\nendobj\n`;
		size = Math.max(size, number + 1);
	}
	return `${text}xref\n${table}trailer<</Size ${size}/Root ${root}>>\nstartxref\n${text.length}\n%%EOF\n`;
}

/** A copy of the PDF `data` that runs nothing; null if there can be none. */
export async function tame(data) {
	try {
		const { objects, root } = await read(characters(data));
		if (!(root instanceof Ref)) return null;
		const copy = compose(objects, root);
		return NEVER.some((name) => name.test(copy)) ? null : binary(copy);
	} catch {
		return null; // damaged, or made to be
	}
}
