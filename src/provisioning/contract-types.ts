/** Data-contract types as pairs of writer and reader, so that client and server share one description of each. */

import type { NbfxReader, Stretch } from '../protocol/nbfx/reader.js';
import { type NbfxWriter, prepare } from '../protocol/nbfx/writer.js';

export const XSI_NAMESPACE = 'http://www.w3.org/2001/XMLSchema-instance';

export interface ContractType<T> {
  /** Attributes and content; the element was started, and the caller ends it. */
  write(writer: NbfxWriter, value: T): void;
  /** The element's start was read; its end is passed. @throws ProtocolError */
  read(reader: NbfxReader): T;
}

/**
 * A member's place in its record. Members are written in the order listed and read in any. How absence is said:
 * `required`: it must be there; `nillable`: undefined is i:nil; `optional`: a value equal to `absent` is left out;
 * `defaulted`: always written. All but `required` read an absent or nil member as `absent`.
 */
export interface Member<T> {
  readonly name: string;
  readonly prefix: string;
  readonly type: ContractType<T>;
  readonly presence: 'required' | 'nillable' | 'optional' | 'defaulted';
  readonly absent: T | undefined;
}

export const text: ContractType<string> = {
  write: (writer, value) => writer.text(value),
  read: (reader) => reader.readText(),
};

/** Text of a small set of values. */
export const recurringText: ContractType<string> = {
  write: (writer, value) => writer.text(value),
  read: (reader) => reader.readRecurringText(),
};

export const boolean: ContractType<boolean> = {
  write: (writer, value) => writer.boolean(value),
  read: (reader) => reader.readBoolean(),
};

export const integer: ContractType<number> = {
  write: (writer, value) => writer.integer(value),
  read: (reader) => reader.readInteger(),
};

export const dateTime: ContractType<Date> = {
  write: (writer, value) => writer.dateTime(value),
  read: (reader) => reader.readDateTime(),
};

export function required<T>(prefix: string, name: string, type: ContractType<T>): Member<T> {
  return { name, prefix, type, presence: 'required', absent: undefined };
}

export function nillable<T>(prefix: string, name: string, type: ContractType<T>): Member<T | undefined> {
  return { name, prefix, type: type as ContractType<T | undefined>, presence: 'nillable', absent: undefined };
}

export function optional<T>(prefix: string, name: string, type: ContractType<T>, absent: T): Member<T> {
  return { name, prefix, type, presence: 'optional', absent };
}

export function defaulted<T>(prefix: string, name: string, type: ContractType<T>, absent: T): Member<T> {
  return { name, prefix, type, presence: 'defaulted', absent };
}

export function isNil(reader: NbfxReader): boolean {
  if (reader.attributeCount === 0) {
    return false;
  }
  const nil = reader.attribute(XSI_NAMESPACE, 'nil');
  return nil === 'true' || nil === '1';
}

type Members<T> = { readonly [Key in keyof T]-?: Member<T[Key]> };

/**
 * A record of members. Reading takes members in any order by their local names (the namespaces of some of the
 * service's contracts are not published), passes over unknown ones, and refuses a second one of a name.
 */
