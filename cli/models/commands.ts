import { type Command, Option } from 'commander';
import { PreprocessSpec } from '#core/preprocess-spec.ts';
import { PRESETS } from '#models/import/presets.ts';
import { DECODES } from '#models/import/wishes.ts';
import { CALIBRATORS } from '#models/precision/calibration/calibrators.ts';
import { TARGETS } from '#models/precision/calibration/quantization.ts';
import { DEFAULT_TOLERANCES } from '#models/verify/tolerances.ts';
import type { BuildEngineFlags } from './build-engine.ts';
import { DEFAULT_MIN_TOP1, type PrecisionFlags, type QuantizeFlags } from './precision-flags.ts';

/** Adds `sluice models …` to the program. */
export function addModelCommands(program: Command): void {
  const models = program
    .command('models')
    .description('take models in, and check that they score as they should');
  addImport(models);
  addVerify(models);
  addQuantize(models);
  addToFp16(models);
  addBuildEngine(models);
}

function addImport(models: Command): void {
  models
    .command('import')
    .description('take an ONNX model in: build its preprocessing into the graph, and write its manifest')
    .argument('<model>', 'an .onnx file, or a folder with one, as from the Hugging Face hub')
    .option('-o, --out <folder>', 'the folder of models; the model gets a folder of its own in it', 'models')
    .option('--name <name>', "the model's name (default: that of the file or folder)")
    .option('--force', 'replace a model of this name')
    .option('--labels <file|list>', 'one label a line or JSON, in the order of training; or a list: cat,dog')
    .addOption(
      new Option('--preset <name>', 'how it was trained')
        .choices(Object.keys(PRESETS))
        .helpGroup('Preprocessing'),
    )
    .addOption(
      new Option('--input-size <WxH>', 'for models of any input size: 224, or 320x240').helpGroup(
        'Preprocessing',
      ),
    )
    .addOption(
      new Option(
        '--resize <how>',
        'squash, squash-crop:<px|WxH>, center-crop, center-crop:<shorter side px>, letterbox, letterbox:<gray>, letterbox-start:<gray>',
      ).helpGroup('Preprocessing'),
    )
    .addOption(
      new Option('--kernel <kernel>', 'how pixels are resampled')
        .choices(PreprocessSpec.shape.kernel.options)
        .helpGroup('Preprocessing'),
    )
    .addOption(
      new Option(
        '--fidelity <fidelity>',
        'exact: to the byte as Pillow; faithful: within a level or two, and faster',
      )
        .choices(PreprocessSpec.shape.fidelity.unwrap().options)
        .helpGroup('Preprocessing'),
    )
    .addOption(
      new Option(
        '--scale <number>',
        'the input is (level · scale − mean) / std, level 0–255; such as 1/255',
      ).helpGroup('Preprocessing'),
    )
    .addOption(
      new Option('--mean <numbers>', "one for each channel, in the model's order").helpGroup('Preprocessing'),
    )
    .addOption(new Option('--std <numbers>', 'the same').helpGroup('Preprocessing'))
    .addOption(
      new Option('--channel-order <order>', 'of the input')
        .choices(['rgb', 'bgr'])
        .helpGroup('Preprocessing'),
    )
    .addOption(
      new Option('--layout <layout>', 'of the input').choices(['nchw', 'nhwc']).helpGroup('Preprocessing'),
    )
    .addOption(
      new Option('--output <name>', 'the output to read, where there are several').helpGroup('Outputs'),
    )
    .addOption(
      new Option('--output-decode <how>', 'how to read it').choices([...DECODES]).helpGroup('Outputs'),
    )
    .addOption(new Option('--top-k <n>', 'keep only the highest scores of an image').helpGroup('Outputs'))
    .addOption(new Option('--box-format <format>').choices(['xyxy', 'yxyx', 'cxcywh']).helpGroup('Outputs'))
    .addOption(new Option('--box-unit <unit>').choices(['pixels', 'normalized']).helpGroup('Outputs'))
    .addOption(
      new Option('--min-score <x>', 'leave out objects with a lower score (0.25)').helpGroup('Outputs'),
    )
    .addOption(
      new Option('--max-overlap <x>', 'intersection over union of two objects (0.45)').helpGroup('Outputs'),
    )
    .addOption(new Option('--max-detections <n>', 'objects in one image (300)').helpGroup('Outputs'))
    .addOption(
      new Option('--review <rule...>', 'verdict "review" for images such as "porn above 0.5"').helpGroup(
        'Manifest',
      ),
    )
    .addOption(new Option('--reject <rule...>', 'the same with verdict "reject"').helpGroup('Manifest'))
    .addOption(new Option('--license <text>', 'of the model').helpGroup('Manifest'))
    .addOption(new Option('--source <text>', 'where the model is from').helpGroup('Manifest'))
    .addOption(new Option('--description <text>', 'what it is for').helpGroup('Manifest'))
    .option('--max-seconds-per-run <s>', 'stop a trial run that takes longer', '60')
    .action(async (path: string, flags: Record<string, unknown>) => {
      const { importCommand } = await import('./import.ts');
      process.exitCode = await importCommand(path, flags);
    })
    .addHelpText(
      'after',
      `
Examples:
  sluice models import nsfw-classifier/                        # a folder from the Hugging Face hub
  sluice models import resnet50.onnx --preset imagenet --labels classes.txt
  sluice models import yolo11n.onnx                            # an Ultralytics export tells of itself
  sluice run photos --out audit --model ./models/yolo11n
`,
    );
}

