// Writes charactertable.h: the kinds of characters in Unicode 15.1, the version that llama.cpp's tables are of.
//
//     npm install --no-save --prefix /tmp/unicode @unicode/unicode-15.1.0
//     node core/make_charactertable.mjs /tmp/unicode > core/charactertable.h
import { pathToFileURL } from 'node:url';

const root = `${process.argv[2]}/node_modules/@unicode/unicode-15.1.0`;
const kinds = [ // as CharacterKind in characters.h; whitespace comes last, it wins
    ['General_Category', 'Letter', 1], ['General_Category', 'Number', 2], ['General_Category', 'Mark', 3],
    ['General_Category', 'Punctuation', 4], ['General_Category', 'Symbol', 5], ['Binary_Property', 'White_Space', 6]];
const kindOf = new Uint8Array(0x110000);
for (const [property, value, kind] of kinds) {
    const file = `${root}/${property}/${value}/code-points.mjs`;
    for (const code of (await import(pathToFileURL(file))).default)
        kindOf[code] = kind;
}
const entries = [];
for (let code = 0x80; code < kindOf.length; ++code)
    if (code === 0x80 || kindOf[code] !== kindOf[code - 1])
        entries.push(`0x${(code * 16 + kindOf[code]).toString(16).toUpperCase().padStart(6, '0')}`);

console.log(`#pragma once

#include <array>
#include <cstdint>

// Written by make_charactertable.mjs, which says how to renew it.
// clang-format off
namespace quern {

// Where another kind of character begins, from U+0080 on: code point times 16, plus a CharacterKind.
constexpr std::array<std::uint32_t, ${entries.length}> kCharacterTable {`);
for (let i = 0; i < entries.length; i += 11)
    console.log(`    ${entries.slice(i, i + 11).join(', ')},`);
console.log(`};

} // namespace quern
// clang-format on`);
