/** A cursor over MC-NBFX documents: structure, attributes and namespaces over the records (2.2.1, 2.2.2, 2.3). */

import type { NbfxLimits } from './limits.js';
import { fixedSize, LETTERS, RecordInput } from './record-input.js';
import { RecordType } from './records.js';

/** What the cursor stands on. Comments are passed over. */
export const NodeType = { start: 1, text: 2, end: 3, done: 4 } as const;
export type NodeTypeCode = (typeof NodeType)[keyof typeof NodeType];

const XML_NAMESPACE = 'http://www.w3.org/XML/1998/namespace';
const XMLNS_NAMESPACE = 'http://www.w3.org/2000/xmlns/';
/** Records that an Array may repeat (2.2.1.3), by the type with end element. */
const ARRAY_TYPES: ReadonlySet<number> = new Set([
  RecordType.Bool,
  RecordType.Int16,
  RecordType.Int32,
  RecordType.Int64,
  RecordType.Float,
  RecordType.Double,
  RecordType.Decimal,
  RecordType.DateTime,
  RecordType.TimeSpan,
  RecordType.Uuid,
]);

/**
 * Walks a document node by node. The cursor reuses its state: names and attributes are those of the last start
 * element until the next one.
 *
 * @throws ProtocolError `nbfx-truncated`, `nbfx-record`, `nbfx-value`, `nbfx-structure`, `nbfx-namespace`, `nbfx-limit`
 */
export class NbfxCursor extends RecordInput {
  /** Of the last start element. */
  localName = '';
  /** '' where there is none. */
  namespace = '';
  prefix = '';
  /** Open elements. */
  depth = 0;
  attributeCount = 0;
  /** Of the last `qnameAttribute`. */
  qnameNamespace = '';
  qnameLocalName = '';

  #rootSeen = false;
  /** Elements started so far. */
  protected elements = 0;
  /** Changes with every declaration that comes into scope or leaves it. */
  protected scope = 0;
  /** The last text was of the kind "with end element", and its end was not delivered yet. */
  protected pendingEnd = false;
  protected textType = 0;
  protected textPos = 0;

  readonly #attrPrefix: string[] = [];
  readonly #attrName: string[] = [];
  readonly #attrNs: string[] = [];
  readonly #attrType: number[] = [];
  readonly #attrPos: number[] = [];

  // Declarations in scope, innermost last; each open element knows how many there were before it.
  readonly #nsPrefix: string[] = [];
  readonly #nsUri: string[] = [];
  #nsCount = 0;
  readonly #nsBase: number[] = [];

  // An Array record in progress: items left, their record type, whether one is open, and the scope before it.
  protected arrayLeft = 0;
  #arrayType = 0;
  #arrayOpen = false;
  #arrayNsBase = 0;
  protected arrayTotal = 0;

  constructor(bytes: Uint8Array, limits: Partial<NbfxLimits> = {}) {
    super(bytes, limits);
  }

  /** The next node. After the root's end: `done`, once nothing but comments follow. */
  next(): NodeTypeCode {
    if (this.pendingEnd) {
      this.pendingEnd = false;
      this.pop();
      return NodeType.end;
    }
    if (this.arrayLeft > 0) {
      return this.#nextOfArray();
    }
    for (;;) {
      if (this.depth === 0 && this.#rootSeen && this.pos === this.end) {
        return NodeType.done;
      }
      const type = this.byte('record');
      if (type >= RecordType.ShortElement && type < RecordType.Zero) {
        this.start(type);
        return NodeType.start;
      }
      if (type >= RecordType.Zero) {
        this.#inElement('text record');
        this.textType = type & 0xfe;
        this.textPos = this.pos;
        this.checkEnd(type);
        this.passText(this.textType);
        this.pendingEnd = (type & 1) === 1;
        return NodeType.text;
      }
      if (type === RecordType.EndElement) {
        this.#inElement('EndElement');
        this.pop();
        return NodeType.end;
      }
      if (type === RecordType.Array) {
        if (this.#startArray()) {
          return this.#nextOfArray();
        }
      } else if (type === RecordType.Comment) {
        this.#comment();
      } else {
        throw this.error('nbfx-record', 'record', `0x${type.toString(16)} cannot stand here`, this.pos - 1);
      }
    }
  }