function addVerify(models: Command): void {
  const { maxPixelMean, maxPixelP99, maxScoreDifference, minBoxOverlap, minTop1 } = DEFAULT_TOLERANCES;
  models
    .command('verify')
    .description('check that a model sees and scores pictures as in training; exits with 1 where it does not')
    .argument('<name|folder>', 'the model')
    .option('--images <path...>', 'reference images or folders (default: the golden ones beside the model)')
    .option('--tensor <file.npy>', 'what training code fed the model with for them, saved by numpy.save')
    .option(
      '--expected <file>',
      'the right scores: JSON {"image.jpg": {"score": 0.9}}, or .npy [N, scores]; of a detector {"image.jpg": {"objects": [{"label", "score", "box": [left, top, right, bottom]}]}}',
    )
    .option(
      '--original <model.onnx>',
      'the model as it was before import; by itself it does not check the preprocessing',
    )
    .option('--max-pixel-mean <levels>', `largest mean difference of an image's pixels (${maxPixelMean})`)
    .option('--max-pixel-p99 <levels>', `the same at the 99th percentile (${maxPixelP99})`)
    .option('--max-score-difference <x>', `largest difference of a score (${maxScoreDifference})`)
    .option(
      '--min-box-overlap <x>',
      `smallest intersection over union of an object's boxes (${minBoxOverlap})`,
    )
    .option('--min-top1 <share>', `smallest share of images with the same best label (${minTop1})`)
    .option('--no-store', 'do not store golden results beside the model when all is well')
    .option('--json', 'print the report as one line of JSON')
    .action(async (nameOrFolder: string, flags: Record<string, unknown>) => {
      const { verifyCommand } = await import('./verify.ts');
      process.exitCode = await verifyCommand(nameOrFolder, flags);
    })
    .addHelpText(
      'after',
      `
Examples:
  sluice models verify ./models/resnet50 --images refs --tensor refs.npy --original resnet50.onnx
  sluice models verify ./models/resnet50        # again, against what was stored
`,
    );
}

