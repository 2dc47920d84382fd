// node gguf-read.mjs FILE...
// Opens each file with @huggingface/gguf, a reader that shares no code with Quern or ggml, and prints one line of JSON:
// {"file", "metadataCount", "tensorCount", "tensors": [{"name", "dtype", "shape"}]}, shapes innermost first as in the file.
// Exit status 1 if a file cannot be read; a sentence on the standard error output says why.
import { existsSync } from "node:fs";

let library;
try {
	library = await import("@huggingface/gguf");
} catch {
	console.error("@huggingface/gguf is not there: run npm ci in tests/judge.");
	process.exit(1);
}

const HEADER_FIELDS = 3; // version, tensor_count and kv_count, which the reader puts among the metadata

async function read(file) {
	if (!existsSync(file)) {
		throw new Error("no such file");
	}
	const { metadata, tensorInfos } = await library.gguf(file, { allowLocalFile: true });
	const tensors = tensorInfos.map(({ name, dtype, shape }) => {
		const type = library.GGMLQuantizationType[dtype];
		if (type === undefined) {
			throw new Error(`tensor ${name} has the unknown type ${dtype}`);
		}
		return { name, dtype: type, shape: shape.map(Number) };
	});
	return { file, metadataCount: Object.keys(metadata).length - HEADER_FIELDS, tensorCount: tensors.length, tensors };
}

for (const file of process.argv.slice(2)) {
	try {
		console.log(JSON.stringify(await read(file)));
	} catch (error) {
		console.error(`${file}: ${error.message}`);
		process.exitCode = 1;
	}
}