export function record<T extends object>(structure: string, members: Members<T>): ContractType<T> {
  const keys = Object.keys(members) as (keyof T & string)[];
  if (keys.length > 31) {
    throw new RangeError('a record has at most 31 members: they are bits of one integer');
  }
  const list = keys.map((key) => {
    const { name, prefix, type, presence, absent } = members[key];
    const start = prepare((writer) => writer.startElement(prefix, name));
    return {
      key,
      name,
      required: presence === 'required',
      alwaysWritten: presence === 'required' || presence === 'defaulted',
      nil: presence === 'nillable',
      type: type as ContractType<unknown>,
      absent: absent as unknown,
      start,
      nilElement: prepare((writer) => {
        writer.startElement(prefix, name);
        writer.startAttribute('i', 'nil');
        writer.boolean(true);
        writer.endAttribute();
        writer.endElement();
      }),
    };
  });
  const indexByName = new Map(list.map(({ name }, index) => [name, index]));
  const template = Object.fromEntries(list.map(({ key, absent }) => [key, absent])) as T;
  let requiredBits = 0;
  for (const [index, member] of list.entries()) {
    requiredBits |= member.required ? 1 << index : 0;
  }

  const type: ContractType<T> = {
    write(writer, value) {
      for (const member of list) {
        const inner = value[member.key] as unknown;
        if (member.alwaysWritten || inner !== member.absent) {
          writer.startPrepared(member.start);
          member.type.write(writer, inner);
          writer.endElement();
        } else if (member.nil) {
          writer.prepared(member.nilElement);
        }
      }
    },
    read(reader) {
      const value: T = { ...template };
      const habits = reader.keep(type, () => list.map((): Habit => ({ start: undefined, nil: undefined })));
      let seen = 0;
      let expected = 0;
      for (;;) {
        const habit = habits[expected];
        let index = expected;
        let nil = false;
        if (habit?.start !== undefined && reader.repeats(habit.start)) {
          // It stands on the member's start, as it did then.
        } else if (habit?.nil !== undefined && reader.repeats(habit.nil)) {
          nil = true;
        } else {
          const mark = reader.mark();
          if (!reader.nextChild()) {
            break;
          }
          if (list[expected]?.name !== reader.localName) {
            const found = indexByName.get(reader.localName);
            if (found === undefined) {
              reader.skip();
              continue;
            }
            index = found;
          }
          nil = !list[index]!.required && isNil(reader);
          if (nil) {
            reader.skip();
            habits[index]!.nil = reader.stretchFrom(mark);
          } else {
            // A start with attributes might mean more to what reads the content.
            habits[index]!.start = reader.attributeCount === 0 ? reader.stretchFrom(mark) : undefined;
          }
        }
        expected = index + 1;
        const member = list[index]!;
        if ((seen & (1 << index)) !== 0) {
          throw reader.error('provisioning-structure', structure, `${member.name} stands twice`);
        }
        seen |= 1 << index;
        if (!nil) {
          value[member.key] = member.type.read(reader) as T[keyof T & string];
        }
      }
      if ((seen & requiredBits) !== requiredBits) {
        const missing = list.find((_, index) => (requiredBits & ~seen & (1 << index)) !== 0)!;
        throw reader.error('provisioning-structure', structure, `${missing.name} is missing`);
      }
      return value;
    },
  };
  return type;
}

/** How a member stood the last time in this message: its start, or all of it where it is nil. */
interface Habit {
  start: Stretch | undefined;
  nil: Stretch | undefined;
}

/** A list of elements of one name; others are passed over. */
export function listOf<T>(
  prefix: string,
  itemName: string,
  type: ContractType<T>,
  maxItems: number,
): ContractType<readonly T[]> {
  const start = prepare((writer) => writer.startElement(prefix, itemName));
  return {
    write(writer, items) {
      for (const item of items) {
        writer.startPrepared(start);
        type.write(writer, item);
        writer.endElement();
      }
    },
    read(reader) {
      // What is read of a batch is done with together.
      reader.shareTexts();
      const items: T[] = [];
      while (reader.nextChild()) {
        if (reader.localName !== itemName) {
          reader.skip();
          continue;
        }
        if (items.length >= maxItems) {
          throw reader.error('provisioning-limit', itemName, `more than ${maxItems} items`);
        }
        items.push(type.read(reader));
      }
      return items;
    },
  };
}

/** `type` with namespace declarations on its element. */
export function withNamespaces<T>(
  namespaces: Readonly<Record<string, string>>,
  type: ContractType<T>,
): ContractType<T> {
  const declarations = prepare((writer) => {
    for (const [prefix, namespace] of Object.entries(namespaces)) {
      writer.xmlns(prefix, namespace);
    }
  });
  return {
    write(writer, value) {
      writer.prepared(declarations);
      type.write(writer, value);
    },
    read: (reader) => type.read(reader),
  };
}

/** Content that is one element, e.g. an operation's one parameter; the value is that element's. */
export function single<T>(prefix: string, name: string, type: ContractType<T>): ContractType<T> {
  const start = prepare((writer) => writer.startElement(prefix, name));
  return {
    write(writer, value) {
      writer.startPrepared(start);
      type.write(writer, value);
      writer.endElement();
    },
    read(reader) {
      let value: T | undefined;
      while (reader.nextChild()) {
        if (reader.localName !== name) {
          reader.skip();
        } else if (value !== undefined) {
          throw reader.error('provisioning-structure', name, 'stands twice');
        } else {
          value = type.read(reader);
        }
      }
      if (value === undefined) {
        throw reader.error('provisioning-structure', name, 'is missing');
      }
      return value;
    },
  };
}
