import type { UsageRecord } from '#core/usage.ts';

/**
 * The records that came with a message and with its pack. As a rule the pack's are among the message's; where they are
 * not, the pack was made twice: then this one was for nothing, unless its own message never came.
 */
export function carriedUsage(
  ofMessage: readonly UsageRecord[],
  ofPack: readonly UsageRecord[],
): UsageRecord[] {
  const known = new Set(ofMessage.map(({ id }) => id));
  const made = ofMessage.some(({ waste, usage }) => !waste && usage.counts['packs'] !== undefined);
  const others = ofPack.filter(({ id }) => !known.has(id));
  return [...ofMessage, ...others.map((record) => ({ ...record, waste: made || record.waste }))];
}