  /** The characters of the text node that `next` stands on. */
  currentText(): string {
    return this.textAt(this.textType, this.textPos);
  }

  /** The value of an attribute of the last start element. Unprefixed attributes have the namespace ''. */
  attribute(namespace: string, localName: string): string | undefined {
    for (let i = 0; i < this.attributeCount; i++) {
      if (this.#attrName[i] === localName && this.#attrNs[i] === namespace) {
        return this.textAt(this.#attrType[i]!, this.#attrPos[i]!);
      }
    }
    return undefined;
  }

  /**
   * The value of an attribute that is a QName, such as xsi:type: false without such an attribute, else `qnameNamespace`
   * and `qnameLocalName` are set.
   */
  qnameAttribute(namespace: string, localName: string): boolean {
    for (let i = 0; i < this.attributeCount; i++) {
      if (this.#attrName[i] !== localName || this.#attrNs[i] !== namespace) {
        continue;
      }
      const offset = this.#attrPos[i]!;
      if (this.#attrType[i] === RecordType.QNameDictionary) {
        const back = this.pos;
        this.pos = offset + 1;
        this.qnameLocalName = this.dictionary('QNameDictionaryText');
        this.pos = back;
        this.qnameNamespace = this.resolve(this.letter(this.buf[offset]!));
      } else {
        const text = this.textAt(this.#attrType[i]!, offset).trim();
        const colon = text.indexOf(':');
        this.qnameLocalName = text.slice(colon + 1);
        this.qnameNamespace = this.resolve(text.slice(0, Math.max(0, colon)));
      }
      return true;
    }
    return false;
  }

  /** The i-th attribute in document order. */
  attributeAt(index: number): { namespace: string; localName: string; prefix: string; value: string } {
    if (!(index >= 0 && index < this.attributeCount)) {
      throw new RangeError(`there are ${this.attributeCount} attributes, not one at ${index}`);
    }
    return {
      namespace: this.#attrNs[index]!,
      localName: this.#attrName[index]!,
      prefix: this.#attrPrefix[index]!,
      value: this.textAt(this.#attrType[index]!, this.#attrPos[index]!),
    };
  }

  /** The namespace that a prefix stands for here ('' : the default one), or undefined. For QNames in values. */
  lookupNamespace(prefix: string): string | undefined {
    for (let i = this.#nsCount - 1; i >= 0; i--) {
      if (this.#nsPrefix[i] === prefix) {
        return this.#nsUri[i];
      }
    }
    return prefix === '' ? '' : prefix === 'xml' ? XML_NAMESPACE : undefined;
  }

  protected textAt(type: number, offset: number): string {
    const back = this.pos;
    this.pos = offset;
    const text = this.text(type);
    this.pos = back;
    return text;
  }

  /** A start element record with its attributes; `type` was read. */
  protected start(type: number): void {
    const nsBase = this.#nsCount;
    this.#startTag(type);
    this.#push(nsBase);
  }

  #startTag(type: number): void {
    let prefix = '';
    let localName: string;
    if (type >= RecordType.PrefixElementA) {
      prefix = this.letter(type - RecordType.PrefixElementA);
      localName = this.name('element');
    } else if (type >= RecordType.PrefixDictionaryElementA) {
      prefix = this.letter(type - RecordType.PrefixDictionaryElementA);
      localName = this.dictionary('element');
    } else {
      if ((type & 1) === 1) {
        prefix = this.name('element prefix');
      }
      localName = type < RecordType.ShortDictionaryElement ? this.name('element') : this.dictionary('element');
    }
    this.attributeCount = 0;
    if (this.pos < this.end) {
      const next = this.buf[this.pos]!;
      if (next >= RecordType.ShortAttribute && next < RecordType.ShortElement) {
        this.#attributes(this.#nsCount);
      }
    }
    this.localName = localName;
    this.prefix = prefix;
    this.namespace = this.resolve(prefix);
  }

  #push(nsBase: number): void {
    if (this.depth === 0 && this.#rootSeen) {
      throw this.error('nbfx-structure', 'document', 'more than one root element');
    }
    if (this.depth >= this.limits.maxDepth) {
      throw this.error('nbfx-limit', 'element', `more than ${this.limits.maxDepth} open elements`);
    }
    if (++this.elements > this.limits.maxElements) {
      throw this.error('nbfx-limit', 'document', `more than ${this.limits.maxElements} elements`);
    }
    this.#rootSeen = true;
    this.#nsBase[this.depth++] = nsBase;
  }

  protected pop(): void {
    const nsCount = this.#nsBase[--this.depth]!;
    if (nsCount !== this.#nsCount) {
      this.#nsCount = nsCount;
      this.scope++;
    }
  }

  /** Elements without declarations are open once more. The caller has looked at the limits. */
  protected reopen(elements: number): void {
    for (let i = 0; i < elements; i++) this.#nsBase[this.depth++] = this.#nsCount;
  }

  #attributes(nsBase: number): void {
    const { end, buf } = this;
    const { maxAttributes } = this.limits;
    let count = 0;
    while (this.pos < end) {
      const offset = this.pos;
      const type = buf[offset]!;
      if (type < RecordType.ShortAttribute || type >= RecordType.ShortElement) {
        break;
      }
      this.pos++;
      if (count + this.#nsCount - nsBase >= maxAttributes) {
        throw this.error('nbfx-limit', 'element', `more than ${maxAttributes} attributes`, offset);
      }
      if (type >= RecordType.ShortXmlnsAttribute && type <= RecordType.DictionaryXmlnsAttribute) {
        this.#declare(type, nsBase);
        continue;
      }
      let prefix = '';
      let localName: string;
      if (type >= RecordType.PrefixAttributeA) {
        prefix = this.letter(type - RecordType.PrefixAttributeA);
        localName = this.name('attribute');
      } else if (type >= RecordType.PrefixDictionaryAttributeA) {
        prefix = this.letter(type - RecordType.PrefixDictionaryAttributeA);
        localName = this.dictionary('attribute');
      } else {
        if ((type & 1) === 1) {
          prefix = this.name('attribute prefix');
        }
        localName = type < RecordType.ShortDictionaryAttribute ? this.name('attribute') : this.dictionary('attribute');
      }
      const textType = this.byte('attribute');
      if (textType < RecordType.Zero || (textType & 1) === 1) {
        throw this.error('nbfx-record', 'attribute', `0x${textType.toString(16)} is no text record`, this.pos - 1);
      }
      this.#attrPrefix[count] = prefix;
      this.#attrName[count] = localName;
      this.#attrType[count] = textType;
      this.#attrPos[count] = this.pos;
      this.passText(textType);
      count++;
    }
    this.attributeCount = count;
    for (let i = 0; i < count; i++) {
      // An attribute without prefix is in no namespace (Namespaces in XML 1.0, 6.2).
      this.#attrNs[i] = this.#attrPrefix[i] === '' ? '' : this.resolve(this.#attrPrefix[i]!);
      for (let j = 0; j < i; j++) {
        if (this.#attrName[j] === this.#attrName[i] && this.#attrNs[j] === this.#attrNs[i]) {
          throw this.error('nbfx-structure', 'attribute', `${JSON.stringify(this.#attrName[i])} stands twice`);
        }
      }
    }
  }

