"""ResNet-50 in PyTorch, float16, channels last: a loop on batches that lie in the GPU's memory, the same on batches that come from
the processor's, and behind a DataLoader that decodes JPEGs of 0.2 megapixels. Prints a line of JSON as each ends."""

import io
import json
import os
import time

import torch
from torch import nn

BATCH = 256
SECONDS = 5
SIDE = 224


class Bottleneck(nn.Module):
    def __init__(self, before: int, width: int, stride: int):
        super().__init__()
        after = 4 * width
        self.body = nn.Sequential(
            nn.Conv2d(before, width, 1), nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, stride, 1), nn.ReLU(inplace=True),
            nn.Conv2d(width, after, 1),
        )
        self.short = nn.Identity() if before == after and stride == 1 else nn.Conv2d(before, after, 1, stride)

    def forward(self, x):
        return torch.relu(self.body(x) + self.short(x))


def resnet50() -> nn.Module:
    """With batch normalization folded away, as the ONNX file that it is compared with."""
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 7, 2, 3), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    before = 64
    for stage, (blocks, width) in enumerate(zip((3, 4, 6, 3), (64, 128, 256, 512))):
        for block in range(blocks):
            layers.append(Bottleneck(before, width, 2 if stage > 0 and block == 0 else 1))
            before = 4 * width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, 1000))


class Photos(torch.utils.data.Dataset):
    """The same photo again and again, decoded and scaled each time by Pillow."""

    def __init__(self):
        from PIL import Image
        import numpy

        noise = numpy.random.default_rng(1).integers(0, 255, (12, 18, 3), dtype=numpy.uint8)
        photo = Image.fromarray(noise).resize((548, 365), Image.BICUBIC)
        file = io.BytesIO()
        photo.save(file, "JPEG", quality=85)
        self.bytes = file.getvalue()

    def __len__(self):
        return 1_000_000

    def __getitem__(self, index):
        from PIL import Image
        import numpy

        photo = Image.open(io.BytesIO(self.bytes)).convert("RGB")
        photo = photo.resize((round(548 * 256 / 365), 256), Image.BILINEAR)
        left, top = (photo.width - SIDE) // 2, (photo.height - SIDE) // 2
        return torch.from_numpy(numpy.array(photo.crop((left, top, left + SIDE, top + SIDE))))


def main():
    model = resnet50().half().cuda().eval().to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def run(batch):
        planes = batch.permute(0, 3, 1, 2).half().div_(57).sub_(2)
        return model(planes.contiguous(memory_format=torch.channels_last))

    def rate(batches) -> tuple[float, float]:
        images, started = 0, None
        for i, batch in enumerate(batches):
            run(batch.cuda(non_blocking=True)).argmax(1).cpu()
            if started is None:
                if i >= 2:
                    started = time.perf_counter()
                continue
            images += len(batch)
            seconds = time.perf_counter() - started
            if seconds > SECONDS:
                return images / seconds, seconds

    def forever(batch):
        while True:
            yield batch

    def tell(metric, measured):
        of = f"PyTorch {torch.__version__} fp16, ResNet-50: {metric}"
        print(json.dumps({"metric": of, "imagesPerSecond": measured[0], "seconds": measured[1]}), flush=True)

    torch.backends.cudnn.benchmark = True
    pixels = torch.randint(0, 255, (BATCH, SIDE, SIDE, 3), dtype=torch.uint8)
    tell("batches in the GPU's memory", rate(forever(pixels.cuda())))
    tell("batches from pinned memory", rate(forever(pixels.pin_memory())))
    try:
        workers = len(os.sched_getaffinity(0))
        loader = torch.utils.data.DataLoader(Photos(), BATCH, num_workers=workers, pin_memory=True, prefetch_factor=2)
        tell(f"DataLoader that decodes, {workers} processes", rate(loader))
    except ImportError as error:
        import sys

        print(f"skipped: the DataLoader: {error}", file=sys.stderr)


main()
