const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPENING = new Set([0x7b, 0x5b]);
const CLOSING = new Set([0x7d, 0x5d]);
const COLON = 0x3a;
const COMMA = 0x2c;

/** A member that was asked for: the keys that lead to it, and its value. */
export interface JsonMember {
  readonly path: readonly string[];
  readonly value: unknown;
}

/**
 * Reads single members of a JSON document of any size, holding one of them at a time: the price list of EC2 has
 * hundreds of megabytes. Members of objects only; what lies in arrays above them is passed over.
 *
 * @param patterns which: ["products", "*"] is every member of "products".
 * @throws SyntaxError where a member is no JSON, or the document ends too early.
 */
export async function* jsonMembers(
  chunks: AsyncIterable<Uint8Array>,
  patterns: readonly (readonly string[])[],
): AsyncGenerator<JsonMember> {
  /** For each open object its key at hand; `undefined` for an array. */
  const keys: (string | undefined)[] = [];
  let isInString = false;
  let isEscaped = false;
  let isKeyNext = false;
  /** Bytes of a key, or of the value of a member that was asked for. */
  let key: number[] | undefined;
  let value: Uint8Array[] | undefined;
  let valueDepth = 0;

  const isWanted = (): boolean =>
    patterns.some(
      (pattern) =>
        pattern.length === keys.length && pattern.every((name, i) => name === '*' || name === keys[i]),
    );

  for await (const chunk of chunks) {
    let valueFrom = value === undefined ? -1 : 0;
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i] as number;
      if (isInString) {
        if (isEscaped) isEscaped = false;
        else if (byte === BACKSLASH) isEscaped = true;
        else if (byte === QUOTE) isInString = false;
        if (key !== undefined) {
          if (isInString) key.push(byte);
          else {
            keys[keys.length - 1] = JSON.parse(`"${Buffer.from(key).toString('utf8')}"`) as string;
            key = undefined;
          }
        }
        continue;
      }
      if (byte === QUOTE) {
        isInString = true;
        if (isKeyNext && value === undefined) key = [];
        isKeyNext = false;
      } else if (byte === COLON && value === undefined && isWanted()) {
        value = [];
        valueFrom = i + 1;
        valueDepth = keys.length;
      } else if (OPENING.has(byte)) {
        keys.push(undefined);
        isKeyNext = byte === 0x7b;
      } else if (byte === COMMA || CLOSING.has(byte)) {
        // The value ends with what comes after it, or with the object it is in.
        if (value !== undefined && keys.length === valueDepth) {
          value.push(chunk.slice(valueFrom, i));
          yield {
            path: keys.map((name) => name ?? ''),
            value: JSON.parse(Buffer.concat(value).toString('utf8')),
          };
          value = undefined;
          valueFrom = -1;
        }
        if (byte === COMMA) isKeyNext = keys.length > 0 && keys[keys.length - 1] !== undefined;
        else {
          keys.pop();
          isKeyNext = false;
        }
      }
    }
    if (value !== undefined) value.push(chunk.slice(valueFrom));
  }
  if (keys.length > 0 || isInString) throw new SyntaxError('the JSON document ends too early');
}