  #declare(type: number, nsBase: number): void {
    const offset = this.pos - 1;
    if (this.#nsCount >= this.limits.maxNamespaces) {
      const most = this.limits.maxNamespaces;
      throw this.error('nbfx-limit', 'xmlns', `more than ${most} namespace declarations in scope`, offset);
    }
    const prefix = (type & 1) === 1 ? this.name('xmlns prefix') : '';
    const uri = type < RecordType.ShortDictionaryXmlnsAttribute ? this.name('xmlns', true) : this.dictionary('xmlns');
    if (prefix === 'xmlns' || uri === XMLNS_NAMESPACE || (prefix === 'xml') !== (uri === XML_NAMESPACE)) {
      throw this.error('nbfx-namespace', 'xmlns', 'xml and xmlns are reserved', offset);
    }
    if (uri === '' && prefix !== '') {
      throw this.error('nbfx-namespace', 'xmlns', 'a prefix cannot be undeclared', offset);
    }
    for (let i = nsBase; i < this.#nsCount; i++) {
      if (this.#nsPrefix[i] === prefix) {
        throw this.error('nbfx-namespace', 'xmlns', `the prefix ${JSON.stringify(prefix)} is declared twice`, offset);
      }
    }
    this.#nsPrefix[this.#nsCount] = prefix;
    this.#nsUri[this.#nsCount++] = uri;
    this.scope++;
  }

  protected resolve(prefix: string): string {
    const namespace = this.lookupNamespace(prefix);
    if (namespace === undefined) {
      throw this.error('nbfx-namespace', 'prefix', `${JSON.stringify(prefix)} is not declared`);
    }
    return namespace;
  }

  protected letter(index: number): string {
    const letter = LETTERS[index];
    if (letter === undefined) {
      throw this.error('nbfx-record', 'record', 'no such record type', this.pos - 1);
    }
    return letter;
  }

  /** Array (2.2.1.3): one start tag, EndElement, record type, count, values. True if there is an item. */
  #startArray(): boolean {
    this.#inElement('Array');
    const element = this.byte('Array');
    if (element < RecordType.ShortElement || element >= RecordType.Zero) {
      throw this.error('nbfx-record', 'Array', 'no element record', this.pos - 1);
    }
    this.#arrayNsBase = this.#nsCount;
    this.#startTag(element);
    if (this.byte('Array') !== RecordType.EndElement) {
      throw this.error('nbfx-record', 'Array', 'no EndElement after the element', this.pos - 1);
    }
    const type = this.byte('Array');
    if ((type & 1) === 0 || !ARRAY_TYPES.has(type - 1)) {
      throw this.error('nbfx-record', 'Array', `0x${type.toString(16)} cannot be repeated`, this.pos - 1);
    }
    const count = this.int31('Array');
    this.arrayTotal += count;
    if (this.arrayTotal > this.limits.maxArrayItems) {
      throw this.error('nbfx-limit', 'Array', `more than ${this.limits.maxArrayItems} items in the message's arrays`);
    }
    this.need(count * fixedSize(type - 1), 'Array');
    this.#arrayType = type - 1;
    this.arrayLeft = count;
    if (count === 0) {
      this.#nsCount = this.#arrayNsBase;
      this.scope++;
    }
    return count > 0;
  }

  #nextOfArray(): NodeTypeCode {
    if (!this.#arrayOpen) {
      this.#arrayOpen = true;
      // Only the last item's end takes the declarations of the shared start tag out of scope.
      this.#push(this.arrayLeft === 1 ? this.#arrayNsBase : this.#nsCount);
      return NodeType.start;
    }
    this.#arrayOpen = false;
    this.arrayLeft--;
    this.textType = this.#arrayType;
    this.textPos = this.pos;
    this.passText(this.#arrayType);
    this.pendingEnd = true;
    return NodeType.text;
  }

  #inElement(structure: string): void {
    if (this.depth === 0) {
      throw this.error('nbfx-structure', structure, 'outside the root element', this.pos - 1);
    }
  }

  /** StartList and EndList have no form with end element, and EndList does not stand alone. */
  protected checkEnd(type: number): void {
    if (type === RecordType.StartList + 1 || type === RecordType.EndList || type === RecordType.EndList + 1) {
      throw this.error('nbfx-record', 'text record', `0x${type.toString(16)} cannot stand here`);
    }
  }

  #comment(): void {
    const size = this.int31('Comment');
    if (size > this.limits.maxTextBytes) {
      throw this.error('nbfx-limit', 'Comment', `${size} bytes, at most ${this.limits.maxTextBytes} are taken`);
    }
    this.need(size, 'Comment');
    this.pos += size;
  }
}
