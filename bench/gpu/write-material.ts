import { join } from 'node:path';
import { writePhotoVariations } from '#test/support/photo-variations.ts';
import { writeResNet } from './models.ts';

// What gather.sh needs besides the imported models: pictures to calibrate with and others to compare scores of, and a ResNet-50:
//   node --import tsx bench/gpu/write-material.ts PHOTOS OUT
const [photos = '', out = ''] = process.argv.slice(2);
const VARIATIONS = { calibration: 28, evaluation: 10 } as const;
for (const side of ['calibration', 'evaluation'] as const) {
  const written = await writePhotoVariations(photos, side, join(out, side), VARIATIONS[side]);
  console.log(`${written} pictures for ${side}`);
}
await writeResNet(join(out, 'seeded'), 50);