function addQuantize(models: Command): void {
  const quantize = models
    .command('quantize')
    .description(
      'make an int8 model of a float32 one, and compare the two; exits with 1, and writes nothing, where they differ too much',
    )
    .argument('<name|folder>', 'the model')
    .requiredOption(
      '--calibration <folder>',
      'images like those it will see, 500 to 1000; of 100 or more a fifth is kept to compare with',
    )
    .addOption(
      new Option('--for <target>', 'what will run it: a GPU with TensorRT, or a CPU with ONNX Runtime')
        .choices(TARGETS)
        .default('gpu'),
    )
    .addOption(
      new Option(
        '--calibrator <how>',
        'what becomes of outliers: entropy loses the least information, percentile cuts off a share, max keeps all',
      )
        .choices(CALIBRATORS)
        .default('percentile'),
    )
    .option('--percentile <x>', 'share of magnitudes to keep, with --calibrator percentile (99.99)')
    .option(
      '--float-layers <names...>',
      'layers that stay float32; "auto" leaves out those that cost most where --min-top1 is not reached, "none" none',
      ['auto'],
    );
  addPrecisionOptions(quantize, 'int8')
    .action(async (nameOrFolder: string, flags: QuantizeFlags) => {
      const { quantizeCommand } = await import('./precision.ts');
      process.exitCode = await quantizeCommand(nameOrFolder, flags);
    })
    .addHelpText(
      'after',
      `
Examples:
  sluice models quantize ./models/nsfw --calibration photos            # into ./models/nsfw-int8, for TensorRT
  sluice models quantize ./models/nsfw --calibration photos --for cpu  # uint8 activations, as CPUs want them
  sluice models quantize ./models/nsfw --calibration photos --calibrator percentile --percentile 99.9
  sluice models quantize ./models/nsfw --calibration photos --min-top1 0.95 --json > report.json

The calibration is kept in <model>/calibration, and used again for the same images.
`,
    );
}

function addToFp16(models: Command): void {
  const halve = models
    .command('to-fp16')
    .description(
      'make a float16 model of a float32 one, and compare the two; exits with 1, and writes nothing, where they differ too much',
    )
    .argument('<name|folder>', 'the model')
    .requiredOption('--images <folder>', 'images to compare with, like those it will see');
  addPrecisionOptions(halve, 'fp16')
    .action(async (nameOrFolder: string, flags: PrecisionFlags) => {
      const { toFp16Command } = await import('./precision.ts');
      process.exitCode = await toFp16Command(nameOrFolder, flags);
    })
    .addHelpText(
      'after',
      `
Examples:
  sluice models to-fp16 ./models/nsfw --images photos                  # into ./models/nsfw-fp16
  sluice models to-fp16 ./models/nsfw --images photos --out s --name nsfw-half

A CPU has no arithmetic for it, and is slower with it: this is for GPUs.
`,
    );
}

function addPrecisionOptions(command: Command, precision: keyof typeof DEFAULT_MIN_TOP1): Command {
  return command
    .option('--max-images <n>', 'use at most so many, drawn from the whole folder', '1000')
    .option(
      '--min-top1 <share>',
      `smallest share of images with the same best label (${DEFAULT_MIN_TOP1[precision]})`,
    )
    .option('-o, --out <folder>', 'the folder of models (default: the one that the model is in)')
    .option('--name <name>', `the new model's name (default: <name>-${precision})`)
    .option('--force', 'write it whatever the comparison says, also over a model of this name')
    .option('--json', 'print the report as one line of JSON');
}

function addBuildEngine(models: Command): void {
  models
    .command('build-engine')
    .description("build a TensorRT engine for this machine's GPU, which workers then load in seconds")
    .argument('<name|folder>', 'the model')
    .requiredOption(
      '-o, --out <place>',
      'where workers look: the work store of a pipeline (s3://bucket/prefix), or a folder',
    )
    .option(
      '--precision <precision>',
      'what it computes in: fp16 or fp32; a quantized model is built in int8',
      'fp16',
    )
    .option('--batch <sizes>', 'the batch size, or smallest:usual:largest', '256')
    .option('--device <n>', 'which GPU', '0')
    .option('--flag <flag...>', "what else TensorRT's builder is told, such as --flag=--noTF32")
    .option('--trtexec <command>', "TensorRT's command", 'trtexec')
    .option('--verbose', 'print what the builder says')
    .action(async (nameOrFolder: string, flags: BuildEngineFlags) => {
      const { buildEngineCommand } = await import('./build-engine.ts');
      process.exitCode = await buildEngineCommand(nameOrFolder, flags, process.env);
    });
}
