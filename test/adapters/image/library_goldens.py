"""What Pillow, torchvision, transformers and timm make of each file in a folder, as library-goldens.json.

    pip install numpy pillow==12.3.0 torch torchvision transformers timm
    python test/adapters/image/library_goldens.py ../shared/corpus/good test/adapters/image/library-goldens.json
"""
import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import PIL
import timm
import torchvision
import transformers
from PIL import Image, ImageOps
from timm.data import create_transform
from torchvision.transforms import CenterCrop, Compose, Resize
from torchvision.transforms.functional import InterpolationMode
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil
from transformers.models.deit.image_processing_pil_deit import DeiTImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

Image.MAX_IMAGE_PIXELS = None
BILINEAR, BICUBIC = InterpolationMode.BILINEAR, InterpolationMode.BICUBIC
LEVELS = {"do_rescale": False, "do_normalize": False}


def opened(path):
    """Upright RGB on white; of 16-bit gray the high byte, as Pillow itself has it for 16-bit RGB."""
    image = ImageOps.exif_transpose(Image.open(path))
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("P", "LA", "PA"):
        image = image.convert("RGBA")
    if image.mode == "RGBA":
        canvas = Image.new("RGB", image.size, (255, 255, 255))
        canvas.paste(image, mask=image.getchannel("A"))
        image = canvas
    return image.convert("RGB")


def processed(processor):
    return lambda image: np.moveaxis(np.asarray(processor(image, return_tensors="np")["pixel_values"][0]), 0, -1)


def of_timm(**config):
    transform = create_transform((3, 224, 224), is_training=False, normalize=False, **config)
    return lambda image: np.moveaxis(transform(image).numpy(), 0, -1)


def of_torchvision(*steps):
    transform = Compose(steps)
    return lambda image: np.asarray(transform(image))


# The odd crops leave an odd number of pixels, where the libraries differ.
RECIPES = {
    "torchvision-256-224-bilinear": of_torchvision(Resize(256, BILINEAR), CenterCrop(224)),
    "torchvision-232-199-bicubic": of_torchvision(Resize(232, BICUBIC), CenterCrop(199)),
    "transformers-clip-224-199-bicubic": processed(
        CLIPImageProcessorPil(size={"shortest_edge": 224}, crop_size={"height": 199, "width": 199}, **LEVELS)
    ),
    "transformers-deit-256-225-bicubic": processed(
        DeiTImageProcessorPil(crop_size={"height": 225, "width": 225}, **LEVELS)
    ),
    "transformers-convnext-224-bicubic": processed(
        ConvNextImageProcessorPil(size={"shortest_edge": 224}, crop_pct=0.875, **LEVELS)
    ),
    "transformers-vit-224-bilinear": processed(ViTImageProcessorPil(**LEVELS)),
    "timm-squash-0.9-224-bicubic": of_timm(crop_pct=0.9, crop_mode="squash", interpolation="bicubic"),
}


def short_hash(data):
    return hashlib.sha256(data).hexdigest()[:16]


def hashes(image):
    made = {}
    for name, recipe in RECIPES.items():
        levels = np.asarray(recipe(image))
        assert (levels == levels.astype(np.uint8)).all() and levels.shape[2] == 3, name
        made[name] = short_hash(np.ascontiguousarray(levels.astype(np.uint8)).tobytes())
    return made


def main(folder, output):
    files = {}
    for path in sorted(Path(folder).iterdir()):
        try:
            image = opened(path)
        except PIL.UnidentifiedImageError:
            continue
        files[path.name] = {"sha256": short_hash(path.read_bytes()), **hashes(image)}
    versions = {module.__name__: module.__version__.split("+")[0] for module in (PIL, torchvision, transformers, timm)}
    Path(output).write_text(json.dumps({"madeBy": versions, "files": files}, indent=2) + "\n")


main(*sys.argv[1:])
