/** Renders a document through the cursor in Clark notation: `<{namespace}name {namespace}attribute="value">text</>`. */

import { type NbfxReader, NodeType } from '#src/protocol/nbfx/reader.js';

function name(namespace: string, localName: string): string {
  return namespace === '' ? localName : `{${namespace}}${localName}`;
}

export function clark(reader: NbfxReader): string {
  let out = '';
  for (;;) {
    switch (reader.next()) {
      case NodeType.start: {
        out += `<${name(reader.namespace, reader.localName)}`;
        for (let i = 0; i < reader.attributeCount; i++) {
          const attribute = reader.attributeAt(i);
          out += ` ${name(attribute.namespace, attribute.localName)}="${attribute.value}"`;
        }
        out += '>';
        break;
      }
      case NodeType.text:
        out += reader.currentText();
        break;
      case NodeType.end:
        out += '</>';
        break;
      case NodeType.done:
        return out;
    }
  }
}

export function fromHex(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex.replace(/\s+/g, ''), 'hex'));
}
