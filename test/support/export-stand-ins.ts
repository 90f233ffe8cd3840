import { create } from '@bufbuild/protobuf';
import { StringStringEntryProtoSchema } from '#models/onnx/generated/onnx_pb.js';
import { GraphBuilder, type Value } from '#models/onnx/graph-builder.ts';
import { changed } from './tiny-models.ts';

/** Small models with the names, shapes and metadata that exports of well-known libraries have. */
const OPSET = 18;

/** Numbers from −0.5 to 0.5 that look like none, always the same. */
function weights(g: GraphBuilder, ...shape: number[]): Value {
  let state = 1;
  const count = shape.reduce((a, b) => a * b, 1);
  const values = Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32 - 0.5;
  });
  return g.constant('float32', shape, values);
}

/** As `optimum-cli export onnx` (optimum-onnx 0.1.0) has a ViT: every dimension has a name. */
export function optimumClassifier(labels: number): Uint8Array {
  const g = new GraphBuilder('main_graph', OPSET);
  const pixels = g.input('pixel_values', 'float32', ['batch_size', 'num_channels', 'height', 'width']);
  const means = g.node('ReduceMean', [pixels, g.ints(2, 3)], { keepdims: 0 });
  g.output('logits', 'float32', ['batch_size', labels], g.node('MatMul', [means, weights(g, 3, labels)]));
  return g.toBytes();
}

/** As `torch.onnx.export` has a ResNet of torchvision: a batch of 1, and one that Reshape hides. */
export function torchvisionClassifier(labels: number): Uint8Array {
  const g = new GraphBuilder('main_graph', OPSET);
  const input = g.input('input', 'float32', [1, 3, 224, 224]);
  const stem = g.node('Conv', [input, weights(g, 8, 3, 7, 7)], { strides: [2, 2], pads: [3, 3, 3, 3] });
  const pooled = g.node('GlobalAveragePool', [g.node('Relu', [stem])]);
  const flat = g.node('Reshape', [pooled, g.ints(1, 8)]);
  g.output('logits', 'float32', [1, labels], g.node('MatMul', [flat, weights(g, 8, labels)]));
  return g.toBytes();
}

/** As `yolo export format=onnx` (Ultralytics 8.4) has YOLO11: output0 `[1, 4 + labels, 8400]`, and what it tells of itself. */
export function ultralyticsDetector(labels: readonly string[]): Uint8Array {
  const g = new GraphBuilder('main_graph', OPSET);
  const images = g.input('images', 'float32', [1, 3, 640, 640]);
  const rows = 4 + labels.length;
  const grids = [8, 16, 32].map((px) => {
    const cells = g.node('AveragePool', [images], { kernel_shape: [px, px], strides: [px, px] });
    const head = g.node('Conv', [cells, weights(g, rows, 3, 1, 1)]);
    return g.node('Reshape', [head, g.ints(1, rows, -1)]);
  });
  const all = g.node('Sigmoid', [g.node('Concat', grids, { axis: 2 })]);
  const [boxes, scores] = [
    g.node('Slice', [all, g.ints(0), g.ints(4), g.ints(1)]),
    g.node('Slice', [all, g.ints(4), g.ints(rows), g.ints(1)]),
  ];
  const inPixels = g.node('Mul', [boxes, g.float(640)]);
  g.output('output0', 'float32', [1, rows, 8400], g.node('Concat', [inPixels, scores], { axis: 1 }));
  const names = labels.map((label, i) => `${i}: '${label}'`).join(', ');
  const metadata = {
    description: 'Ultralytics YOLO11n model trained on coco.yaml',
    author: 'Ultralytics',
    license: 'AGPL-3.0 License (https://ultralytics.com/license)',
    stride: '32',
    task: 'detect',
    batch: '1',
    imgsz: '[640, 640]',
    names: `{${names}}`,
  };
  return changed(g.toBytes(), (model) => {
    model.metadataProps = Object.entries(metadata).map(([key, value]) =>
      create(StringStringEntryProtoSchema, { key, value }),
    );
  });
}
