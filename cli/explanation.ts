import type { AuditRecord } from '#core/audit-record.ts';
import type { Detection } from '#core/decode/detection.ts';
import { placementOf } from '#core/geometry.ts';
import { imageMeasures } from '#core/measures.ts';
import type { Condition, Measures, Policy } from '#core/policy.ts';
import type { PreprocessSpec } from '#core/preprocess-spec.ts';

/** Everything that the audit saw in one image, for a person. */
export function explanation(
  record: AuditRecord,
  policy: Policy,
  spec: PreprocessSpec,
  detections: readonly Detection[],
): string {
  const lines = [record.key, '', ...row('verdict', record.verdict ?? 'none')];
  if (record.errorCode !== null)
    lines.push(...row('refused', `${record.errorCode}: ${record.errorDetail ?? ''}`));
  lines.push(...row('file', `${record.bytes.toLocaleString('en-US')} bytes, etag ${record.etag || 'none'}`));
  if (record.widthPx !== null && record.heightPx !== null) {
    const { scaled, crop } = placementOf({ widthPx: record.widthPx, heightPx: record.heightPx }, spec);
    lines.push(
      ...row('image', `${record.format}, ${record.widthPx} × ${record.heightPx} px upright`),
      ...row(
        'seen as',
        `${scaled.widthPx} × ${scaled.heightPx} px scaled, ${crop.widthPx} × ${crop.heightPx} px of it in ${spec.widthPx} × ${spec.heightPx} (${spec.resize.mode}, ${spec.kernel}, ${spec.fidelity}, ${spec.color})`,
      ),
      ...row('content hash', record.contentHash ?? 'none'),
      ...row('perceptual hash', record.perceptualHash ?? 'none: the picture is too flat to have one'),
      '',
      ...scoreLines(record, policy),
      ...detectionLines(detections),
    );
  }
  const { receipt } = record;
  lines.push(
    '',
    ...row('model', `${receipt.model}, sha256 ${receipt.modelSha256}`),
    ...row(
      'preprocess',
      `${receipt.preprocessHash} by ${receipt.decoderVersion}, ${record.preprocessMs ?? 0} ms`,
    ),
    ...row('decode', receipt.decodeHash),
    ...row('policy', receipt.policyHash),
    ...row('made by', `${receipt.softwareVersion} on ${receipt.provider}`),
  );
  return `${lines.join('\n')}\n`;
}

function scoreLines(record: AuditRecord, policy: Policy): string[] {
  const measures = imageMeasures(record, record.scores);
  const inRules = policy.rules.map((rule) => {
    const flag = record.checks.includes(rule.check) ? `flagged → ${rule.verdict}` : 'no flag';
    return `  ${rule.check.padEnd(18)} ${flag.padEnd(18)} ${conditionText(rule.when, measures)}`;
  });
  const used = inRules.join(' ');
  // A detector of many labels has found few of them: the others are 0 and say nothing.
  const others = Object.entries(record.scores).filter(
    ([name, value]) => !used.includes(` ${name} `) && !(value === 0 && name.endsWith('_max')),
  );
  return [
    'checks',
    ...inRules,
    ...others.map(([name, value]) => `  ${name.padEnd(18)} ${'score'.padEnd(18)} ${short(value)}`),
  ];
}

/** Objects in pixels of the upright image, the best first. */
function detectionLines(detections: readonly Detection[]): string[] {
  if (detections.length === 0) return [];
  const lines = detections.map(({ label, score, box }) => {
    const { leftPx, topPx, rightPx, bottomPx } = box;
    const at = `${Math.round(leftPx)}, ${Math.round(topPx)} to ${Math.round(rightPx)}, ${Math.round(bottomPx)} px`;
    return `  ${label.padEnd(18)} ${short(score).padEnd(18)} ${at}`;
  });
  return ['', 'objects', ...lines];
}

function conditionText(condition: Condition, measures: Measures): string {
  if ('all' in condition) return condition.all.map((c) => conditionText(c, measures)).join(' and ');
  if ('any' in condition) return condition.any.map((c) => conditionText(c, measures)).join(' or ');
  const { measure, below, above } = condition;
  const value = measures[measure];
  const bounds = [
    below === undefined ? [] : [`below ${below}`],
    above === undefined ? [] : [`above ${above}`],
  ].flat();
  const found = value === undefined ? 'known only for a whole job' : `is ${short(value)}`;
  return `${measure} ${found} (flags ${bounds.join(' and ')})`;
}

function row(name: string, value: string): string[] {
  return [`  ${name.padEnd(16)} ${value}`];
}

function short(value: number): string {
  return String(Number(value.toPrecision(4)));
}
