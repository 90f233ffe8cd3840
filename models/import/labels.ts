import { SluiceError } from '#core/error.ts';

/**
 * Labels from the text of a file: a JSON list, a JSON object from index to label, or one label a line.
 *
 * @throws SluiceError `config-invalid` where it is none of them.
 */
export function parseLabels(text: string, file: string): string[] {
  const trimmed = text.trim();
  const labels = /^[[{]/.test(trimmed)
    ? labelsFromJson(trimmed, file)
    : trimmed.split(/\r?\n/).map((line) => line.trim());
  if (labels.length === 0 || labels.some((label) => label === ''))
    throw invalid(`"${file}" has an empty label: expected one label a line, without blank lines`);
  return labels;
}

/** Labels from an object whose keys are 0, 1, 2 …; as in Hugging Face's id2label. */
export function labelsByIndex(object: object, file: string): string[] {
  const entries = Object.entries(object).map(([key, value]) => [Number(key), String(value)] as const);
  entries.sort(([a], [b]) => a - b);
  if (entries.some(([index], i) => index !== i))
    throw invalid(
      `"${file}" has labels for ${entries.map(([index]) => index).slice(0, 8)} …: expected 0, 1, 2 …`,
    );
  return entries.map(([, label]) => label);
}

/** Labels from the text of a Python dict, as Ultralytics writes them into its exports: "{0: 'person', 1: 'bicycle'}". */
export function labelsFromPythonDict(text: string): string[] | undefined {
  const found = [...text.matchAll(/(\d+)\s*:\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")/g)];
  if (found.length === 0) return undefined;
  const labels = found.map(([, index, single, double]) => [
    index,
    (single ?? double)?.replace(/\\(.)/g, '$1'),
  ]);
  return labelsByIndex(Object.fromEntries(labels), 'names');
}

/**
 * Labels as names of scores: snake_case, beginning with a letter, each one only once (a second "crane" is "crane_2").
 * Of a list of synonyms, "tench, Tinca tinca", the first stands for all.
 */
export function scoreNamesOf(labels: readonly string[]): string[] {
  const taken = new Set<string>();
  return labels.map((label, index) => {
    const first = label.split(',')[0] as string;
    const plain = first
      .normalize('NFKD')
      .replace(/\p{M}/gu, '')
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '_')
      .replace(/^_+|_+$/g, '');
    const name = /^[a-z]/.test(plain) ? plain : plain === '' ? `class_${index}` : `class_${plain}`;
    let unique = name;
    for (let i = 2; taken.has(unique); i++) unique = `${name}_${i}`;
    taken.add(unique);
    return unique;
  });
}

function labelsFromJson(text: string, file: string): string[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid(`"${file}" begins like JSON, and is none`);
  }
  return Array.isArray(value) ? value.map(String) : labelsByIndex(value as object, file);
}

function invalid(message: string): SluiceError {
  return new SluiceError('config-invalid', message);
}
